//! Runs every program of `examples/`; the one that serves is asked over real sockets, with the emulator as its upstream.
//!
//! `cargo test` builds the examples before this program runs. With `--test examples` it does not.
#![expect(clippy::unwrap_used, reason = "helpers of a test program stop at the first surprise")]

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use azure_emulator::quota::QuotaSettings;
use azure_emulator::{Deployment, Emulator, End, Entry, Settings, Step};
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(30);

/// The program of an example, built from the source as it is now.
fn program(name: &str) -> Command {
    let deps = std::env::current_exe().unwrap();
    let folder = deps.parent().unwrap().parent().unwrap().join("examples");
    let built = folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    let source = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("examples/{name}.rs"));
    let changed = |path: &PathBuf| path.metadata().and_then(|data| data.modified());
    let fresh = changed(&built).is_ok_and(|built| built >= changed(&source).unwrap());
    assert!(fresh, "{name} is not built; run `cargo build -p router-core --examples` first");
    Command::new(built)
}

async fn output(name: &str) -> String {
    let output = timeout(PATIENCE, program(name).output()).await.unwrap().unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn deciding_alone_prints_the_plan_of_each_request() {
    let output = output("decide_only").await;
    let plans: Vec<&str> = output.lines().filter_map(|line| line.split("-> ").nth(1)).collect();
    assert_eq!(plans, ["gpt_4o_ptu, then gpt_4o_payg", "o1_payg"]);
}

#[tokio::test]
async fn a_custom_scorer_decides_the_model() {
    let output = output("custom_scorer").await;
    assert_eq!(output, "Read clause 4 to me. -> o1_payg\nRead me a poem. -> gpt_4o_payg\n");
}

#[tokio::test]
async fn a_test_without_a_network_falls_back() {
    assert_eq!(output("test_without_network").await, "answered by gpt_4o_payg\n");
}

/// The backend, and what it prints.
struct Backend {
    emulator: Emulator,
    url: String,
    client: reqwest::Client,
    lines: Lines<BufReader<ChildStdout>>,
    /// Killed when it is dropped.
    _child: Child,
}

impl Backend {
    async fn start() -> Self {
        let quota = QuotaSettings::new(600, 1_000_000);
        let deployment = Deployment::pay_as_you_go("chat-payg", "gpt-4o", quota);
        let emulator =
            Emulator::start(Settings::new().seed(7).deployment(deployment)).await.unwrap();
        let mut child = program("axum_backend")
            .arg(emulator.url())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap().unwrap();
        let url = first.strip_prefix("listening at ").unwrap().to_owned();
        let client = reqwest::Client::builder().build().unwrap();
        Self { emulator, url, client, lines, _child: child }
    }

    fn ask(&self, key: &str, body: &Value) -> reqwest::RequestBuilder {
        self.client
            .post(format!("{}/v1/chat/completions", self.url))
            .bearer_auth(key)
            .body(body.to_string())
    }

    /// The next line that it prints.
    async fn line(&mut self) -> String {
        timeout(PATIENCE, self.lines.next_line()).await.unwrap().unwrap().unwrap()
    }
}

fn question(stream: bool) -> Value {
    json!({"model": "auto", "stream": stream, "messages": [{"role": "user", "content": "Hello!"}]})
}

#[tokio::test]
async fn an_axum_backend_serves_answers_streams_errors_and_metrics() {
    let mut backend = Backend::start().await;
    let answer = backend.ask("a-key", &question(false)).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["x-router-deployment"], "chat_payg");
    let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert!(answer["choices"][0]["message"]["content"].is_string(), "{answer}");
    let line = backend.line().await;
    assert!(line.starts_with("billing: 1 attempts, 0.0"), "{line}");

    let stream = backend.ask("a-key", &question(true)).send().await.unwrap();
    assert_eq!(stream.headers()["content-type"], "text/event-stream; charset=utf-8");
    assert!(stream.text().await.unwrap().ends_with("data: [DONE]\n\n"));
    backend.line().await;

    let refused = backend.ask("another-key", &question(false)).send().await.unwrap();
    assert_eq!(refused.status(), 401);

    let invalid = backend.ask("a-key", &json!({})).send().await.unwrap();
    assert_eq!(invalid.status(), 400);
    let invalid: Value = serde_json::from_str(&invalid.text().await.unwrap()).unwrap();
    assert_eq!(invalid["error"]["code"], "invalid_request");

    let long = json!({"messages": [{"role": "user", "content": "x".repeat(5 << 20)}]});
    assert_eq!(backend.ask("a-key", &long).send().await.unwrap().status(), 413);

    let metrics = backend.client.get(format!("{}/metrics", backend.url)).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    assert!(metrics.contains("model_router_score_count"), "{metrics}");
    for (path, status) in [("/", 200), ("/v1/chat/completions", 405), ("/v1/models", 404)] {
        let asked =
            backend.client.get(format!("{}{path}", backend.url)).bearer_auth("a-key").send();
        let answer = asked.await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
        let allowed = answer.headers().get("allow").map(|methods| methods.to_str().unwrap());
        assert_eq!(allowed, (status == 405).then_some("POST"), "{path}");
    }
}

#[tokio::test]
async fn a_caller_who_leaves_cancels_the_call_upstream() {
    let mut backend = Backend::start().await;
    backend.emulator.script("chat-payg", Step::normal().stall_after(2));
    let stream = backend.ask("a-key", &question(true)).send().await.unwrap();
    let mut bytes = stream.bytes_stream();
    bytes.next().await.unwrap().unwrap();
    drop(bytes);
    let hung_up = |entries: &[Entry]| entries.iter().any(|entry| entry.end == End::HungUp);
    assert!(backend.emulator.wait_for(hung_up, PATIENCE).await);
    let line = backend.line().await;
    assert!(line.starts_with("billing: 1 attempts"), "{line}");
}
