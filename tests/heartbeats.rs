//! A slow stream is kept alive: nothing is sent before the hold time, so that a failure can still
//! set the status; after it comments are sent, fallback continues, and a final failure is an error
//! event.

use std::time::Duration;

use azure_emulator::Step;
use serde_json::json;

use crate::support::memory::{CONTENT, Canned, DONE, END, InMemory};
use crate::support::{Answer, Layout, question};

fn quick() -> Layout {
    Layout::pair().set("limits.hold_ms", 100).set("limits.heartbeat_ms", 30)
}

fn heartbeats(answer: &Answer) -> usize {
    answer.text.lines().filter(|line| line.starts_with(':')).count()
}

#[tokio::test]
async fn comments_go_out_after_the_hold_time_and_the_answer_follows() {
    let bench = quick().start().await;
    bench.emulator.script("chat_ptu", Step::normal().slow_first_token(Duration::from_millis(350)));
    let sent = tokio::time::Instant::now();
    let body = question("chat", json!({"stream": true}));
    let response = bench.request(&body).send().await.unwrap();
    assert!(sent.elapsed() >= Duration::from_millis(100), "the head leaves after the hold time");
    assert_eq!(response.headers()["content-type"], "text/event-stream; charset=utf-8");
    let text = response.text().await.unwrap();
    let answer = Answer { status: 200, headers: http::HeaderMap::new(), text };
    assert!(heartbeats(&answer) >= 2, "{}", answer.text);
    assert!(answer.text.trim_end().ends_with("[DONE]"), "{}", answer.text);
    assert!(!crate::support::words(&answer.events()).is_empty());
}

#[tokio::test]
async fn a_head_that_leaves_before_the_answer_tells_what_is_known_by_then() {
    let bench = quick().start().await;
    let slow = |deployment| {
        bench.emulator.script(deployment, Step::normal().delay(Duration::from_millis(350)));
    };
    slow("o1_payg");
    let more = json!({"stream": true, "temperature": 0.3, "max_completion_tokens": 50});
    let answer = bench.ask("reasoning", more.clone()).await;
    assert!(heartbeats(&answer) >= 1 && answer.is_whole_stream(), "{answer:?}");
    for (name, value) in [
        ("task", Some("reasoning")),
        ("adapted", Some("max_completion_tokens,temperature,stream")),
        ("model", Some("o1")),
        ("deployment", Some("o1_payg")),
        ("billing", Some("pay_as_you_go")),
        ("attempts", None),
    ] {
        assert_eq!(answer.header(&format!("x-router-{name}")), value, "{answer:?}");
    }
    // Two deployments may answer, and how it will be paid is not known.
    slow("chat_ptu");
    let answer = bench.ask("chat", more).await;
    assert!(heartbeats(&answer) >= 1 && answer.is_whole_stream(), "{answer:?}");
    for (name, value) in
        [("adapted", None), ("model", Some("gpt-4o")), ("deployment", None), ("billing", None)]
    {
        assert_eq!(answer.header(&format!("x-router-{name}")), value, "{answer:?}");
    }
}

#[tokio::test]
async fn fallback_goes_on_after_the_hold_time() {
    let bench = quick().start().await;
    bench.emulator.script("chat_ptu", Step::unavailable().delay(Duration::from_millis(250)));
    let answer = bench.ask_in_form("chat", true).await;
    assert!(answer.is_whole_stream(), "{}", answer.text);
    assert!(heartbeats(&answer) >= 1, "{}", answer.text);
    assert_eq!(bench.counts(["chat_ptu", "chat_payg"]), [1, 1]);
}

#[tokio::test]
async fn a_final_failure_after_the_hold_time_is_an_error_event() {
    let bench = quick().start().await;
    bench.emulator.script("chat_ptu", Step::unavailable().delay(Duration::from_millis(250)));
    bench.emulator.script("chat_payg", Step::server_error());
    let answer = bench.ask_in_form("chat", true).await;
    assert_eq!(answer.status, 200);
    assert!(heartbeats(&answer) >= 1);
    let error = &answer.events().pop().unwrap()["error"];
    assert_eq!(error["code"], "upstream_failed", "{}", answer.text);
    assert!(error["message"].is_string() && error["type"].is_string());
    assert!(!answer.text.contains("[DONE]"));
}

#[tokio::test]
async fn a_refusal_after_the_hold_time_is_an_event_too() {
    let bench = quick().start().await;
    bench.emulator.script("chat_ptu", Step::content_filter().delay(Duration::from_millis(250)));
    let answer = bench.ask_in_form("chat", true).await;
    assert_eq!(answer.status, 200);
    let error = &answer.events().pop().unwrap()["error"];
    assert_eq!(error["code"], "content_filter", "{}", answer.text);
}

#[tokio::test]
async fn a_failure_before_the_hold_time_is_a_status() {
    let bench = Layout::pair().start().await;
    bench.emulator.script("chat_ptu", Step::unavailable());
    bench.emulator.script("chat_payg", Step::unavailable());
    assert_eq!(bench.ask_in_form("chat", true).await.status, 502);
}

#[tokio::test]
async fn an_answer_that_is_not_streamed_waits_without_comments() {
    let bench = quick().start().await;
    bench.emulator.script("chat_ptu", Step::normal().delay(Duration::from_millis(250)));
    bench.ask_in_form("chat", false).await.assert_answered_by("chat_ptu", false);
}

#[tokio::test]
async fn a_reasoning_answer_is_streamed_on_after_comments() {
    let bench = quick().start().await;
    bench.emulator.script("o1_payg", Step::normal().delay(Duration::from_millis(300)));
    let answer = bench.ask_in_form("reasoning", true).await;
    assert!(heartbeats(&answer) >= 2, "{}", answer.text);
    assert!(answer.is_whole_stream(), "{}", answer.text);
    assert_eq!(answer.header("x-router-task"), Some("reasoning"), "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn a_long_silence_between_two_events_is_bridged_and_none_is_cut_in_two() {
    let beat = ": keep-alive\n\n";
    let (half, rest) = END.split_at(20);
    let canned =
        Canned { pause: Duration::from_secs(26), ..Canned::stream(&[CONTENT, half, rest, DONE]) };
    let router = InMemory::new(&Layout::pair(), move |_, _| Ok(canned.clone()));
    let body = question("chat", json!({"stream": true}));
    let (_, bytes) = router.ask(&body, &[]).await.unwrap();
    let expected = [CONTENT, &beat.repeat(5), END, &beat.repeat(2), DONE].concat();
    assert_eq!(bytes, expected);
}

#[tokio::test(start_paused = true)]
async fn comments_do_not_hide_that_the_upstream_has_fallen_silent() {
    let canned = Canned { pause: Duration::from_secs(1_000), ..Canned::stream(&[CONTENT, END]) };
    let router = InMemory::new(&Layout::pair(), move |_, _| Ok(canned.clone()));
    let body = question("chat", json!({"stream": true}));
    let (_, bytes) = router.ask(&body, &[]).await.unwrap();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    assert_eq!(text.matches(": keep-alive").count(), 11, "idle for 120 s: {text}");
    assert!(text.contains("stream_interrupted"), "{text}");
}
