//! Converts a complete Responses API answer into a stream, for a model that cannot stream. As in
//! chat ([`super::restream`]), each text is sent in one piece.

use bytes::Bytes;
use serde_json::{Map, Value, json};

/// The event stream of a response; `None` if the answer is none.
///
/// ```
/// use router_core::chat::restream_response::restream_response;
/// let answer = br#"{"id":"resp_1","object":"response","status":"completed","output":[{"type":"message","id":"m",
///     "content":[{"type":"output_text","text":"42"}]}],"usage":{"input_tokens":1}}"#;
/// let events = restream_response(answer).ok_or("no response")?;
/// let text = String::from_utf8_lossy(&events);
/// assert!(text.starts_with("event: response.created\n") && text.contains(r#""delta":"42""#));
/// # Ok::<(), &'static str>(())
/// ```
pub fn restream_response(answer: &[u8]) -> Option<Bytes> {
    let whole: Map<String, Value> = serde_json::from_slice(answer).ok()?;
    let Some(Value::Array(output)) = whole.get("output") else { return None };
    let mut begun = whole.clone();
    begun.insert("status".to_owned(), "in_progress".into());
    begun.insert("output".to_owned(), json!([]));
    begun.insert("usage".to_owned(), Value::Null);
    let mut events = Events::default();
    events.push("response.created", json!({"response": begun}));
    events.push("response.in_progress", json!({"response": begun}));
    for (index, item) in output.iter().enumerate() {
        events.item(index, item);
    }
    let last = match whole.get("status").and_then(Value::as_str) {
        Some("incomplete") => "response.incomplete",
        Some("failed") => "response.failed",
        Some(_) | None => "response.completed",
    };
    events.push(last, json!({"response": whole}));
    Some(events.out.into())
}

#[derive(Default)]
struct Events {
    out: String,
    count: u64,
}

impl Events {
    fn push(&mut self, kind: &str, mut event: Value) {
        if let Some(event) = event.as_object_mut() {
            event.insert("type".to_owned(), kind.into());
            event.insert("sequence_number".to_owned(), self.count.into());
        }
        self.count += 1;
        for part in ["event: ", kind, "\ndata: ", &event.to_string(), "\n\n"] {
            self.out.push_str(part);
        }
    }

    fn item(&mut self, index: usize, item: &Value) {
        let id = item.get("id");
        let mut started = item.clone();
        if let Some(started) = started.as_object_mut() {
            started.insert("status".to_owned(), "in_progress".into());
            for (field, empty) in [("content", json!([])), ("arguments", json!(""))] {
                if let Some(value) = started.get_mut(field) {
                    *value = empty;
                }
            }
        }
        self.push("response.output_item.added", json!({"output_index": index, "item": started}));
        if let Some(arguments) = item.get("arguments") {
            let at = |field: &str| json!({"item_id": id, "output_index": index, field: arguments});
            self.push("response.function_call_arguments.delta", at("delta"));
            self.push("response.function_call_arguments.done", at("arguments"));
        }
        let parts = item.get("content").and_then(Value::as_array);
        for (place, part) in parts.into_iter().flatten().enumerate() {
            self.part(id, index, place, part);
        }
        self.push("response.output_item.done", json!({"output_index": index, "item": item}));
    }

    fn part(&mut self, id: Option<&Value>, index: usize, place: usize, part: &Value) {
        let at = |field: &str, value: &Value| json!({"item_id": id, "output_index": index, "content_index": place, field: value});
        let (kind, field) = match part.get("type").and_then(Value::as_str) {
            Some("refusal") => ("response.refusal", "refusal"),
            Some(_) | None => ("response.output_text", "text"),
        };
        let mut empty = part.clone();
        if let Some(text) = empty.get_mut(field) {
            *text = "".into();
        }
        self.push("response.content_part.added", at("part", &empty));
        if let Some(text) = part.get(field) {
            let mut delta = at("delta", text);
            let mut done = at(field, text);
            for event in [&mut delta, &mut done] {
                if let Some(event) = event.as_object_mut().filter(|_| field == "text") {
                    event.insert("logprobs".to_owned(), json!([]));
                }
            }
            self.push(&format!("{kind}.delta"), delta);
            self.push(&format!("{kind}.done"), done);
        }
        self.push("response.content_part.done", at("part", part));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::stream::{Event, Splitter};

    #[test]
    fn every_event_is_read_again_and_the_last_has_the_usage() {
        let answer = json!({"id": "resp_1", "model": "o1", "status": "completed", "output": [
            {"type": "reasoning", "id": "r", "summary": []},
            {"type": "function_call", "id": "f", "call_id": "c", "name": "look", "arguments": "{}"},
            {"type": "message", "id": "m", "content": [{"type": "output_text", "text": "42"}, {"type": "refusal", "refusal": "no"}]}],
            "usage": {"input_tokens": 3, "output_tokens": 4}});
        let mut splitter = Splitter::default();
        splitter.push(restream_response(answer.to_string().as_bytes()).unwrap());
        let (mut count, mut said, mut usage) = (0, 0, None);
        while let Some(event) = splitter.next_event() {
            let Event::Chunk(chunk) = Event::read(&event) else { panic!("{event:?}") };
            assert_eq!(chunk.sequence, Some(count));
            count += 1;
            said += chunk.content_bytes;
            usage = chunk.usage.or(usage);
        }
        assert_eq!(said, "{}42no".len());
        assert_eq!(usage.map(|usage| usage.completion.0), Some(4));
        assert_eq!(restream_response(b"{}"), None);
    }
}
