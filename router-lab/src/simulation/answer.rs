//! The bytes of a simulated answer: what Azure sends, as far as the router reads it, so that its
//! parsing, relaying and accounting run as in production.

use bytes::Bytes;
use serde_json::{Value, json};

/// End and usage of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ending {
    /// The prompt's tokens.
    pub(super) prompt: u64,
    /// The part of them that came from the cache.
    pub(super) cached: u64,
    /// The answer's tokens.
    pub(super) output: u64,
    /// True if the cap ended it.
    pub(super) capped: bool,
}

impl Ending {
    fn reason(self) -> &'static str {
        if self.capped { "length" } else { "stop" }
    }

    fn usage(self) -> Value {
        json!({
            "prompt_tokens": self.prompt,
            "completion_tokens": self.output,
            "total_tokens": self.prompt + self.output,
            "prompt_tokens_details": {"cached_tokens": self.cached},
            "completion_tokens_details": {"reasoning_tokens": 0},
        })
    }
}

/// A whole answer.
pub(super) fn whole(model: &str, ending: Ending) -> Bytes {
    let message = json!({"role": "assistant", "content": words(ending.output)});
    let choice = json!({"index": 0, "message": message, "finish_reason": ending.reason()});
    let answer = json!({
        "id": "chatcmpl-simulated", "object": "chat.completion", "created": 0, "model": model,
        "choices": [choice], "usage": ending.usage(),
    });
    answer.to_string().into()
}

/// An event with the next tokens of a streamed answer.
pub(super) fn part(model: &str, output: u64) -> Bytes {
    let delta = json!({"content": words(output)});
    event(&chunk(
        model,
        &json!([{"index": 0, "delta": delta, "finish_reason": null}]),
        &Value::Null,
    ))
}

/// The last events of a streamed answer; the usage comes if it was asked for.
pub(super) fn end(model: &str, ending: Ending, usage: bool) -> Bytes {
    let last = json!([{"index": 0, "delta": {}, "finish_reason": ending.reason()}]);
    let mut events = event(&chunk(model, &last, &Value::Null)).to_vec();
    if usage {
        events.extend_from_slice(&event(&chunk(model, &json!([]), &ending.usage())));
    }
    events.extend_from_slice(b"data: [DONE]\n\n");
    events.into()
}

fn chunk(model: &str, choices: &Value, usage: &Value) -> Value {
    json!({
        "id": "chatcmpl-simulated", "object": "chat.completion.chunk", "created": 0,
        "model": model, "choices": choices, "usage": usage,
    })
}

fn event(chunk: &Value) -> Bytes {
    format!("data: {chunk}\n\n").into()
}

/// One word for each token.
fn words(tokens: u64) -> String {
    " word".repeat(usize::try_from(tokens).unwrap_or(usize::MAX).min(1 << 20))
}
