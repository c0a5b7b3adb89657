//! One line of the request log: what a request used and where it went; no content.
//!
//! The log is JSON lines. What replays it needs three fields; the others are `null` or absent where nothing is known, and
//! fields that are not named here are skipped, so that the log can grow.

use serde::{Deserialize, Serialize};

/// One request, as the log tells it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RequestRecord {
    /// When it came, in milliseconds since 1970-01-01T00:00:00Z.
    pub at_unix_ms: u64,
    /// The prompt's tokens, by the upstream's word.
    pub prompt_tokens: u64,
    /// The answer's tokens, hidden reasoning included, by the upstream's word.
    pub completion_tokens: u64,
    /// The part of the prompt that came from the cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_tokens: Option<u64>,
    /// The cap on the answer's length that the caller sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    /// True where the answer was streamed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub streamed: Option<bool>,
    /// `reasoning` or `chat`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<Box<str>>,
    /// The deployment that answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<Box<str>>,
    /// `provisioned` or `pay_as_you_go`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billing: Option<Box<str>>,
    /// How long it was held back until a deployment had room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waited_ms: Option<u64>,
    /// How many attempts it took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// What it cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
}
