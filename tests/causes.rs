//! The cause of a failed request is in the caller's error, in its headers and in the log, never with an upstream's own text.

use std::sync::atomic::{AtomicUsize, Ordering};

use azure_emulator::Step;
use serde_json::json;

use crate::support::raw_upstream::{Asked, RawUpstream, Scripted};
use crate::support::{Answer, Bench, Layout, PATIENCE, logs, question};

/// Two deployments of one model: `dead` refuses connections, `busy` answers by a script.
fn layout(dead: &str, busy: &str) -> Layout {
    let endpoint = format!("deployments.{dead}.endpoint");
    Layout::empty()
        .payg(busy, "gpt-4o")
        .written(dead, "gpt-4o", "pay_as_you_go")
        .set("roles.reasoning.models", "[\"gpt-4o\"]")
        .text("endpoints.dead.url", "http://127.0.0.1:9")
        .text("endpoints.dead.api", "azure_v1")
        .set("endpoints.dead.anonymous", true)
        .text(&endpoint, "dead")
}

fn failing(code: &str) -> Step {
    let body = json!({"error": {"message": "SECRET PROMPT TEXT", "code": code}}).to_string();
    Step::answer(503, [], body)
}

fn fail_always(bench: &Bench, deployment: &str, code: &str) {
    for _ in 0..9 {
        bench.emulator.script(deployment, failing(code));
    }
}

/// Waits for a line with all of some texts: it is written when the answer's last byte has left.
async fn line_with(texts: &[&str]) -> String {
    let until = tokio::time::Instant::now() + PATIENCE;
    loop {
        let lines = logs::lines_with(texts[0]);
        let found = lines.iter().find(|line| texts.iter().all(|text| line.contains(text)));
        if let Some(line) = found {
            return line.clone();
        }
        assert!(tokio::time::Instant::now() < until, "no line with {texts:?} in {lines:#?}");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

async fn failed(bench: &Bench, id: &str) -> Answer {
    let request = bench.request(&question("chat", json!({}))).header("x-request-id", id);
    Answer::of(request).await
}

#[tokio::test]
async fn a_failure_names_its_causes_by_deployment() {
    logs::capture();
    let bench = layout("cause_dead", "cause_busy").start().await;
    fail_always(&bench, "cause_busy", "server_busy");
    let answer = failed(&bench, "cause-1").await;
    assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_failed"), "{answer:?}");
    let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
    for cause in ["cause_dead connect", "cause_busy status_5xx 503 server_busy"] {
        assert!(message.contains(cause), "{message}");
    }
    // The headers that an answer has.
    assert_eq!(answer.number("x-router-attempts"), 2);
    assert_eq!(answer.header("x-router-task"), Some("chat"));
    assert_eq!(answer.header("x-router-model"), Some("gpt-4o"));
    assert_eq!(answer.header("x-router-billing"), Some("pay_as_you_go"));
    assert_eq!(answer.header("x-router-residency"), Some("global"));
    assert!(answer.deployment().is_some());
    // The line of the request has the attempts, and each cause has a warning.
    let line = line_with(&["cause-1", "\"request\""]).await;
    for cause in ["cause_dead connect ", "cause_busy status_5xx 503 server_busy ", "ms\""] {
        assert!(line.contains(cause), "{line}");
    }
    line_with(&["an attempt failed", "cause_dead", "\"connect\"", "\"count\":1", "WARN"]).await;
    line_with(&["an attempt failed", "cause_busy", "503", "server_busy", "WARN"]).await;
}

#[tokio::test]
async fn a_fallback_that_succeeds_leaves_its_trail_in_the_log() {
    logs::capture();
    for (stream, id) in [(false, "trail-1"), (true, "trail-2")] {
        let layout = Layout::empty().payg("trail_one", "gpt-4o").payg("trail_two", "gpt-4o");
        let bench = layout.set("roles.reasoning.models", "[\"gpt-4o\"]").start().await;
        for name in ["trail_one", "trail_two"] {
            bench.emulator.script(name, failing("first_is_busy"));
        }
        // Both fail once: the third attempt, of another request, is the first that is served.
        failed(&bench, "trail-0").await;
        bench.emulator.script("trail_one", failing("first_is_busy"));
        let request = bench.request(&question("deployment:trail_two", json!({"stream": stream})));
        assert_eq!(Answer::of(request).await.status, 200);
        bench.emulator.script(
            "trail_two",
            Step::answer(400, [], r#"{"error":{"code":"odd","message":"no"}}"#),
        );
        let request = bench.request(&question("deployment:trail_two", json!({"stream": stream})));
        assert_eq!(Answer::of(request.header("x-request-id", id)).await.status, 400);
        line_with(&[id, "trail_two rejected 400 odd "]).await;
    }
}

#[tokio::test]
async fn an_upstreams_text_is_in_no_error_and_no_line() {
    logs::capture();
    let bench = layout("quiet_dead", "quiet_busy").start().await;
    fail_always(&bench, "quiet_busy", "SECRET CODE of http://10.1.2.3/");
    let answer = failed(&bench, "quiet-1").await;
    assert!(answer.text.contains("quiet_busy status_5xx 503"), "{answer:?}");
    line_with(&["quiet-1", "quiet_busy status_5xx 503 "]).await;
    assert!(!answer.text.contains("SECRET") && !answer.text.contains("10.1.2.3"), "{answer:?}");
    assert!(!answer.text.contains("127.0.0.1"), "{answer:?}");
    for line in logs::lines_with("quiet_busy") {
        assert!(!line.contains("SECRET") && !line.contains("10.1.2.3"), "{line}");
    }
}

#[tokio::test]
async fn minimal_names_no_cause_and_no_deployment() {
    let layout = layout("hidden_dead", "hidden_busy").text("server.expose", "minimal");
    let bench = layout.start().await;
    fail_always(&bench, "hidden_busy", "server_busy");
    let answer = failed(&bench, "hidden-1").await;
    assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_failed"));
    assert!(!answer.text.contains("hidden_") && !answer.text.contains("server_busy"), "{answer:?}");
    assert_eq!((answer.deployment(), answer.header("x-router-attempts")), (None, None));
    assert_eq!(answer.header("x-router-task"), Some("chat"));
}

#[tokio::test]
async fn what_is_refused_before_it_is_sent_says_so() {
    let layout = Layout::empty().payg("only", "gpt-4o");
    let bench = layout.set("roles.reasoning.models", "[\"gpt-4o\"]").start().await;
    let far = bench.request(&question("gpt-4o", json!({}))).header("x-router-residency", "geo:kr");
    let answer = Answer::of(far).await;
    assert_eq!(answer.code(), "residency_unsatisfiable");
    assert_eq!(answer.header("x-router-attempts"), Some("0"));
    assert_eq!(answer.header("x-router-residency"), Some("geo:kr"));
    assert_eq!(answer.deployment(), None);
}

#[tokio::test]
async fn the_warning_of_another_model_names_it_if_it_is_a_name() {
    logs::capture();
    let layout = Layout::empty().payg("swapped", "gpt-4o");
    let bench = layout.set("roles.reasoning.models", "[\"gpt-4o\"]").start().await;
    for (model, named) in [("gpt-9-mini", Some("gpt-9-mini")), ("SECRET model text", None)] {
        bench.emulator.script("swapped", Step::normal().model(model));
        assert_eq!(bench.ask("gpt-4o", json!({})).await.status, 200);
        let expected =
            named.map_or("swapped".to_owned(), |name| format!("\"answered\":\"{name}\""));
        line_with(&["another model answered", "swapped", &expected]).await;
    }
    assert!(logs::lines_with("SECRET model").is_empty());
}

#[tokio::test]
async fn a_stream_that_fails_after_its_head_names_its_causes_where_callers_may_see_them() {
    for (expose, seen) in [("all", true), ("minimal", false)] {
        let layout = layout("early_dead", "early_busy").set("limits.hold_ms", 50);
        let bench = layout.text("server.expose", expose).start().await;
        for _ in 0..9 {
            let slow = failing("server_busy").delay(std::time::Duration::from_millis(200));
            bench.emulator.script("early_busy", slow);
        }
        let answer = bench.ask_in_form("deployment:early_busy", true).await;
        assert_eq!(answer.status, 200, "the head has left: {answer:?}");
        let error = answer.events().last().unwrap()["error"].clone();
        let message = error["message"].as_str().unwrap();
        assert_eq!(error["code"], "upstream_failed");
        assert_eq!(message.contains("early_busy status_5xx 503 server_busy"), seen, "{message}");
    }
}

/// A deployment that stores a response and answers calls of it with these statuses and bodies in turn, then with the response.
async fn storing(name: &str, calls: &'static [(u16, &'static str)]) -> RawUpstream {
    logs::capture();
    let deployment = name.to_owned();
    let asked = AtomicUsize::new(0);
    RawUpstream::start(move |request: &Asked| {
        let made = json!({"id": "resp_1", "object": "response", "model": deployment, "status": "completed",
            "output": [], "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}});
        let nth = asked.fetch_add(usize::from(request.head.starts_with("get ")), Ordering::Relaxed);
        match calls.get(nth).filter(|_| request.head.starts_with("get ")) {
            Some((status, body)) => Scripted::response(*status, "application/json", body),
            None => Scripted::response(200, "application/json", made.to_string()),
        }
    })
    .await
}

fn storing_layout(name: &str) -> Layout {
    Layout::empty()
        .payg(name, "gpt-4o")
        .set("roles.reasoning.models", "[\"gpt-4o\"]")
        .text("endpoints.azure.api_version", "2025-04-01-preview")
}

async fn store(bench: &Bench) {
    let body = json!({"model": "gpt-4o", "input": "hi"});
    let made = Answer::of(bench.client.post(bench.url("/v1/responses")).json(&body)).await;
    assert_eq!(made.status, 200, "{made:?}");
}

const BUSY: &str = r#"{"error":{"message":"SECRET","code":"stored_is_busy"}}"#;
const CLOSED: &str = r#"{"error":{"message":"SECRET","code":"stored_is_closed"}}"#;

#[tokio::test]
async fn a_failing_call_of_a_stored_response_is_explained_as_a_request_is() {
    let upstream = storing("stored_at", &[(503, BUSY), (401, CLOSED)]).await;
    let bench = upstream.routed(storing_layout("stored_at")).await;
    store(&bench).await;
    let get = |id: &'static str| {
        Answer::of(bench.client.get(bench.url("/v1/responses/resp_1")).header("x-request-id", id))
    };
    let answer = get("stored-1").await;
    assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_failed"), "{answer:?}");
    assert!(answer.text.contains("stored_at status_5xx 503 stored_is_busy"), "{}", answer.text);
    assert_eq!(answer.deployment(), Some("stored_at"));
    assert_eq!(answer.number("x-router-attempts"), 1);
    assert_eq!(answer.header("x-router-model"), Some("gpt-4o"));
    assert_eq!(answer.header("x-router-residency"), Some("global"));
    line_with(&["stored-1", "\"request\"", "stored_at status_5xx 503 stored_is_busy "]).await;
    line_with(&["an attempt failed", "stored_at", "503", "stored_is_busy", "WARN"]).await;
    // A wrong configuration or missing permissions appear only in the log.
    let answer = get("stored-2").await;
    assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_misconfigured"));
    assert!(!answer.text.contains("stored_at") && answer.deployment().is_none(), "{answer:?}");
    line_with(&["the deployment refuses us", "stored_at", "stored_is_closed", "ERROR"]).await;
    let answer = get("stored-3").await;
    assert_eq!((answer.status, answer.deployment()), (200, Some("stored_at")), "{answer:?}");
    assert!(logs::lines_with("SECRET").iter().all(|line| !line.contains("stored_at")));
}

#[tokio::test]
async fn minimal_names_no_cause_of_a_stored_responses_failure() {
    let upstream = storing("stored_hidden", &[(503, BUSY)]).await;
    let layout = storing_layout("stored_hidden").text("server.expose", "minimal");
    let bench = upstream.routed(layout).await;
    store(&bench).await;
    let answer = bench.get("/v1/responses/resp_1").await;
    assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_failed"));
    assert!(!answer.text.contains("stored_") && answer.deployment().is_none(), "{answer:?}");
}
