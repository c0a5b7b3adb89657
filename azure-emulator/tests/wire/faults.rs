//! Every fault on demand, by the Rust API and over HTTP.

use super::support::*;
use azure_emulator::{End, Step};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

#[tokio::test]
async fn canned_answers() {
    let emulator = started().await;
    let check = async |step: Step, status: u16, part: &str| {
        emulator.script("payg", step);
        let response = ask(&emulator, "payg", &body("hi", json!({}))).await;
        assert_eq!(response.status(), status);
        let text = response.text().await.unwrap();
        assert!(text.contains(part), "{text}");
    };
    check(Step::unauthorized(), 401, "invalid subscription key").await;
    check(Step::missing_role(), 401, "PermissionDenied").await;
    check(Step::forbidden(), 403, "Firewall").await;
    check(Step::deployment_not_found(), 404, "DeploymentNotFound").await;
    check(Step::timeout(), 408, "Timeout").await;
    check(Step::gone(), 410, "retired").await;
    check(Step::server_error(), 500, "server_error").await;
    check(Step::unavailable(), 503, "server_error").await;
    check(Step::overloaded(), 529, "overloaded").await;
    check(Step::content_filter(), 400, "ResponsibleAIPolicyViolation").await;
    check(Step::context_length(), 400, "context_length_exceeded").await;
    check(Step::unsupported_parameter("stop"), 400, "unsupported_parameter").await;
    check(Step::token_rate(55), 429, "retry after 55 seconds").await;
    check(Step::call_rate(7), 429, "call rate limit").await;
    check(Step::peak_load(20), 429, "peak load").await;
    check(Step::system_capacity(), 429, "high demand").await;
    check(Step::filtered_answer(), 200, "\"finish_reason\":\"content_filter\"").await;
    check(Step::normal(), 200, "\"finish_reason\":\"stop\"").await;
}

#[tokio::test]
async fn headers_are_sent_as_written() {
    let emulator = started().await;
    let odd = [("retry-after-ms", "0.4"), ("retry-after", "-1"), ("x-ratelimit-reset-tokens", "")];
    emulator.script("ptu", Step::throttled(odd).times(2));
    for _ in 0..2 {
        let response = ask(&emulator, "ptu", &body("hi", json!({}))).await;
        assert_eq!(response.status(), 429);
        for (name, value) in odd {
            assert_eq!(response.headers()[name], value);
        }
    }
    emulator.script("ptu", Step::throttled([]).forever());
    let bare = ask(&emulator, "ptu", &body("hi", json!({}))).await;
    assert!(!bare.headers().contains_key("retry-after"));
    emulator.clear_script("ptu");
    assert_eq!(ask(&emulator, "ptu", &body("hi", json!({}))).await.status(), 200);
}

#[tokio::test]
async fn connections_that_reset_and_answers_that_never_come() {
    let emulator = started().await;
    emulator.script_all("payg", [Step::reset(), Step::hang()]);
    let request = body("hi", json!({}));
    let send = || client().post(dated(&emulator, "payg")).json(&request).send();
    let reset = send().await.unwrap_err();
    assert!(!reset.is_timeout());
    let patience = Duration::from_millis(100);
    assert!(tokio::time::timeout(patience, send()).await.is_err());
    let ended = |entries: &[azure_emulator::Entry]| {
        entries.iter().map(|entry| entry.end).collect::<Vec<_>>() == [End::Cut, End::HungUp]
    };
    assert!(emulator.wait_for(ended, Duration::from_secs(10)).await);
}

#[tokio::test]
async fn a_reset_is_no_orderly_end() {
    let emulator = started().await;
    emulator.script("payg", Step::reset());
    let mut stream = tokio::net::TcpStream::connect(emulator.addr()).await.unwrap();
    let request = "POST /openai/v1/chat/completions HTTP/1.1\r\nhost: x\r\n\
                   content-length: 16\r\n\r\n{\"model\":\"payg\"}";
    stream.write_all(request.as_bytes()).await.unwrap();
    let fault = stream.read_to_end(&mut Vec::new()).await.unwrap_err();
    assert_eq!(fault.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn delays() {
    let emulator = started().await;
    let wait = Duration::from_millis(80);
    emulator
        .script_all("payg", [Step::normal().delay(wait), Step::normal().slow_first_token(wait)]);
    for _ in 0..2 {
        let start = tokio::time::Instant::now();
        assert_eq!(ask(&emulator, "payg", &body("hi", json!({}))).await.status(), 200);
        assert!(start.elapsed() >= wait);
    }
}

async fn streamed(step: Step) -> (String, bool) {
    let emulator = started().await;
    emulator.script("payg", step);
    let request = body("한국어로", json!({"stream": true}));
    drained(ask(&emulator, "payg", &request).await).await
}

#[tokio::test]
async fn streams_that_break() {
    let (cut, clean) = streamed(Step::normal().cut_after(2)).await;
    assert!(!clean && !cut.contains("[DONE]") && !cut.contains("\"stop\""));
    assert!(!text_of(&events(&cut)).is_empty());
    let (nothing, clean) = streamed(Step::normal().cut_at_headers()).await;
    assert!(!clean && nothing.is_empty());
    let (ended, clean) = streamed(Step::normal().end_after(0)).await;
    assert!(clean && text_of(&events(&ended)).is_empty() && !ended.contains("[DONE]"));
    let (error, clean) = streamed(Step::normal().error_event_after(0)).await;
    assert!(clean && events(&error).last().unwrap()["error"]["type"] == "server_error");
    let (late, _) = streamed(Step::normal().error_event_after(3)).await;
    assert!(!text_of(&events(&late)).is_empty() && late.contains("overloaded"));
    let (malformed, clean) = streamed(Step::normal().malformed_after(1)).await;
    assert!(clean && malformed.contains("[DONE]") && malformed.contains("chatcmpl-broken"));
}

#[tokio::test]
async fn streams_that_are_odd() {
    let (plain, _) = streamed(Step::normal()).await;
    let text = text_of(&events(&plain));
    let (crlf, _) = streamed(Step::normal().crlf()).await;
    assert!(crlf.contains("\r\n\r\n") && !crlf.replace("\r\n", "").contains('\n'));
    assert_eq!(text_of(&events(&crlf)), text);
    let (comments, _) = streamed(Step::normal().comments()).await;
    assert!(comments.starts_with(": keep-alive") && text_of(&events(&comments)) == text);
    let (split, clean) = streamed(Step::normal().split([7, 13, 64])).await;
    assert!(clean && text_of(&events(&split)) == text);
    let (late, _) = streamed(Step::normal().async_filter()).await;
    let last = events(&late).pop().unwrap();
    assert!(last["choices"][0].get("delta").is_none() && late.ends_with("[DONE]\n\n"));
    assert_eq!(text_of(&events(&late)), text);

    let emulator = started().await;
    emulator.script("payg", Step::normal().no_content_type());
    let response = ask(&emulator, "payg", &body("hi", json!({"stream": true}))).await;
    assert!(!response.headers().contains_key("content-type"));
}

#[tokio::test]
async fn a_split_stream_arrives_in_many_reads() {
    let emulator = started().await;
    emulator.script("payg", Step::normal().split([200]));
    let mut response = ask(&emulator, "payg", &body("hi", json!({"stream": true}))).await;
    let mut reads = 0;
    let mut bytes = 0;
    while let Some(chunk) = response.chunk().await.unwrap() {
        reads += 1;
        bytes += chunk.len();
    }
    // Two writes may be read as one; most are not.
    assert!(reads > bytes / 200 / 4, "{reads} reads of {bytes} bytes");
}

#[tokio::test]
async fn a_stream_leaves_in_time() {
    let emulator = started().await;
    let pause = Duration::from_millis(80);
    emulator.script("payg", Step::normal().pause_after(1, pause));
    let start = tokio::time::Instant::now();
    let mut response = ask(&emulator, "payg", &body("hi", json!({"stream": true}))).await;
    let first = response.chunk().await.unwrap().unwrap();
    assert!(first.starts_with(b"data: "));
    while response.chunk().await.unwrap().is_some() {}
    assert!(start.elapsed() >= pause);
}

#[tokio::test]
async fn scripts_over_http() {
    let emulator = started().await;
    let url = |path: &str| format!("{}/emulator/{path}", emulator.url());
    let script = json!({"deployment": "payg", "steps": [{"throttled_ms": 250, "times": 2}]});
    let added = client().post(url("script")).json(&script).send().await.unwrap();
    assert_eq!(added.status(), 200);
    let refused = ask(&emulator, "payg", &body("hi", json!({}))).await;
    assert_eq!(
        (refused.status().as_u16(), &refused.headers()["retry-after-ms"]),
        (429, &"250".parse().unwrap())
    );
    client().delete(url("script")).send().await.unwrap();
    assert_eq!(ask(&emulator, "payg", &body("hi", json!({}))).await.status(), 200);
    let wrong = json!({"deployment": "payg", "steps": [{"thortle": 1}]});
    let wrong = client().post(url("script")).json(&wrong).send().await.unwrap();
    assert_eq!(wrong.status(), 400);

    let state: Value = client().get(url("state")).send().await.unwrap().json().await.unwrap();
    assert_eq!(state["deployments"]["payg"]["throttled"], 1);
    let journal = client().get(url("journal")).send().await.unwrap().text().await.unwrap();
    assert!(journal.contains("\"deployment\":\"payg\"") && !journal.contains("\"hi\""));
}
