//! A router whose upstream answers at once.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use router_core::config::Config;
use router_core::fallback::Limits;
use router_core::router::ModelRouter;
use router_core::units::Day;
use router_core::upstream::{Attempt, Reply, Unreachable, Upstream};

/// Answers at once with the same answer, by the model that these requests go to.
#[derive(Debug)]
pub(crate) struct InMemory;

const ANSWER: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-4o-2024-11-20",
    "choices":[{"index":0,"message":{"role":"assistant","content":"Because of the time zone."},
    "finish_reason":"stop"}],"usage":{"prompt_tokens":250,"completion_tokens":120,"total_tokens":370,
    "completion_tokens_details":{"reasoning_tokens":64},"prompt_tokens_details":{"cached_tokens":0}}}"#;

impl Upstream for InMemory {
    async fn send(&self, _attempt: Attempt) -> Result<Reply, Unreachable> {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        let body = futures_util::stream::iter([Ok(Bytes::from_static(ANSWER.as_bytes()))]);
        Ok(Reply { status: StatusCode::OK, headers, body: Box::pin(body) })
    }
}

/// A router over it.
pub(crate) fn router() -> ModelRouter<InMemory> {
    let today = Day::try_from("2026-11-23").expect("a day");
    let config = Config::from_toml(crate::support::CONFIG, today).expect("a good config");
    let rules = config.rules().expect("the shipped scorer");
    ModelRouter::with_upstream(rules, Limits::default(), InMemory, &prometheus::Registry::new())
        .expect("a fresh registry")
}
