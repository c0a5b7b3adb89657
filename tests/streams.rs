//! Streams: held until the first content, relayed as bytes, and never ended silently.

use std::time::Duration;

use azure_emulator::Step;
use serde_json::json;

use crate::support::memory::{CONTENT, Canned, DONE, END, InMemory};
use crate::support::{Answer, Layout, question, words};

#[tokio::test]
async fn a_fault_before_the_first_content_goes_on_to_the_next_deployment() {
    let before = || Step::normal();
    for (step, cause) in [
        (before().cut_after(0), "broken"),
        (before().end_after(0), "broken"),
        (before().malformed_after(0), "broken"),
        (before().error_event_after(0), "error_event"),
        (before().cut_at_headers(), "broken"),
        (before().stall_after(0), "timeout"),
        (before().slow_first_token(Duration::from_secs(30)), "timeout"),
    ] {
        let bench = Layout::pair().set("roles.chat.first_byte_timeout_ms", 300).start().await;
        bench.emulator.script("chat_ptu", step);
        let answer = bench.ask_in_form("chat", true).await;
        answer.assert_answered_by("chat_payg", true);
        assert_eq!(answer.header("x-router-fallback"), Some(cause), "{answer:?}");
        let roles = answer
            .events()
            .iter()
            .filter(|event| event["choices"][0]["delta"]["role"].is_string())
            .count();
        assert_eq!(roles, 1, "one answer, not two: {}", answer.text);
    }
}

/// The content before the fault, then an error in OpenAI's shape, then the end; no other deployment was tried.
#[track_caller]
fn assert_told(answer: &Answer, code: Option<&str>) {
    assert_eq!(answer.status, 200);
    assert!(!answer.content().is_empty(), "what came before is passed on: {}", answer.text);
    let events = answer.events();
    let error = &events.last().unwrap()["error"];
    assert!(error["message"].is_string() && error.get("type").is_some(), "{}", answer.text);
    if let Some(code) = code {
        assert_eq!(error["code"], code);
    }
    assert!(!answer.text.contains("[DONE]"), "it must not look whole: {}", answer.text);
    let finished = events.iter().any(|event| event["choices"][0]["finish_reason"].is_string());
    assert!(!finished, "{}", answer.text);
}

#[tokio::test]
async fn a_fault_after_content_is_told_as_an_error_event_and_ends_the_stream() {
    for (step, code) in [
        (Step::normal().cut_after(3), Some("stream_interrupted")),
        (Step::normal().end_after(3), Some("stream_interrupted")),
        (Step::normal().malformed_after(3), Some("stream_interrupted")),
        (Step::normal().stall_after(3), Some("stream_interrupted")),
        (Step::normal().error_event_after(3), None),
    ] {
        let bench = Layout::pair().set("limits.idle_timeout_ms", 300).start().await;
        bench.emulator.script("chat_ptu", step);
        let answer = bench.ask_in_form("chat", true).await;
        assert_told(&answer, code);
        assert_eq!(
            bench.counts(["chat_ptu", "chat_payg"]),
            [1, 0],
            "never a second answer glued on"
        );
        let line = "model_router_streams_total{deployment=\"chat_ptu\",ended=\"interrupted\"}";
        assert!((bench.metric(line).await - 1.0).abs() < 1e-9, "{}", answer.text);
    }
}

#[tokio::test]
async fn odd_but_whole_streams_pass() {
    for step in [
        Step::normal().crlf(),
        Step::normal().comments(),
        Step::normal().no_content_type(),
        Step::normal().async_filter(),
        Step::normal().pause_after(2, Duration::from_millis(50)),
        Step::normal().split([7, 1, 64]),
    ] {
        let bench = Layout::pair().start().await;
        bench.emulator.script("chat_ptu", step.text("one two three four five"));
        let answer = bench.ask_in_form("chat", true).await;
        answer.assert_answered_by("chat_ptu", true);
        assert_eq!(answer.content(), "one two three four five");
    }
}

const KOREAN: &str = "안녕하세요! 반갑습니다 😀 끝.";

#[tokio::test]
async fn letters_of_many_bytes_survive_whatever_way_a_stream_is_cut() {
    // On a busy machine, the first content of a stream in pieces of one byte comes late.
    let bench = Layout::pair().set("limits.hold_ms", 60_000).start().await;
    for sizes in [vec![1], vec![2, 3], vec![5, 1, 1]] {
        bench.emulator.script("chat_ptu", Step::normal().text(KOREAN).split(sizes.clone()));
        let answer = bench.ask_in_form("chat", true).await;
        answer.assert_answered_by("chat_ptu", true);
        assert_eq!(answer.content(), KOREAN, "{sizes:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn letters_of_many_bytes_survive_a_cut_at_every_byte() {
    let content = CONTENT.replace("\"hi\"", &format!("{KOREAN:?}"));
    let whole = [&content, END, DONE].concat();
    let bytes = bytes::Bytes::from(whole.clone());
    // The nth request's answer is cut at the nth byte.
    let router = InMemory::new(&Layout::pair(), move |_, at| {
        let pieces = vec![bytes.slice(..at), bytes.slice(at..)];
        Ok(Canned { body: pieces, ..Canned::stream(&[]) })
    });
    let body = question("chat", json!({"stream": true}));
    for at in 0..=whole.len() {
        let (_, bytes) = router.ask(&body, &[]).await.unwrap();
        assert_eq!(bytes, whole, "cut at byte {at}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_after_the_last_event_has_lost_nothing() {
    let router = InMemory::new(&Layout::pair(), |_, _| {
        Ok(Canned { breaks: true, ..Canned::stream(&[CONTENT, END, DONE]) })
    });
    let body = question("chat", json!({"stream": true}));
    let (_, bytes) = router.ask(&body, &[]).await.unwrap();
    assert_eq!(bytes, [CONTENT, END, DONE].concat());
}

/// The events that a caller of a stream in memory gets.
async fn relayed(pieces: &[&str]) -> String {
    let canned = Canned::stream(pieces);
    let router = InMemory::new(&Layout::pair(), move |_, _| Ok(canned.clone()));
    let (_, bytes) = router.ask(&question("chat", json!({"stream": true})), &[]).await.unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_line_that_is_no_chunk_passes_and_ends_nothing() {
    let parts = CONTENT.replace("\"hi\"", r#"[{"type":"text","text":"hi"}]"#);
    for pieces in [
        ["data: ping\n\n", CONTENT, END, DONE],
        [CONTENT, "data: ping\n\n", END, DONE],
        [CONTENT, "data: {\"choices\":7}\n\n", END, DONE],
        [&parts, CONTENT, END, DONE],
    ] {
        assert_eq!(relayed(&pieces).await, pieces.concat());
    }
}

#[tokio::test(start_paused = true)]
async fn a_chunk_of_broken_json_is_not_passed_on() {
    let broken = "data: {\"choices\":[{\"delta\":{\"content\":\"hal\n\n";
    let text = relayed(&[CONTENT, broken, END, DONE]).await;
    assert!(text.contains("stream_interrupted") && !text.contains("hal"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn an_error_that_is_a_text_alone_passes_as_it_came() {
    let error = "data: {\"error\":\"out of room\"}\n\n";
    assert_eq!(relayed(&[CONTENT, error, END, DONE]).await, [CONTENT, error].concat());
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_done_before_a_choice_has_ended_is_told_as_broken_off() {
    let second = |event: &str| event.replace("\"index\":0", "\"index\":1");
    let (content, end) = (second(CONTENT), second(END));
    for pieces in [&[CONTENT, DONE][..], &[CONTENT, &content, END, DONE], &[CONTENT, &content, END]]
    {
        let text = relayed(pieces).await;
        assert!(text.contains("stream_interrupted") && !text.contains("[DONE]"), "{text}");
    }
    let whole = [CONTENT, &content, END, &end, DONE];
    assert_eq!(relayed(&whole).await, whole.concat());
}

#[tokio::test]
async fn events_pass_as_they_come_and_not_at_the_end() {
    use futures_util::StreamExt as _;
    let bench = Layout::pair().start().await;
    let step = Step::normal().text("one two three four").pause_after(1, Duration::from_secs(60));
    bench.emulator.script("chat_ptu", step);
    let body = question("chat", json!({"stream": true}));
    let response = bench.request(&body).send().await.unwrap();
    let mut pieces = response.bytes_stream();
    let mut text = String::new();
    while words(&events(&text)).is_empty() {
        let piece = tokio::time::timeout(crate::support::PATIENCE, pieces.next()).await.unwrap();
        text.push_str(std::str::from_utf8(&piece.unwrap().unwrap()).unwrap());
    }
    assert!(!text.contains("[DONE]"), "{text}");
}

fn events(text: &str) -> Vec<serde_json::Value> {
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.filter_map(|data| serde_json::from_str(data).ok()).collect()
}
