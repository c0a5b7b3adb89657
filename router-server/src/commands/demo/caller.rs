//! A caller of the demo: sends one request over a real socket and records what it sees of the
//! answer.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Request};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use router_core::chat::{Answer as Said, Usage};
use router_core::task::Task;
use tokio::time::Instant;

use super::prompts::{Language, Prompt};

/// No answer of the demo is longer.
const LONGEST_ANSWER: usize = 4 << 20;

/// One answer as its caller saw it.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    /// The status; 0 without an answer.
    pub(super) status: u16,
    /// The language of the prompt.
    pub(super) language: Language,
    /// The task that a person would call the prompt.
    pub(super) expected: Task,
    /// Its first words, for the table.
    pub(super) prompt: String,
    /// `x-router-*`.
    pub(super) headers: HeaderMap,
    /// The tokens; `None` if the answer does not say.
    pub(super) usage: Option<Usage>,
    /// From sending to the last byte.
    pub(super) took: Duration,
}

impl Answer {
    /// A header's text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The router's own time, in microseconds.
    pub(super) fn overhead_us(&self) -> Option<u64> {
        self.header("x-router-overhead-us")?.parse().ok()
    }
}

/// Sends requests to one address.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    client: Client<HttpConnector, Body>,
    url: String,
}

impl Caller {
    /// A caller of the router at `url`.
    pub(super) fn new(url: &str) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { client, url: format!("{url}/v1/chat/completions") }
    }

    /// Asks, and waits for the whole answer.
    pub(super) async fn ask(&self, prompt: &Prompt) -> Answer {
        let began = Instant::now();
        let (status, headers, bytes) = self.send(prompt).await.unwrap_or_default();
        Answer {
            status,
            language: prompt.lang,
            expected: prompt.task(),
            prompt: prompt.text.chars().take(44).collect::<String>().replace('\n', " "),
            headers,
            usage: usage(&bytes),
            took: began.elapsed(),
        }
    }

    async fn send(&self, prompt: &Prompt) -> Option<(u16, HeaderMap, Vec<u8>)> {
        let request = Request::post(&self.url)
            .header(CONTENT_TYPE, "application/json")
            .body(Body::from(prompt.body().to_string()))
            .ok()?;
        let (head, body) = self.client.request(request).await.ok()?.into_parts();
        let bytes = to_bytes(Body::new(body), LONGEST_ANSWER).await.ok()?;
        Some((head.status.as_u16(), head.headers, bytes.to_vec()))
    }
}

/// The usage of an answer: of the whole, or of the last event of a stream that says it.
fn usage(body: &[u8]) -> Option<Usage> {
    let mut events = body.split(|byte| *byte == b'\n').rev();
    let said = events.find_map(|line| Said::read(line.strip_prefix(b"data: ")?).usage);
    said.or_else(|| Said::read(body).usage)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_read_from_answers_and_streams() {
        let tokens = |body: &str| usage(body.as_bytes()).map(|usage| usage.completion.0);
        assert_eq!(tokens(r#"{"usage":{"prompt_tokens":1,"completion_tokens":2}}"#), Some(2));
        let stream = "data: {\"usage\":null}\n\ndata: {\"usage\":{\"completion_tokens\":3}}\n\ndata: [DONE]\n\n";
        assert_eq!(tokens(stream), Some(3));
        assert_eq!(tokens("{}"), None);
    }
}
