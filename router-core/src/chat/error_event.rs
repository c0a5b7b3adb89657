//! The word in `error.type`, and the event that reports an error in the middle of a stream in the form that clients raise.
//!
//! Clients of chat completions raise on any event with an `error`; those of the Responses API know an event of kind
//! `error` with the same fields on its own level. The event of the Responses API carries both.
//!
//! **Source:** openai-python, `_streaming.py`; `OpenAI` API reference, "Streaming events", `error`.

use bytes::Bytes;
use http::StatusCode;
use serde_json::Value;

use super::operation::Operation;

/// The word in `error.type` of every error that the router makes, whether it goes out with its status or as an event of a
/// stream whose head was sent before.
///
/// ```
/// use http::StatusCode;
/// use router_core::chat::error_type;
/// assert_eq!(error_type(StatusCode::BAD_GATEWAY, "upstream_failed"), "server_error");
/// ```
pub fn error_type(status: StatusCode, code: &str) -> &'static str {
    match status {
        _ if code == "insufficient_quota" => "insufficient_quota",
        StatusCode::TOO_MANY_REQUESTS => "rate_limit_error",
        status if status.is_server_error() => "server_error",
        _ => "invalid_request_error",
    }
}

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
