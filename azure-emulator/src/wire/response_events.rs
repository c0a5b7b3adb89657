//! The events of a streamed response.
//!
//! Each has a name and a running `sequence_number`; there is no `[DONE]`. **Source:** OpenAI's
//! schema of response stream events.

use super::said::Said;
use super::sse::{Event, Role};
use super::tokens;
use serde_json::{Value, json};

/// All events of `whole`, which is the response as it will stand at the end.
pub fn events(whole: &Value, choices: &[Said], chunk_tokens: usize) -> Vec<Event> {
    let mut writer = Writer { events: Vec::new(), tokens: 0, chunk_tokens: chunk_tokens.max(1) };
    let mut begun = whole.clone();
    for (name, value) in
        [("status", json!("in_progress")), ("output", json!([])), ("usage", Value::Null)]
    {
        if let Some(field) = begun.get_mut(name) {
            *field = value;
        }
    }
    for name in ["response.created", "response.in_progress"] {
        writer.push(Role::Opening, name, json!({"response": begun}));
    }
    writer.tokens = choices.iter().map(|said| said.reasoning_tokens).sum();
    let items = whole.get("output").and_then(Value::as_array);
    for (index, item) in items.into_iter().flatten().enumerate() {
        match item.get("type").and_then(Value::as_str) {
            Some("message") => writer.message(index, item),
            Some("function_call") => writer.call(index, item),
            _ => writer.plain(index, item),
        }
    }
    let last = if whole.get("status") == Some(&json!("incomplete")) {
        "response.incomplete"
    } else {
        "response.completed"
    };
    writer.push(Role::Finish, last, json!({"response": whole}));
    writer.events
}

struct Writer {
    events: Vec<Event>,
    tokens: u64,
    chunk_tokens: usize,
}

impl Writer {
    /// An item that comes at once.
    fn plain(&mut self, index: usize, item: &Value) {
        self.push(Role::Opening, ADDED, json!({"output_index": index, "item": item}));
        self.push(Role::Opening, ITEM_DONE, json!({"output_index": index, "item": item}));
    }

    fn message(&mut self, index: usize, item: &Value) {
        let id = item.get("id").cloned().unwrap_or_default();
        let part = item.pointer("/content/0").cloned().unwrap_or_default();
        let text = part.get("text").and_then(Value::as_str).unwrap_or_default();
        let at = |more: Value| {
            merged(json!({"item_id": id, "output_index": index, "content_index": 0}), more)
        };
        let started = with(item, &[("status", json!("in_progress")), ("content", json!([]))]);
        self.push(Role::Opening, ADDED, json!({"output_index": index, "item": started}));
        let empty = with(&part, &[("text", json!(""))]);
        self.push(Role::Opening, "response.content_part.added", at(json!({"part": empty})));
        for pieces in tokens::pieces(text).chunks(self.chunk_tokens) {
            self.tokens += u64::try_from(pieces.len()).unwrap_or(0);
            let delta = json!({"delta": pieces.concat(), "logprobs": []});
            self.push(Role::Content, "response.output_text.delta", at(delta));
        }
        let done = json!({"text": text, "logprobs": []});
        self.push(Role::Note, "response.output_text.done", at(done));
        self.push(Role::Note, "response.content_part.done", at(json!({"part": part})));
        self.push(Role::Note, ITEM_DONE, json!({"output_index": index, "item": item}));
    }

    fn call(&mut self, index: usize, item: &Value) {
        let id = item.get("id").cloned().unwrap_or_default();
        let arguments = item.get("arguments").and_then(Value::as_str).unwrap_or_default();
        let at = |more: Value| merged(json!({"item_id": id, "output_index": index}), more);
        let started = with(item, &[("status", json!("in_progress")), ("arguments", json!(""))]);
        self.push(Role::Opening, ADDED, json!({"output_index": index, "item": started}));
        for piece in tokens::pieces(arguments) {
            self.tokens += 1;
            let delta = at(json!({"delta": piece}));
            self.push(Role::Content, "response.function_call_arguments.delta", delta);
        }
        let done = at(json!({"arguments": arguments, "name": item.get("name")}));
        self.push(Role::Note, "response.function_call_arguments.done", done);
        self.push(Role::Note, ITEM_DONE, json!({"output_index": index, "item": item}));
    }

    fn push(&mut self, role: Role, name: &'static str, data: Value) {
        let head = json!({"type": name, "sequence_number": self.events.len()});
        let data = merged(head, data).to_string();
        self.events.push(Event { role, name: Some(name), data, tokens: self.tokens });
    }
}

const ADDED: &str = "response.output_item.added";
const ITEM_DONE: &str = "response.output_item.done";

fn merged(mut base: Value, more: Value) -> Value {
    if let (Some(base), Value::Object(more)) = (base.as_object_mut(), more) {
        base.extend(more);
    }
    base
}

fn with(value: &Value, changes: &[(&str, Value)]) -> Value {
    let changes = changes.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    merged(value.clone(), Value::Object(changes.collect()))
}
