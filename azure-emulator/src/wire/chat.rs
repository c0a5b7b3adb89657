//! The body of a chat completion.
//!
//! **Source:** Azure OpenAI docs, "reasoning models" and "content filter", and OpenAI's schema.

use super::filter::{self, Filter};
use super::said::{Finish, Said, Usage};
use serde_json::{Value, json};

/// Fields that every body and chunk of an answer shares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// `chatcmpl-...`
    pub id: String,
    /// Seconds since 1970.
    pub created: u64,
    /// The model that answered.
    pub model: String,
    /// Azure's additions.
    pub filter: Filter,
    /// The service tier that answered; `None` if the deployment offers none.
    pub service_tier: Option<&'static str>,
}

impl Envelope {
    /// Adds the service tier to a body or chunk.
    pub(super) fn name_tier(&self, body: &mut serde_json::Map<String, Value>) {
        if let Some(tier) = self.service_tier {
            body.insert("service_tier".to_owned(), tier.into());
        }
    }
}

/// The whole answer.
pub fn completion(envelope: &Envelope, choices: &[Said], usage: &Usage) -> Value {
    let azure = envelope.filter != Filter::Absent;
    let choices: Vec<Value> =
        choices.iter().enumerate().map(|(index, said)| choice(index, said, azure)).collect();
    let mut body = json!({
        "id": envelope.id,
        "object": "chat.completion",
        "created": envelope.created,
        "model": envelope.model,
        "system_fingerprint": "fp_emulator",
        "choices": choices,
        "usage": usage_of_chat(usage),
    });
    if let Some(body) = body.as_object_mut() {
        envelope.name_tier(body);
        if azure {
            body.insert("prompt_filter_results".to_owned(), filter::prompt_results());
        }
    }
    body
}

/// `usage` as chat completions write it.
pub fn usage_of_chat(usage: &Usage) -> Value {
    json!({
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.completion,
        "total_tokens": usage.prompt + usage.completion,
        "prompt_tokens_details": {"cached_tokens": usage.cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    })
}

/// Filter results that belong to a choice.
pub fn results_of(said: &Said) -> Value {
    if said.finish == Finish::ContentFilter { filter::filtered() } else { filter::safe() }
}

fn choice(index: usize, said: &Said, azure: bool) -> Value {
    let mut message = json!({"role": "assistant", "content": said.text(), "refusal": null});
    if !said.calls.is_empty() {
        let calls: Vec<Value> = said
            .calls
            .iter()
            .map(|call| {
                json!({
                    "id": call.id, "type": "function",
                    "function": {"name": call.name, "arguments": call.arguments},
                })
            })
            .collect();
        message =
            json!({"role": "assistant", "content": null, "refusal": null, "tool_calls": calls});
    }
    let mut choice = json!({
        "index": index,
        "message": message,
        "logprobs": null,
        "finish_reason": said.finish.as_str(),
    });
    if azure && let Some(choice) = choice.as_object_mut() {
        choice.insert("content_filter_results".to_owned(), results_of(said));
    }
    choice
}
