//! The caller's view of an answer.

use http::HeaderMap;
use reqwest::RequestBuilder;
use serde_json::Value;

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    /// Sends a request and reads its answer to the end, which must be an orderly one.
    pub(crate) async fn of(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().await.unwrap();
        Self { status, headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
    }

    /// A header's text; `None` if it is absent.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// A header's number.
    pub(crate) fn number(&self, name: &str) -> u64 {
        self.header(name).unwrap_or_else(|| panic!("no {name}: {self:?}")).parse().unwrap()
    }

    /// The deployment that answered.
    pub(crate) fn deployment(&self) -> Option<&str> {
        self.header("x-router-deployment")
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    /// `error.code` of the body.
    pub(crate) fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }

    /// The events of a stream that are JSON.
    pub(crate) fn events(&self) -> Vec<Value> {
        let data = self.text.lines().filter_map(|line| line.strip_prefix("data: "));
        data.filter_map(|data| serde_json::from_str(data).ok()).collect()
    }

    /// The text of the answer, whole or put together from its events.
    pub(crate) fn content(&self) -> String {
        if self.is_stream() {
            return words(&self.events());
        }
        self.json()["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn is_stream(&self) -> bool {
        self.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream"))
    }

    /// True if the stream ended correctly: a reason, then `[DONE]`, no error.
    pub(crate) fn is_whole_stream(&self) -> bool {
        let events = self.events();
        let finished = events.iter().any(|event| event["choices"][0]["finish_reason"].is_string());
        let failed = events.iter().any(|event| event["error"].is_object());
        self.is_stream() && finished && !failed && self.text.trim_end().ends_with("data: [DONE]")
    }

    /// Fails unless it is a whole answer of this deployment, streamed or not.
    #[track_caller]
    pub(crate) fn assert_answered_by(&self, deployment: &str, streamed: bool) {
        assert_eq!((self.status, self.deployment()), (200, Some(deployment)), "{self:?}");
        assert_eq!(self.is_stream(), streamed, "{self:?}");
        assert!(!streamed || self.is_whole_stream(), "{self:?}");
        assert!(!self.content().is_empty(), "{self:?}");
    }
}

/// The text of all content chunks.
pub(crate) fn words(events: &[Value]) -> String {
    let content =
        |event: &Value| event["choices"][0]["delta"]["content"].as_str().map(str::to_owned);
    events.iter().filter_map(content).collect()
}
