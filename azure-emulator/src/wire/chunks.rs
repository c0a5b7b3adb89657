//! The events of a streamed chat completion, in the order in which Azure really sends them.
//!
//! First a chunk without choices that carries the prompt's filter results and has empty `id`,
//! `object` and `model`; then role, content, finish; then the usage, if it was asked for; then
//! `[DONE]`. Asynchronous filtering adds chunks without a `delta`, the last of them after the
//! finish chunk. On OpenAI's own path none of Azure's chunks appear. **Source:** Azure OpenAI docs,
//! "content streaming".

use super::chat::{self, Envelope};
use super::filter::{self, Filter};
use super::said::{Said, Usage};
use super::sse::{Event, Role};
use serde_json::{Value, json};
use std::ops::Range;

/// All events of an answer.
pub fn events(
    envelope: &Envelope,
    choices: &[Said],
    chunk_tokens: usize,
    usage: &Usage,
    include_usage: bool,
) -> Vec<Event> {
    let mut writer = Writer { envelope, include_usage, events: Vec::new(), tokens: 0 };
    if envelope.filter != Filter::Absent {
        let opening = json!({
            "id": "", "object": "", "created": 0, "model": "", "choices": [],
            "prompt_filter_results": filter::prompt_results(),
        });
        writer.events.push(Event::json(Role::Opening, 0, &opening));
    }
    for (index, said) in choices.iter().enumerate() {
        writer.choice(index, said, chunk_tokens.max(1));
    }
    if include_usage {
        let mut chunk = writer.chunk(json!([]));
        chunk.insert("usage".to_owned(), chat::usage_of_chat(usage));
        let tokens = writer.tokens;
        writer.events.push(Event::json(Role::Closing, tokens, &Value::Object(chunk)));
    }
    writer.events.push(Event::done(writer.tokens));
    writer.events
}

struct Writer<'a> {
    envelope: &'a Envelope,
    include_usage: bool,
    events: Vec<Event>,
    /// Tokens written so far, hidden ones included.
    tokens: u64,
}

impl Writer<'_> {
    fn choice(&mut self, index: usize, said: &Said, chunk_tokens: usize) {
        self.tokens += said.reasoning_tokens;
        self.delta(
            Role::Opening,
            index,
            &json!({"role": "assistant", "content": "", "refusal": null}),
        );
        let mut offset = 0_usize;
        for pieces in said.pieces.chunks(chunk_tokens) {
            self.tokens += u64::try_from(pieces.len()).unwrap_or(0);
            let content = pieces.concat();
            let length = content.chars().count();
            self.delta(Role::Content, index, &json!({"content": content}));
            if self.envelope.filter == Filter::Asynchronous {
                self.annotation(Role::Note, index, said, offset..offset + length);
            }
            offset += length;
        }
        for (position, call) in said.calls.iter().enumerate() {
            self.calls(index, position, call);
        }
        let finish = json!({
            "index": index, "delta": {}, "logprobs": null,
            "finish_reason": said.finish.as_str(),
        });
        let finish = self.with_results(finish, said);
        self.push(Role::Finish, json!([finish]));
        if self.envelope.filter == Filter::Asynchronous {
            self.annotation(Role::Closing, index, said, 0..offset);
        }
    }

    fn calls(&mut self, index: usize, position: usize, call: &super::said::ToolCall) {
        self.delta(
            Role::Content,
            index,
            &json!({"tool_calls": [{
                "index": position, "id": call.id, "type": "function",
                "function": {"name": call.name, "arguments": ""},
            }]}),
        );
        for piece in super::tokens::pieces(&call.arguments) {
            self.tokens += 1;
            self.delta(
                Role::Content,
                index,
                &json!({"tool_calls": [{"index": position, "function": {"arguments": piece}}]}),
            );
        }
    }

    fn delta(&mut self, role: Role, index: usize, delta: &Value) {
        let mut choice =
            json!({"index": index, "delta": delta, "logprobs": null, "finish_reason": null});
        if self.envelope.filter == Filter::Synchronous
            && role == Role::Content
            && let Some(choice) = choice.as_object_mut()
        {
            choice.insert("content_filter_results".to_owned(), filter::safe());
        }
        self.push(role, json!([choice]));
    }

    /// A chunk about content that was sent before: no `delta` in it.
    fn annotation(&mut self, role: Role, index: usize, said: &Said, about: Range<usize>) {
        let choice = json!({
            "index": index,
            "finish_reason": null,
            "content_filter_results": chat::results_of(said),
            "content_filter_offsets": {
                "check_offset": about.start, "start_offset": about.start, "end_offset": about.end,
            },
        });
        self.push(role, json!([choice]));
    }

    fn with_results(&self, mut choice: Value, said: &Said) -> Value {
        if self.envelope.filter == Filter::Synchronous
            && let Some(choice) = choice.as_object_mut()
        {
            choice.insert("content_filter_results".to_owned(), chat::results_of(said));
        }
        choice
    }

    fn push(&mut self, role: Role, choices: Value) {
        let mut chunk = self.chunk(choices);
        if self.include_usage {
            chunk.insert("usage".to_owned(), Value::Null);
        }
        self.events.push(Event::json(role, self.tokens, &Value::Object(chunk)));
    }

    fn chunk(&self, choices: Value) -> serde_json::Map<String, Value> {
        let mut chunk = serde_json::Map::new();
        chunk.insert("id".to_owned(), json!(self.envelope.id));
        chunk.insert("object".to_owned(), json!("chat.completion.chunk"));
        chunk.insert("created".to_owned(), json!(self.envelope.created));
        chunk.insert("model".to_owned(), json!(self.envelope.model));
        chunk.insert("system_fingerprint".to_owned(), json!("fp_emulator"));
        chunk.insert("choices".to_owned(), choices);
        self.envelope.name_tier(&mut chunk);
        chunk
    }
}

#[cfg(test)]
mod tests {
    use super::super::said::Finish;
    use super::*;

    fn events_of(filter: Filter, include_usage: bool) -> Vec<Value> {
        let envelope = Envelope {
            id: "chatcmpl-1".to_owned(),
            created: 1,
            model: "gpt-4o".to_owned(),
            filter,
            service_tier: None,
        };
        let said = Said {
            pieces: ["a", " b", " c"].map(str::to_owned).to_vec(),
            calls: Vec::new(),
            finish: Finish::Stop,
            reasoning_tokens: 0,
            completion_tokens: 3,
        };
        let usage = Usage::of(5, 0, std::slice::from_ref(&said));
        let mut events = events(&envelope, &[said], 2, &usage, include_usage);
        let done = events.pop().unwrap();
        assert_eq!((done.data.as_str(), done.tokens), ("[DONE]", 3));
        events.iter().map(|event| serde_json::from_str(&event.data).unwrap()).collect()
    }

    #[test]
    fn azure_opens_without_choices() {
        let events = events_of(Filter::Synchronous, false);
        assert_eq!(events[0]["choices"], json!([]));
        assert_eq!(events[0]["object"], "");
        assert!(events[0]["prompt_filter_results"].is_array());
        assert_eq!(events[1]["choices"][0]["delta"]["role"], "assistant");
        assert_eq!(events[2]["choices"][0]["delta"]["content"], "a b");
        assert_eq!(events[3]["choices"][0]["delta"]["content"], " c");
        assert_eq!(events[4]["choices"][0]["finish_reason"], "stop");
        assert_eq!(events.len(), 5);
        assert!(events.iter().all(|event| event.get("usage").is_none()));
    }

    #[test]
    fn usage_comes_in_a_chunk_of_its_own_and_is_null_before() {
        let events = events_of(Filter::Absent, true);
        let (last, before) = events.split_last().unwrap();
        assert_eq!(last["choices"], json!([]));
        assert_eq!(last["usage"]["completion_tokens"], 3);
        assert!(before.iter().all(|event| event.get("usage") == Some(&Value::Null)));
    }

    #[test]
    fn asynchronous_results_have_no_delta_and_follow_the_finish() {
        let events = events_of(Filter::Asynchronous, false);
        let last = events.last().unwrap();
        assert!(last["choices"][0].get("delta").is_none());
        assert!(last["choices"][0]["content_filter_offsets"].is_object());
    }
}
