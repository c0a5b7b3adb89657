//! The body of the Responses API.
//!
//! **Source:** OpenAI's schema of `/responses`; only what a text or function-calling client reads.

use super::chat::Envelope;
use super::encrypted;
use super::said::{Finish, Said, Usage};
use serde_json::{Value, json};

/// The whole response. The request is repeated where the schema asks for it; its resource encrypts what is hidden.
pub fn response(
    envelope: &Envelope,
    request: &Value,
    resource: &str,
    choices: &[Said],
    usage: &Usage,
) -> Value {
    let cut = choices.iter().find_map(|said| match said.finish {
        Finish::Length => Some("max_output_tokens"),
        Finish::ContentFilter => Some("content_filter"),
        Finish::Stop | Finish::ToolCalls => None,
    });
    let asked = |name: &str| request.get(name).cloned().unwrap_or(Value::Null);
    let or = |name: &str, default: Value| {
        request.get(name).filter(|given| !given.is_null()).cloned().unwrap_or(default)
    };
    json!({
        "id": envelope.id,
        "object": "response",
        "created_at": envelope.created,
        "status": if cut.is_some() { "incomplete" } else { "completed" },
        "incomplete_details": cut.map(|reason| json!({"reason": reason})),
        "background": false,
        "error": null,
        "instructions": asked("instructions"),
        "max_output_tokens": asked("max_output_tokens"),
        "metadata": or("metadata", json!({})),
        "model": envelope.model,
        "output": output(envelope, choices, encrypted::is_wanted(request).then_some(resource)),
        "parallel_tool_calls": or("parallel_tool_calls", json!(true)),
        "previous_response_id": asked("previous_response_id"),
        "reasoning": or("reasoning", json!({"effort": null, "summary": null})),
        "store": or("store", json!(true)),
        "temperature": or("temperature", json!(1.0)),
        "text": or("text", json!({"format": {"type": "text"}})),
        "tool_choice": or("tool_choice", json!("auto")),
        "tools": or("tools", json!([])),
        "top_p": or("top_p", json!(1.0)),
        "service_tier": envelope.service_tier,
        "truncation": "disabled",
        "usage": {
            "input_tokens": usage.prompt,
            "input_tokens_details": {"cached_tokens": usage.cached},
            "output_tokens": usage.completion,
            "output_tokens_details": {"reasoning_tokens": usage.reasoning},
            "total_tokens": usage.prompt + usage.completion,
        },
    })
}

/// The items of the output: hidden reasoning, then a message or calls.
fn output(envelope: &Envelope, choices: &[Said], encrypted_by: Option<&str>) -> Vec<Value> {
    let mut items = Vec::new();
    for said in choices {
        if said.reasoning_tokens > 0 {
            let id = format!("rs_{}", envelope.id);
            let mut item = json!({"id": id, "type": "reasoning", "summary": []});
            if let (Some(resource), Some(item)) = (encrypted_by, item.as_object_mut()) {
                let content = encrypted::content(resource, &id);
                item.insert("encrypted_content".to_owned(), content.into());
            }
            items.push(item);
        }
        for call in &said.calls {
            items.push(json!({
                "id": format!("fc_{}", call.id), "type": "function_call", "status": "completed",
                "call_id": call.id, "name": call.name, "arguments": call.arguments,
            }));
        }
        if !said.pieces.is_empty() {
            items.push(json!({
                "id": format!("msg_{}", envelope.id), "type": "message", "role": "assistant",
                "status": if said.finish == Finish::Stop { "completed" } else { "incomplete" },
                "content": [{
                    "type": "output_text", "text": said.text(), "annotations": [], "logprobs": [],
                }],
            }));
        }
    }
    items
}
