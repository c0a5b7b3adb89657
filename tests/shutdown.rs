//! Shutdown: readiness turns false first, open streams finish, and what has not finished by the
//! drain time is cut.

use std::time::Duration;

use azure_emulator::{End, Step};
use serde_json::json;

use crate::support::{Answer, Bench, Layout, PATIENCE, question};

#[tokio::test]
async fn draining_turns_readiness_false_and_still_serves() {
    let bench = Layout::pair().start().await;
    assert_eq!(bench.get("/readyz").await.status, 200);
    bench.server.drain();
    assert_eq!(bench.get("/readyz").await.status, 503);
    for alive in ["/healthz", "/health"] {
        assert_eq!(bench.get(alive).await.status, 200);
    }
    bench.ask_in_form("chat", false).await.assert_answered_by("chat_ptu", false);
}

#[tokio::test]
async fn an_open_stream_ends_whole_and_nothing_new_is_accepted() {
    let bench = Layout::pair().start().await;
    let step = Step::normal().text("one two three").pause_after(1, Duration::from_millis(300));
    bench.emulator.script("chat_ptu", step);
    let body = question("chat", json!({"stream": true}));
    let response = bench.request(&body).send().await.unwrap();
    let headers = response.headers().clone();
    let url = bench.url("/healthz");
    let Bench { server, client, emulator: _kept } = bench;
    let (text, ()) = tokio::join!(response.text(), server.stop());
    let answer = Answer { status: 200, headers, text: text.unwrap() };
    assert!(answer.is_whole_stream(), "{}", answer.text);
    assert_eq!(answer.content(), "one two three");
    assert!(client.get(url).send().await.unwrap_err().is_connect());
}

#[tokio::test]
async fn what_has_not_ended_by_the_drain_time_is_cut_and_cancelled_upstream() {
    let bench = Layout::pair().set("server.drain_ms", 100).start().await;
    bench.emulator.script("chat_ptu", Step::normal().stall_after(1));
    let body = question("chat", json!({"stream": true}));
    let response = bench.request(&body).send().await.unwrap();
    let Bench { server, client: _client, emulator } = bench;
    let stopped = tokio::time::timeout(PATIENCE, server.stop()).await;
    assert!(stopped.is_ok(), "it must not wait for a stream that never ends");
    assert!(response.bytes().await.is_err(), "a cut stream does not look whole");
    let cancelled =
        |entries: &[azure_emulator::Entry]| entries.iter().any(|entry| entry.end == End::HungUp);
    assert!(emulator.wait_for(cancelled, PATIENCE).await);
}
