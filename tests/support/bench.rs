//! A router with an emulator as its upstream, and a caller.

use std::time::Duration;

use azure_emulator::{Emulator, Entry};
use reqwest::{Client, RequestBuilder};
use router_server::Running;
use serde_json::{Value, json};

use super::answer::Answer;

/// No step of a test takes longer, on the slowest machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Both sides of a test, and the caller.
#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) emulator: Emulator,
    pub(crate) server: Running,
    pub(crate) client: Client,
}

impl Bench {
    pub(crate) fn new(emulator: Emulator, server: Running) -> Self {
        // A complete answer has many steps if it comes byte by byte.
        let client = Client::builder().timeout(3 * PATIENCE).build().unwrap();
        Self { emulator, server, client }
    }

    /// The address of a path of the router.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.server.url())
    }

    /// A chat request in OpenAI's shape, to be sent.
    pub(crate) fn request(&self, body: &Value) -> RequestBuilder {
        self.client.post(self.url("/v1/chat/completions")).json(body)
    }

    /// A chat request, answered.
    pub(crate) async fn chat(&self, body: &Value) -> Answer {
        Answer::of(self.request(body)).await
    }

    /// A short question for a model, with more fields, answered.
    pub(crate) async fn ask(&self, model: &str, more: Value) -> Answer {
        self.chat(&question(model, more)).await
    }

    /// Both forms of the same question: whole, then streamed.
    pub(crate) async fn ask_in_form(&self, model: &str, streamed: bool) -> Answer {
        self.ask(model, json!({"stream": streamed})).await
    }

    /// `GET` of a path.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        Answer::of(self.client.get(self.url(path))).await
    }

    /// The requests to a deployment, oldest first.
    pub(crate) fn asked(&self, deployment: &str) -> Vec<Entry> {
        self.emulator.requests_to(deployment)
    }

    /// The number of requests to each of some deployments.
    pub(crate) fn counts<const N: usize>(&self, deployments: [&str; N]) -> [usize; N] {
        deployments.map(|name| self.asked(name).len())
    }

    /// The value of a metric's line, zero without one: `name{label="value"}`.
    pub(crate) async fn metric(&self, line: &str) -> f64 {
        let text = self.get("/metrics").await.text;
        let value = text.lines().find_map(|known| known.strip_prefix(line)?.strip_prefix(' '));
        value.map_or(0.0, |value| value.parse().unwrap())
    }
}

/// A short question for a model, with more fields.
pub(crate) fn question(model: &str, more: Value) -> Value {
    let mut body = json!({"model": model, "messages": [{"role": "user", "content": "Say hello."}]});
    let Value::Object(more) = more else { return body };
    body.as_object_mut().unwrap().extend(more);
    body
}
