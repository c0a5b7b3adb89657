//! Adds to the API's description the paths that follow from others: Azure's forms, legacy completions, and what is passed
//! through by config.
//!
//! Each is the operation of OpenAI's path under a name of its own; which paths are served is decided in `app.rs`.

use std::sync::Arc;

use serde_json::{Map, Value, json};

/// Another path of an operation, and what its name ends with.
struct Alias {
    from: &'static str,
    path: &'static str,
    ending: &'static str,
}

const fn alias(from: &'static str, path: &'static str, ending: &'static str) -> Alias {
    Alias { from, path, ending }
}

const CHAT: &str = "/v1/chat/completions";
const RESPONSE: &str = "/v1/responses/{response_id}";

const ALIASES: &[Alias] = &[
    alias(CHAT, "/openai/v1/chat/completions", "AzureV1"),
    alias(CHAT, "/openai/deployments/{name}/chat/completions", "AzureDated"),
    alias("/v1/completions", "/openai/v1/completions", "AzureV1"),
    alias("/v1/completions", "/openai/deployments/{name}/completions", "AzureDated"),
    alias("/v1/embeddings", "/openai/v1/embeddings", "AzureV1"),
    alias("/v1/embeddings", "/openai/deployments/{name}/embeddings", "AzureDated"),
    alias("/v1/responses", "/openai/v1/responses", "AzureV1"),
    alias("/v1/responses", "/openai/responses", "AzureDated"),
    alias(RESPONSE, "/openai/v1/responses/{response_id}", "AzureV1"),
    alias(RESPONSE, "/openai/responses/{response_id}", "AzureDated"),
    alias(
        "/v1/responses/{response_id}/cancel",
        "/openai/v1/responses/{response_id}/cancel",
        "AzureV1",
    ),
    alias(
        "/v1/responses/{response_id}/cancel",
        "/openai/responses/{response_id}/cancel",
        "AzureDated",
    ),
    alias(
        "/v1/responses/{response_id}/input_items",
        "/openai/v1/responses/{response_id}/input_items",
        "AzureV1",
    ),
    alias(
        "/v1/responses/{response_id}/input_items",
        "/openai/responses/{response_id}/input_items",
        "AzureDated",
    ),
    alias("/v1/models", "/openai/v1/models", "AzureV1"),
    alias("/v1/models", "/openai/models", "AzureDated"),
];

/// Adds them all.
pub(super) fn add(document: &mut Value, passthrough: &[Arc<str>]) {
    let Some(paths) = document.get_mut("paths").and_then(Value::as_object_mut) else { return };
    let Some(chat) = paths.get(CHAT).and_then(|path| path.get("post")).cloned() else { return };
    let completions =
        described(&chat, "createCompletion", "Complete a prompt, by the legacy API. Not scored.");
    paths.insert("/v1/completions".to_owned(), json!({"post": completions}));
    for Alias { from, path, ending } in ALIASES {
        let Some(methods) = paths.get(*from).and_then(Value::as_object) else { continue };
        let renamed =
            methods.iter().map(|(method, operation)| (method.clone(), at(path, ending, operation)));
        let renamed: Map<_, _> = renamed.collect();
        paths.insert((*path).to_owned(), renamed.into());
    }
    for passed in passthrough {
        for (base, ending) in
            [("/v1", ""), ("/openai/v1", "AzureV1"), ("/openai/deployments/{name}", "AzureDated")]
        {
            let name = format!("pass_{}", passed.replace('/', "_"));
            let operation =
                described(&chat, &name, "Pass a request through: JSON, or a multipart form.");
            let path = format!("{base}/{passed}");
            let operation = at(&path, ending, &operation);
            paths.insert(path, json!({"post": operation}));
        }
    }
}

/// An operation like another, whose body is not described.
fn described(like: &Value, name: &str, summary: &str) -> Value {
    let mut operation = like.clone();
    if let Some(fields) = operation.as_object_mut() {
        fields.remove("description");
        fields.insert("operationId".to_owned(), name.into());
        fields.insert("summary".to_owned(), summary.into());
        let any = json!({"required": true, "content": {"application/json": {}}});
        fields.insert("requestBody".to_owned(), any);
    }
    if let Some(answer) = operation.pointer_mut("/responses/200") {
        *answer = json!({"description": "The answer."});
    }
    operation
}

/// The operation at another path, under another name, with the parameters of that path.
fn at(path: &str, ending: &str, operation: &Value) -> Value {
    let mut operation = operation.clone();
    let Some(fields) = operation.as_object_mut() else { return operation };
    fields.remove("description");
    if let Some(Value::String(name)) = fields.get_mut("operationId") {
        name.push_str(ending);
    }
    let parameters = fields.entry("parameters").or_insert_with(|| json!([]));
    let Some(parameters) = parameters.as_array_mut() else { return operation };
    if path.contains("{name}") {
        let what = "A model, a role, an alias or a deployment, as `model` elsewhere.";
        parameters
            .push(json!({"name": "name", "in": "path", "required": true, "description": what,
            "schema": {"type": "string"}}));
    }
    if ending == "AzureDated" {
        let what = "Taken and ignored: each deployment has its own.";
        parameters.push(json!({"name": "api-version", "in": "query", "description": what,
            "schema": {"type": "string"}}));
    }
    operation
}
