//! The log line of a request has the decision, and no message text or credential.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail loudly")]

use std::io::{self, Write};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use azure_emulator::quota::QuotaSettings;
use azure_emulator::{Deployment, Emulator, Settings, Step};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use router_core::units::Day;
use router_server::{Config, Running};
use serde_json::{Value, json};
use tracing_subscriber::fmt::MakeWriter;

/// All lines that this test program logs, at every level: requests are served by threads of their own, so one subscriber
/// serves the whole program, and a test looks for its own names.
static LINES: LazyLock<Lines> = LazyLock::new(|| {
    let lines = Lines::default();
    let writing = tracing_subscriber::fmt().json().flatten_event(true).with_writer(lines.clone());
    writing.with_max_level(tracing::Level::TRACE).init();
    lines
});

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;
    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// A router in front of the emulator, with one deployment for both roles.
async fn router(emulator: &Emulator, deployment: &str, more: &str) -> Running {
    LazyLock::force(&LINES);
    let text = format!(
        r#"
        server.listen = "127.0.0.1:0"
        {more}
        endpoints.azure = {{ url = "{}", api = "azure_v1", anonymous = true }}
        deployments.{deployment} = {{ endpoint = "azure", model = "gpt-4o", sku = "GlobalStandard" }}
        roles.reasoning.models = ["gpt-4o"]
        roles.chat.models = ["gpt-4o"]
        "#,
        emulator.url()
    );
    let config = Config::from_toml(&text, Day::try_from("2026-11-23").unwrap()).unwrap();
    router_server::start(&config).await.unwrap()
}

async fn emulator(echo: bool) -> Emulator {
    let quota = QuotaSettings::new(60_000, 10_000_000);
    let chat = Deployment::pay_as_you_go("gpt-4o", "gpt-4o", quota).echo(echo);
    Emulator::start(Settings::new().deployment(chat)).await.unwrap()
}

/// One question under a request id.
struct Question<'q> {
    id: &'q str,
    model: &'q str,
    text: &'q str,
    stream: bool,
}

const QUESTION: Question<'_> = Question { id: "", model: "auto", text: "hello", stream: false };

impl Question<'_> {
    async fn send(&self, url: &str) -> Response<Incoming> {
        let messages = json!([{"role": "user", "content": self.text}]);
        let body = json!({"model": self.model, "messages": messages, "stream": self.stream});
        let request = Request::post(format!("{url}/v1/chat/completions?key=query-secret"))
            .header("authorization", "Bearer header-secret")
            .header("x-request-id", self.id)
            .header("content-type", "application/json")
            .body(Body::from(body.to_string()))
            .unwrap();
        let client: Client<_, Body> = Client::builder(TokioExecutor::new()).build_http();
        client.request(request).await.unwrap()
    }

    /// The status of the answer and its text, once all of it has arrived.
    async fn ask(&self, url: &str) -> (StatusCode, String) {
        let answer = self.send(url).await;
        let status = answer.status();
        let whole = to_bytes(Body::new(answer.into_body()), 1 << 20).await.unwrap();
        (status, String::from_utf8(whole.to_vec()).unwrap())
    }
}

/// The lines of requests so far, by request id.
fn lines_of(id: &str) -> Vec<Value> {
    let written = LINES.text();
    let each = written.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    each.filter(|line| line["message"] == "request" && line["request_id"] == id).collect()
}

#[tokio::test]
async fn one_line_a_request_tells_the_decision_and_no_content() {
    let emulator = emulator(true).await;
    let running = router(&emulator, "chat_payg", "").await;
    for stream in [false, true] {
        let question = Question { id: "log-lines-1", text: "쉿비밀", stream, ..QUESTION };
        let (_, answer) = question.ask(&running.url()).await;
        assert!(answer.contains("쉿비밀"), "the emulator echoes");
    }
    running.stop().await;

    let written = LINES.text();
    for secret in ["쉿비밀", "header-secret", "query-secret"] {
        assert!(!written.contains(secret), "{secret}");
    }
    let requests = lines_of("log-lines-1");
    assert_eq!(requests.len(), 2, "{requests:?}");
    for line in requests {
        let told = ["request_id", "path", "task", "model", "deployment", "billing", "end"]
            .map(|field| line[field].as_str().unwrap_or("-").to_owned());
        let expected = [
            "log-lines-1",
            "/v1/chat/completions",
            "chat",
            "gpt-4o",
            "chat_payg",
            "pay_as_you_go",
            "complete",
        ];
        assert_eq!(told, expected);
        assert_eq!((&line["status"], &line["attempts"]), (&json!(200), &json!(1)));
        // A stream's cost is known once it has ended, when its headers have long been sent.
        for number in ["score", "cost_usd", "duration_ms", "overhead_us"] {
            assert!(line[number].is_number(), "{number}: {line}");
        }
    }
}

/// The headers that could have named them are never made.
#[tokio::test]
async fn the_line_of_a_caller_who_leaves_before_the_answer_has_the_attempts() {
    let emulator = emulator(false).await;
    emulator.script("gpt-4o", Step::hang());
    let running = router(&emulator, "chat_left", "").await;
    let question = Question { id: "log-lines-left", ..QUESTION };
    let url = running.url();
    let patience = Duration::from_millis(500);
    let left = tokio::time::timeout(patience, question.ask(&url)).await;
    assert!(left.is_err(), "{left:?}");
    let line = loop {
        if let Some(line) = lines_of("log-lines-left").pop() {
            break line;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let told = ["task", "deployment", "billing", "end"].map(|field| line[field].as_str());
    assert_eq!(told, ["chat", "chat_left", "pay_as_you_go", "hung_up"].map(Some), "{line}");
    assert_eq!((line.get("status"), &line["attempts"]), (None, &json!(1)));
    assert!(line["trail"].as_str().unwrap().contains("chat_left hung_up"), "{line}");
    running.stop().await;
}

/// With a file for all requests, the log of the process has those that need attention.
#[tokio::test]
async fn lines_are_for_all_requests_for_problems_or_for_none() {
    let emulator = emulator(false).await;
    let folder = tempfile::tempdir().unwrap();
    let file = format!("request_log.path = {:?}", folder.path().join("requests.jsonl"));
    for (name, more, good, failed) in [
        ("default", "", true, true),
        ("all", "server.request_lines = \"all\"", true, true),
        ("problems", "server.request_lines = \"problems\"", false, true),
        ("none", "server.request_lines = \"none\"", false, false),
        ("file", file.as_str(), false, true),
    ] {
        let running = router(&emulator, "chat_payg", more).await;
        let url = running.url();
        let id = |id: &str| format!("lines-{name}-{id}");
        for (of, model, stream, status) in [
            ("good", "auto", false, 200),
            ("whole", "auto", true, 200),
            ("failed", "unknown", false, 404),
        ] {
            let (found, _) = Question { id: &id(of), model, stream, ..QUESTION }.ask(&url).await;
            assert_eq!(found, status, "{of}");
        }
        // Its only attempt answered, and broke off after the head.
        emulator.script("gpt-4o", Step::normal().text(&"a longer answer ".repeat(9)).cut_after(2));
        let broken = Question { id: &id("broken"), stream: true, ..QUESTION };
        assert_eq!(broken.ask(&url).await.0, 200);
        running.stop().await;
        let error = |of: &str| {
            let line = lines_of(&id(of)).pop()?;
            Some(line["error"].as_str().unwrap_or_default().to_owned())
        };
        let found = ["good", "whole", "failed", "broken"].map(error);
        let expected = |has: bool, error: &str| has.then(|| error.to_owned());
        let good = || expected(good, "");
        let [refused, broken] =
            ["model_not_found", "stream_interrupted"].map(|error| expected(failed, error));
        assert_eq!(found, [good(), good(), refused, broken], "{name}");
    }
}

#[tokio::test]
async fn a_name_that_azure_does_not_know_is_logged_with_its_code() {
    let emulator = Emulator::start(Settings::new()).await.unwrap();
    let running = router(&emulator, "log_lines", "").await;
    let (status, _) = Question { id: "log-lines-unknown", ..QUESTION }.ask(&running.url()).await;
    assert_eq!(status, 502);
    running.stop().await;
    let written = LINES.text();
    let each = written.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut ours = each.filter(|line| line["deployment"] == "log_lines");
    let refused = ours.find(|line| line["code"] == "DeploymentNotFound").unwrap();
    assert_eq!(refused["azure_deployment"], "gpt-4o", "the name that was sent: the model's");
    assert_eq!(refused["status"], 404);
}
