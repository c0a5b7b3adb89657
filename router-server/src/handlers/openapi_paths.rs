//! Adds to the API's description the paths that follow from others: Azure's forms, legacy completions, stored objects, and
//! what is passed through by config.
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
const COMPLETION: &str = "/v1/chat/completions/{id}";
const MESSAGES: &str = "/v1/chat/completions/{id}/messages";
const CONVERSATIONS: &str = "/v1/conversations";
const CONVERSATION: &str = "/v1/conversations/{id}";
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

/// A method of a path that reads, changes or creates a stored object.
struct Stored {
    path: &'static str,
    method: &'static str,
    name: &'static str,
    summary: &'static str,
}

const fn stored(
    path: &'static str,
    method: &'static str,
    name: &'static str,
    summary: &'static str,
) -> Stored {
    Stored { path, method, name, summary }
}

const STORED: &[Stored] = &[
    stored(CHAT, "get", "listChatCompletions", "List the key's stored chat completions."),
    stored(COMPLETION, "get", "getChatCompletion", "Get a stored chat completion."),
    stored(COMPLETION, "post", "updateChatCompletion", "Change a stored completion's metadata."),
    stored(COMPLETION, "delete", "deleteChatCompletion", "Delete a stored chat completion."),
    stored(MESSAGES, "get", "getChatCompletionMessages", "List a stored completion's messages."),
    stored(CONVERSATIONS, "post", "createConversation", "Create a conversation."),
    stored(CONVERSATION, "get", "getConversation", "Get a conversation."),
    stored(CONVERSATION, "post", "updateConversation", "Change a conversation's metadata."),
    stored(CONVERSATION, "delete", "deleteConversation", "Delete a conversation."),
    stored("/v1/responses/input_tokens", "post", "countInputTokens", "Count a request's tokens."),
    stored("/v1/responses/compact", "post", "compactResponse", "Compact a conversation."),
];

/// Adds the paths of stored objects, each called as chat is.
fn add_stored(paths: &mut Map<String, Value>, chat: &Value) {
    for Stored { path, method, name, summary } in STORED {
        let mut operation = described(chat, name, summary);
        if let Some(fields) = operation.as_object_mut().filter(|_| *method != "post") {
            fields.remove("requestBody");
        }
        if path.contains("{id}")
            && let Some(parameters) = operation.get_mut("parameters").and_then(Value::as_array_mut)
        {
            parameters.push(json!({"name": "id", "in": "path", "required": true,
                "schema": {"type": "string"}}));
        }
        let methods = paths.entry(*path).or_insert_with(|| json!({}));
        if let Some(methods) = methods.as_object_mut() {
            methods.insert((*method).to_owned(), operation);
        }
    }
}

/// Adds them all.
pub(super) fn add(document: &mut Value, passthrough: &[Arc<str>]) {
    let Some(paths) = document.get_mut("paths").and_then(Value::as_object_mut) else { return };
    let Some(chat) = paths.get(CHAT).and_then(|path| path.get("post")).cloned() else { return };
    let completions =
        described(&chat, "createCompletion", "Complete a prompt, by the legacy API. Not scored.");
    paths.insert("/v1/completions".to_owned(), json!({"post": completions}));
    add_stored(paths, &chat);
    for Alias { from, path, ending } in ALIASES {
        let Some(methods) = paths.get(*from).and_then(Value::as_object) else { continue };
        // A path that names a deployment lists nothing that is stored.
        let served = |method: &String| !(path.contains("{name}") && method == "get");
        let renamed = methods
            .iter()
            .filter(|(method, _)| served(method))
            .map(|(method, operation)| (method.clone(), at(path, ending, operation)));
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
