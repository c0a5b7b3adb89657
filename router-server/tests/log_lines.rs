//! The log line of a request has the decision, and no message text or credential.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail loudly")]

use std::io::{self, Write};
use std::sync::{Arc, LazyLock, Mutex};

use axum::body::{Body, to_bytes};
use azure_emulator::quota::QuotaSettings;
use azure_emulator::{Deployment, Emulator, Settings, Step};
use http::{Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use router_core::units::Day;
use router_server::Config;
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

#[tokio::test]
async fn one_line_a_request_tells_the_decision_and_no_content() {
    LazyLock::force(&LINES);
    let quota = QuotaSettings::new(60_000, 10_000_000);
    let chat = Deployment::pay_as_you_go("chat_payg", "gpt-4o", quota).echo(true);
    let emulator = Emulator::start(Settings::new().deployment(chat)).await.unwrap();
    let text = format!(
        r#"
        server.listen = "127.0.0.1:0"
        endpoints.azure = {{ url = "{}", api = "azure_v1", anonymous = true }}
        deployments.chat_payg = {{ endpoint = "azure", model = "gpt-4o", azure_deployment = "chat_payg", billing = "pay_as_you_go", area = "global" }}
        roles.reasoning.models = ["gpt-4o"]
        roles.chat.models = ["gpt-4o"]
        "#,
        emulator.url()
    );
    let config = Config::from_toml(&text, Day::try_from("2026-11-23").unwrap()).unwrap();
    let running = router_server::start(&config).await.unwrap();
    let client: Client<_, Body> = Client::builder(TokioExecutor::new()).build_http();
    for stream in [false, true] {
        let body = json!({"model": "auto", "stream": stream, "messages": [{"role": "user", "content": "쉿비밀"}]});
        let request =
            Request::post(format!("{}/v1/chat/completions?key=query-secret", running.url()))
                .header("authorization", "Bearer header-secret")
                .header("x-request-id", "log-lines-1")
                .header("content-type", "application/json")
                .body(Body::from(body.to_string()))
                .unwrap();
        let answer = client.request(request).await.unwrap();
        let whole = to_bytes(Body::new(answer.into_body()), 1 << 20).await.unwrap();
        assert!(String::from_utf8_lossy(&whole).contains("쉿비밀"), "the emulator echoes");
    }
    running.stop().await;

    let written = LINES.text();
    for secret in ["쉿비밀", "header-secret", "query-secret"] {
        assert!(!written.contains(secret), "{secret}");
    }
    let each = written.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let ours = |line: &Value| line["message"] == "request" && line["request_id"] == "log-lines-1";
    let requests: Vec<Value> = each.filter(ours).collect();
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
        for number in ["score", "duration_ms", "overhead_us"] {
            assert!(line[number].is_number(), "{number}: {line}");
        }
    }
}

/// The status of a request's answer, once all of that has arrived.
async fn ask(url: &str, id: &str, model: &str, stream: bool) -> StatusCode {
    let messages = json!([{"role": "user", "content": "hello"}]);
    let body = json!({"model": model, "messages": messages, "stream": stream});
    let request = Request::post(format!("{url}/v1/chat/completions"))
        .header("x-request-id", id)
        .header("content-type", "application/json")
        .body(Body::from(body.to_string()))
        .unwrap();
    let client: Client<_, Body> = Client::builder(TokioExecutor::new()).build_http();
    let answer = client.request(request).await.unwrap();
    let status = answer.status();
    to_bytes(Body::new(answer.into_body()), 1 << 20).await.unwrap();
    status
}

/// With a file for all requests, the log of the process has those that need attention.
#[tokio::test]
async fn lines_are_for_all_requests_for_problems_or_for_none() {
    LazyLock::force(&LINES);
    let quota = QuotaSettings::new(60_000, 10_000_000);
    let chat = Deployment::pay_as_you_go("chat_payg", "gpt-4o", quota);
    let emulator = Emulator::start(Settings::new().deployment(chat)).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = format!("request_log.path = {:?}", folder.path().join("requests.jsonl"));
    for (name, more, good, failed) in [
        ("default", "", true, true),
        ("all", "server.request_lines = \"all\"", true, true),
        ("problems", "server.request_lines = \"problems\"", false, true),
        ("none", "server.request_lines = \"none\"", false, false),
        ("file", file.as_str(), false, true),
    ] {
        let text = format!(
            r#"
            server.listen = "127.0.0.1:0"
            {more}
            endpoints.azure = {{ url = "{}", api = "azure_v1", anonymous = true }}
            deployments.chat_payg = {{ endpoint = "azure", model = "gpt-4o", azure_deployment = "chat_payg", billing = "pay_as_you_go", area = "global" }}
            roles.reasoning.models = ["gpt-4o"]
            roles.chat.models = ["gpt-4o"]
            "#,
            emulator.url()
        );
        let config = Config::from_toml(&text, Day::try_from("2026-11-23").unwrap()).unwrap();
        let running = router_server::start(&config).await.unwrap();
        for (id, model, stream, status) in [
            ("good", "auto", false, 200),
            ("whole", "auto", true, 200),
            ("failed", "unknown", false, 404),
        ] {
            let found = ask(&running.url(), &format!("lines-{name}-{id}"), model, stream).await;
            assert_eq!(found, status, "{id}");
        }
        // Its only attempt answered, and broke off after the head.
        emulator
            .script("chat_payg", Step::normal().text(&"a longer answer ".repeat(9)).cut_after(2));
        assert_eq!(ask(&running.url(), &format!("lines-{name}-broken"), "auto", true).await, 200);
        running.stop().await;
        let written = LINES.text();
        let each = written.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let requests: Vec<Value> = each.filter(|line| line["message"] == "request").collect();
        let error = |id: &str| {
            let id = format!("lines-{name}-{id}");
            let line = requests.iter().find(|line| line["request_id"] == id.as_str())?;
            Some(line["error"].as_str().unwrap_or_default())
        };
        let found = ["good", "whole", "failed", "broken"].map(error);
        let [good, failed] =
            [(good, ""), (failed, "model_not_found")].map(|(has, error)| has.then_some(error));
        let broken = failed.and(Some("stream_interrupted"));
        assert_eq!(found, [good, good, failed, broken], "{name}");
    }
}

#[tokio::test]
async fn a_name_that_azure_does_not_know_is_logged_with_its_code() {
    LazyLock::force(&LINES);
    let emulator = Emulator::start(Settings::new()).await.unwrap();
    let text = format!(
        r#"
        server.listen = "127.0.0.1:0"
        endpoints.azure = {{ url = "{}", api = "azure_v1", anonymous = true }}
        deployments.log_lines = {{ endpoint = "azure", model = "gpt-4o", sku = "GlobalStandard" }}
        roles.reasoning.models = ["gpt-4o"]
        roles.chat.models = ["gpt-4o"]
        "#,
        emulator.url()
    );
    let config = Config::from_toml(&text, Day::try_from("2026-11-23").unwrap()).unwrap();
    let running = router_server::start(&config).await.unwrap();
    let client: Client<_, Body> = Client::builder(TokioExecutor::new()).build_http();
    let body = json!({"model": "auto", "messages": [{"role": "user", "content": "hello"}]});
    let request = Request::post(format!("{}/v1/chat/completions", running.url()))
        .header("content-type", "application/json")
        .body(Body::from(body.to_string()))
        .unwrap();
    assert_eq!(client.request(request).await.unwrap().status(), 502);
    running.stop().await;
    let written = LINES.text();
    let each = written.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut ours = each.filter(|line| line["deployment"] == "log_lines");
    let refused = ours.find(|line| line["code"] == "DeploymentNotFound").unwrap();
    assert_eq!(refused["azure_deployment"], "gpt-4o", "the name that was sent: the model's");
    assert_eq!(refused["status"], 404);
}
