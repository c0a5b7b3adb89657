//! A client, and what a stream looked like.

use azure_emulator::bucket::BucketSettings;
use azure_emulator::quota::QuotaSettings;
use azure_emulator::{Deployment, Emulator, Settings};
use futures_util::StreamExt as _;
use serde_json::{Value, json};

/// A provisioned and a pay-as-you-go deployment of gpt-4o, an o1, an o3-mini, and embeddings.
pub(crate) async fn started() -> Emulator {
    start_with(Settings::new()).await
}

pub(crate) async fn start_with(settings: Settings) -> Emulator {
    let payg =
        |name, model| Deployment::pay_as_you_go(name, model, QuotaSettings::new(6_000, 10_000_000));
    let settings = settings
        .deployment(Deployment::provisioned(
            "ptu",
            "gpt-4o",
            BucketSettings::new(15.0, 2_500.0, 4.0),
        ))
        .deployment(payg("payg", "gpt-4o"))
        .deployment(payg("o1", "o1"))
        .deployment(payg("o3", "o3-mini"))
        .deployment(payg("embed", "text-embedding-3-small"));
    Emulator::start(settings).await.unwrap()
}

pub(crate) fn client() -> reqwest::Client {
    reqwest::Client::builder().build().unwrap()
}

pub(crate) fn dated(emulator: &Emulator, deployment: &str) -> String {
    format!(
        "{}/openai/deployments/{deployment}/chat/completions?api-version=2024-10-21",
        emulator.url()
    )
}

/// `{"messages": [..]}` with one user message, and more fields.
#[expect(clippy::needless_pass_by_value, reason = "spares every call a `&`")]
pub(crate) fn body(text: &str, more: Value) -> Value {
    let mut body = json!({"messages": [{"role": "user", "content": text}]});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

pub(crate) async fn ask(emulator: &Emulator, deployment: &str, body: &Value) -> reqwest::Response {
    client().post(dated(emulator, deployment)).json(body).send().await.unwrap()
}

/// Status and `error` of an answer.
pub(crate) async fn error_of(response: reqwest::Response) -> (u16, Value) {
    let status = response.status().as_u16();
    (status, response.json::<Value>().await.unwrap()["error"].clone())
}

/// The bytes of a stream, and whether it ended as HTTP wants it.
pub(crate) async fn drained(response: reqwest::Response) -> (String, bool) {
    let mut stream = response.bytes_stream();
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.next().await {
        match chunk {
            Ok(chunk) => bytes.extend_from_slice(&chunk),
            Err(_) => return (String::from_utf8(bytes).unwrap(), false),
        }
    }
    (String::from_utf8(bytes).unwrap(), true)
}

/// The `data:` fields that are JSON.
pub(crate) fn events(stream: &str) -> Vec<Value> {
    let data = stream.lines().filter_map(|line| line.strip_prefix("data: "));
    data.filter_map(|data| serde_json::from_str(data).ok()).collect()
}

/// The text of all content chunks.
pub(crate) fn text_of(events: &[Value]) -> String {
    let content =
        |event: &Value| event["choices"][0]["delta"]["content"].as_str().map(str::to_owned);
    events.iter().filter_map(content).collect()
}
