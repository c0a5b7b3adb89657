//! The event that reports an error inside a stream, in the form that clients raise.
//!
//! Clients of chat completions raise on any event with an `error`. Clients of the Responses API
//! expect an event of type `error` with the same fields at the top level. The event of the
//! Responses API carries both.
//!
//! **Source:** openai-python, `_streaming.py`; `OpenAI` API reference, "Streaming events", `error`.

use bytes::Bytes;
use serde_json::Value;

use super::operation::Operation;

/// An error in OpenAI's shape (`{"error": {..}}`) as an event; `sequence` is its place in a stream of the Responses API.
///
/// ```
/// use router_core::chat::{Operation, error_event};
/// let body = serde_json::json!({"error": {"message": "m", "type": "t", "param": null, "code": "c"}});
/// let event = error_event(Operation::Responses, 7, &body);
/// let text = String::from_utf8_lossy(&event);
/// assert!(text.starts_with("event: error\ndata: {") && text.contains("\"sequence_number\":7"));
/// ```
pub fn error_event(operation: Operation, sequence: u64, body: &Value) -> Bytes {
    if operation != Operation::Responses {
        return format!("data: {body}\n\n").into();
    }
    let mut event = body.clone();
    let fields = body.get("error").and_then(Value::as_object).cloned().unwrap_or_default();
    if let Some(event) = event.as_object_mut() {
        event.extend(fields);
        event.insert("type".to_owned(), "error".into());
        event.insert("sequence_number".to_owned(), sequence.into());
    }
    format!("event: error\ndata: {event}\n\n").into()
}
