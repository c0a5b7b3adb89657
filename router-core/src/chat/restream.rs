//! Converts a complete answer into a stream, for a caller who requested a stream from a model that
//! cannot stream.
//!
//! The events have the form of `OpenAI`'s own: role, content, tool calls if any, end, usage if
//! requested, `[DONE]`. The content is sent in one piece.

use bytes::Bytes;
use serde_json::{Map, Value, json};

/// The event stream of an answer; `None` if the answer is not a chat completion.
///
/// ```
/// use router_core::chat::restream::restream;
/// let answer = br#"{"id":"c1","object":"chat.completion","created":1,"model":"o1","choices":[{"index":0,
///     "message":{"role":"assistant","content":"42"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1}}"#;
/// let events = restream(answer, false).ok_or("not an answer")?;
/// let text = String::from_utf8_lossy(&events);
/// assert!(text.contains(r#""delta":{"content":"42"}"#) && text.ends_with("data: [DONE]\n\n"));
/// assert!(!text.contains("prompt_tokens"));
/// # Ok::<(), &'static str>(())
/// ```
pub fn restream(answer: &[u8], include_usage: bool) -> Option<Bytes> {
    let mut answer: Map<String, Value> = serde_json::from_slice(answer).ok()?;
    let Some(Value::Array(choices)) = answer.remove("choices") else { return None };
    let usage = answer.remove("usage").unwrap_or(Value::Null);
    answer.insert("object".to_owned(), "chat.completion.chunk".into());
    let mut out = String::new();
    let mut event = |choices: Value, usage: Option<&Value>| {
        let mut chunk = answer.clone();
        chunk.insert("choices".to_owned(), choices);
        if include_usage {
            chunk.insert("usage".to_owned(), usage.cloned().unwrap_or(Value::Null));
        }
        out.push_str("data: ");
        out.push_str(&Value::Object(chunk).to_string());
        out.push_str("\n\n");
    };
    for choice in choices {
        for chunk in chunks_of(choice) {
            event(json!([chunk]), None);
        }
    }
    if include_usage {
        event(json!([]), Some(&usage));
    }
    out.push_str("data: [DONE]\n\n");
    Some(out.into())
}

/// The chunks of one choice. The last one carries the fields besides the message (filter results, log probabilities).
fn chunks_of(choice: Value) -> Vec<Value> {
    let Value::Object(mut choice) = choice else { return Vec::new() };
    let index = choice.get("index").cloned().unwrap_or_else(|| 0.into());
    let Some(Value::Object(mut message)) = choice.remove("message") else { return Vec::new() };
    let chunk = |delta: Value| json!({"index": index, "delta": delta, "finish_reason": null});
    let role = message.remove("role").unwrap_or_else(|| "assistant".into());
    let mut chunks = vec![chunk(json!({"role": role, "content": ""}))];
    for (name, mut value) in message {
        if let Value::Array(calls) = &mut value
            && name == "tool_calls"
        {
            for (at, call) in calls.iter_mut().enumerate() {
                if let Value::Object(call) = call {
                    call.insert("index".to_owned(), at.into());
                }
            }
        }
        let empty = value.is_null() || value.as_array().is_some_and(Vec::is_empty);
        if !empty {
            chunks.push(chunk(json!({name: value})));
        }
    }
    choice.insert("delta".to_owned(), json!({}));
    chunks.push(Value::Object(choice));
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::stream::{Event, Splitter};

    #[test]
    fn tool_calls_get_their_index_and_usage_its_chunk() {
        let answer = json!({"id": "x", "model": "o1", "choices": [{"index": 0, "finish_reason": "tool_calls",
            "message": {"role": "assistant", "content": null, "refusal": null, "annotations": [],
                "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 4}});
        let mut splitter = Splitter::default();
        splitter.push(restream(answer.to_string().as_bytes(), true).unwrap());
        let mut events = Vec::new();
        while let Some(event) = splitter.next_event() {
            events.push(event);
        }
        assert_eq!(events.len(), 5);
        let text = String::from_utf8_lossy(&events[1]).into_owned();
        assert!(
            text.contains(r#""tool_calls":[{"function""#) && text.contains(r#""index":0"#),
            "{text}"
        );
        let Event::Chunk(last) = Event::read(&events[3]) else { panic!("no chunk") };
        assert_eq!(last.usage.map(|usage| usage.completion.0), Some(4));
        assert_eq!(Event::read(&events[4]), Event::Done);
    }

    #[test]
    fn what_is_no_answer_is_none() {
        for body in ["", "[]", "{}", r#"{"choices":5}"#] {
            assert_eq!(restream(body.as_bytes(), true), None, "{body}");
        }
    }
}
