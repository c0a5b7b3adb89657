//! Recorded requests of 26 real client configurations: all are accepted and scored correctly, and
//! the upstream receives what the caller wrote, field for field, except for the changes that the
//! answer reports.
//!
//! The recordings are outside the repository, in `$ROUTER_DATA_DIR/client_requests.jsonl`; without
//! them the test says so and passes.

use std::collections::BTreeSet;

use reqwest::Method;
use router_core::chat::adapt::{Target, adapt};
use router_core::chat::{ChatRequest, Operation};
use router_core::config::shipped_records;
use router_core::model::Effort;
use serde_json::{Map, Value, json};

use crate::keys::{hash, key};
use crate::support::{Answer, Bench, Layout};

const EMBED: &str = "text-embedding-3-small";
const INSTRUCT: &str = "gpt-3.5-turbo-instruct";

/// One recorded request.
struct Recorded(Value);

impl Recorded {
    fn text(&self, field: &str) -> &str {
        self.0[field].as_str().unwrap()
    }

    fn is_scored(&self) -> bool {
        let path = self.text("path").trim_end_matches('/');
        path.ends_with("chat/completions") || path.ends_with("responses")
    }

    /// The body with another model; `None` keeps it.
    fn body(&self, model: Option<&str>) -> Value {
        let mut body = self.0["body"].clone();
        if let (Some(model), true) = (model, self.is_scored()) {
            body["model"] = json!(model);
        }
        body
    }

    fn path(&self, model: Option<&str>) -> String {
        let mut path = self.text("path").to_owned();
        if let (Some(model), Some(rest)) = (model, path.strip_prefix("/openai/deployments/"))
            && self.is_scored()
        {
            let (_, operation) = rest.split_once('/').unwrap();
            path = format!("/openai/deployments/{model}/{operation}");
        }
        if self.text("query").is_empty() { path } else { format!("{path}?{}", self.text("query")) }
    }

    /// Sends it as the client did; `chunked` bodies go in two pieces.
    async fn send(&self, bench: &Bench, model: Option<&str>, task: Option<&str>) -> Answer {
        let method: Method = self.text("method").parse().unwrap();
        let mut request = bench.client.request(method.clone(), bench.url(&self.path(model)));
        let mut chunked = false;
        for header in self.0["headers"].as_array().unwrap() {
            let (name, value) = (header[0].as_str().unwrap(), header[1].as_str().unwrap());
            match name.to_ascii_lowercase().as_str() {
                "transfer-encoding" => chunked = true,
                "host" | "connection" | "content-length" | "accept-encoding" | "x-api-key" => {}
                _ => request = request.header(name, value),
            }
        }
        if let Some(task) = task {
            request = request.header("x-router-task", task);
        }
        // Without keys, a body of no declared type could come from any web page and is refused.
        request = request.header("x-api-key", key("recorded"));
        if method == Method::POST {
            let body = self.body(model).to_string();
            request = if chunked {
                let (head, tail) = body.split_at(body.find(':').unwrap());
                let pieces = [head.to_owned(), tail.to_owned()].map(Ok::<_, std::io::Error>);
                request.body(reqwest::Body::wrap_stream(futures_util::stream::iter(pieces)))
            } else {
                request.body(body)
            };
        }
        Answer::of(request).await
    }
}

fn recorded() -> Option<Vec<Recorded>> {
    let folder = std::env::var_os("ROUTER_DATA_DIR")?;
    let file = std::path::Path::new(&folder).join("client_requests.jsonl");
    let text = std::fs::read_to_string(file).ok()?;
    let rows = text.lines().filter(|line| !line.trim().is_empty());
    Some(rows.map(|line| Recorded(serde_json::from_str(line).unwrap())).collect())
}

/// A router that serves every name in the recordings.
async fn bench(recorded: &[Recorded]) -> Bench {
    let mut layout = Layout::pair()
        .set("keys.recorded.hashes", format_args!("[{:?}]", hash(&key("recorded"))))
        .text("endpoints.azure.api_version", "2025-04-01-preview")
        .payg("embed", EMBED)
        .payg("embed_old", "text-embedding-ada-002")
        .payg("instruct", INSTRUCT);
    let in_path = |recorded: &Recorded| {
        let rest = recorded.text("path").strip_prefix("/openai/deployments/")?;
        rest.split('/').next().map(str::to_owned)
    };
    let in_body = |recorded: &Recorded| recorded.0["body"]["model"].as_str().map(str::to_owned);
    let served = ["gpt-4o", EMBED, INSTRUCT, "text-embedding-ada-002"];
    let names: BTreeSet<String> = recorded
        .iter()
        .flat_map(|recorded| in_path(recorded).into_iter().chain(in_body(recorded)))
        .filter(|name| !served.contains(&name.as_str()))
        .collect();
    // Names of deployments that the recording had to misbehave.
    for name in names {
        layout = layout.text(&format!("aliases.\"{name}\""), "gpt-4o");
    }
    layout.start().await
}

/// Fails unless `sent` is `written` but for what was changed by name, and what belongs to the address.
#[track_caller]
fn assert_lossless(written: &Value, sent: &Value, adapted: &BTreeSet<&str>, what: &str) {
    let empty = Map::new();
    let (written, sent) = (written.as_object().unwrap_or(&empty), sent.as_object().unwrap());
    let names: BTreeSet<&String> = written.keys().chain(sent.keys()).collect();
    let mut differing = BTreeSet::new();
    for name in names {
        let (before, after) = (written.get(name), sent.get(name));
        // If the address does not name the deployment, the body must.
        let address = name == "model";
        // The router itself requests a stream's usage, and withholds its chunk.
        let usage = name == "stream_options" && {
            let mut before = before.cloned().filter(Value::is_object).unwrap_or(json!({}));
            before["include_usage"] = json!(true);
            after.is_none() && adapted.contains("stream") || after == Some(&before)
        };
        if before != after && !address && !usage {
            differing.insert(name.as_str());
        }
    }
    let named: BTreeSet<&str> =
        adapted.iter().map(|name| name.split('.').next().unwrap()).collect();
    assert_eq!(differing, named, "{what}");
}

#[tokio::test]
async fn every_request_of_every_client_is_answered_and_forwarded_without_loss() {
    let Some(recorded) = recorded() else {
        say("skipped: no client_requests.jsonl in $ROUTER_DATA_DIR");
        return;
    };
    assert!(recorded.len() >= 380, "{} recordings", recorded.len());
    let bench = bench(&recorded).await;
    let mut forwarded = 0;
    // Sent unchanged, with the model chosen by the score, and with a reasoning model that needs changes.
    for (model, task) in [(None, None), (Some("auto"), None), (Some("auto"), Some("reasoning"))] {
        for recorded in &recorded {
            let what = format!(
                "{} {} {} as {model:?} {task:?}",
                recorded.text("client"),
                recorded.text("step"),
                recorded.path(model)
            );
            if recorded.text("method") == "HEAD" {
                continue; // A port scan of the recorder's own.
            }
            bench.emulator.clear_journal();
            let answer = recorded.send(&bench, model, task).await;
            assert_eq!(answer.status, 200, "{what} {answer:?}");
            if recorded.text("method") == "GET" {
                assert!(answer.json()["object"].is_string(), "{what} {answer:?}");
                continue;
            }
            let scored = model.is_some() && recorded.is_scored();
            assert_eq!(answer.header("x-router-score").is_some(), scored, "{what} {answer:?}");
            let wanted = recorded.body(model);
            assert_eq!(answer.is_stream(), wanted["stream"] == json!(true), "{what}");
            let done = answer.is_whole_stream() || answer.text.contains("response.completed");
            assert!(!answer.is_stream() || done, "{what} {answer:?}");
            let entry = bench.emulator.journal().last().cloned().unwrap();
            let adapted = answer.header("x-router-adapted").unwrap_or_default();
            let adapted = adapted.split(',').filter(|name| !name.is_empty()).collect();
            assert_lossless(&wanted, &entry.json().unwrap(), &adapted, &what);
            assert!(entry.header("x-custom").is_none(), "{what}: callers' headers stay here");
            forwarded += 1;
        }
    }
    assert!(forwarded > 1_000, "{forwarded}");
}

/// The operation of a recorded request; `None` if it is unknown.
fn operation(recorded: &Recorded) -> Option<Operation> {
    let path = recorded.text("path").trim_end_matches('/');
    [
        ("chat/completions", Operation::Chat),
        ("responses", Operation::Responses),
        ("completions", Operation::Completions),
        ("embeddings", Operation::Embeddings),
    ]
    .into_iter()
    .find_map(|(end, operation)| path.ends_with(end).then_some(operation))
}

#[test]
fn every_recorded_body_fits_every_known_model_without_loss() {
    let Some(recorded) = recorded() else {
        say("skipped: no client_requests.jsonl in $ROUTER_DATA_DIR");
        return;
    };
    let records = shipped_records();
    let mut adaptions = 0;
    for recorded in recorded.iter().filter(|recorded| recorded.text("method") == "POST") {
        let written = recorded.body(None);
        let body = written.to_string();
        let operation = operation(recorded).unwrap();
        let request = ChatRequest::read(operation, body.as_bytes()).unwrap();
        for (name, record) in &records {
            for effort in [None, Some(Effort::None), Some(Effort::High)] {
                let target = Target {
                    model_field: Some("deployed"),
                    effort,
                    record,
                    stream_options: true,
                    refused: &[],
                    tight: None,
                    unreadable: &[],
                    cache_key: None,
                    service_tier: None,
                    chosen: false,
                };
                let adapted = adapt(&request, target);
                let mut changed: BTreeSet<&str> = adapted.changed.iter().copied().collect();
                changed.extend(adapted.restream.then_some("stream"));
                let sent: Value = serde_json::from_slice(&adapted.body).unwrap();
                let what =
                    format!("{} {} for {name}", recorded.text("client"), recorded.text("step"));
                assert_lossless(&written, &sent, &changed, &what);
                assert_eq!(sent["model"], "deployed", "{what}");
                adaptions += 1;
            }
        }
    }
    assert!(adaptions > 50_000, "{adaptions}");
}

#[expect(clippy::print_stderr, reason = "who runs the tests must see what was not tested")]
fn say(text: &str) {
    eprintln!("{text}");
}
