//! The body and the events of legacy completions, which a few old clients still ask for.

use super::chat::{self, Envelope};
use super::said::{Finish, Said, Usage};
use super::sse::{Event, Role};
use serde_json::{Value, json};

/// The whole completion.
pub fn completion(envelope: &Envelope, choices: &[Said], usage: &Usage) -> Value {
    let choices: Vec<Value> = choices
        .iter()
        .enumerate()
        .map(|(index, said)| choice(index, &said.text(), Some(said.finish)))
        .collect();
    let mut body = frame(envelope, &json!(choices));
    if let Some(body) = body.as_object_mut() {
        body.insert("usage".to_owned(), chat::usage_of_chat(usage));
    }
    body
}

/// All events of a streamed completion.
pub fn events(
    envelope: &Envelope,
    choices: &[Said],
    chunk_tokens: usize,
    usage: &Usage,
    include_usage: bool,
) -> Vec<Event> {
    let mut events = Vec::new();
    let mut tokens = 0_u64;
    for (index, said) in choices.iter().enumerate() {
        tokens += said.reasoning_tokens;
        for pieces in said.pieces.chunks(chunk_tokens.max(1)) {
            tokens += u64::try_from(pieces.len()).unwrap_or(0);
            let chunk = frame(envelope, &json!([choice(index, &pieces.concat(), None)]));
            events.push(Event::json(Role::Content, tokens, &chunk));
        }
        let chunk = frame(envelope, &json!([choice(index, "", Some(said.finish))]));
        events.push(Event::json(Role::Finish, tokens, &chunk));
    }
    if include_usage {
        let mut chunk = frame(envelope, &json!([]));
        if let Some(chunk) = chunk.as_object_mut() {
            chunk.insert("usage".to_owned(), chat::usage_of_chat(usage));
        }
        events.push(Event::json(Role::Closing, tokens, &chunk));
    }
    events.push(Event::done(tokens));
    events
}

fn frame(envelope: &Envelope, choices: &Value) -> Value {
    json!({
        "id": envelope.id, "object": "text_completion", "created": envelope.created,
        "model": envelope.model, "choices": choices,
    })
}

fn choice(index: usize, text: &str, finish: Option<Finish>) -> Value {
    let finish = finish.map(Finish::as_str);
    json!({"text": text, "index": index, "logprobs": null, "finish_reason": finish})
}
