//! Audio and images as raw bytes are relayed as they arrive, and never end as if they were complete
//! when they are not.

use std::time::Duration;

use futures_util::StreamExt;
use serde_json::json;

use crate::support::raw_upstream::{RawUpstream, Scripted, Then};
use crate::support::{Bench, Layout, PATIENCE};

const HEAD: &str =
    "HTTP/1.1 200 X\r\ncontent-type: audio/mpeg\r\ntransfer-encoding: chunked\r\n\r\n";

fn speech() -> Layout {
    Layout::pair()
        .payg("speak", "tts-1")
        .payg("speak_too", "tts-1")
        .set("limits.idle_timeout_ms", 400)
        .set("roles.chat.first_byte_timeout_ms", 400)
}

async fn ask(bench: &Bench) -> reqwest::Response {
    let body = json!({"model": "tts-1", "input": "hello", "voice": "alloy"});
    bench.client.post(bench.url("/v1/audio/speech")).json(&body).send().await.unwrap()
}

#[tokio::test]
async fn the_first_bytes_of_speech_arrive_before_the_last_ones_are_made() {
    let script = |_: &_| Scripted::bytes(format!("{HEAD}2\r\nab\r\n")).then(Then::Silence);
    let upstream = RawUpstream::start(script).await;
    let bench = upstream.routed(speech()).await;
    let response = ask(&bench).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "audio/mpeg");
    let mut pieces = response.bytes_stream();
    let first = tokio::time::timeout(PATIENCE, pieces.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(&first[..], b"ab");
    // The upstream falls silent: the body fails, it does not end.
    let last = tokio::time::timeout(PATIENCE, pieces.next()).await.unwrap();
    assert!(last.is_some_and(|piece| piece.is_err()), "it must not look whole");
    let text = bench.get("/metrics").await.text;
    assert!(text.contains("error_type=\"stream_interrupted\""), "{text}");
}

#[tokio::test]
async fn speech_that_breaks_off_fails_the_callers_body() {
    let script = |_: &_| Scripted::bytes(format!("{HEAD}2\r\nab\r\n")).then(Then::Close);
    let bench = RawUpstream::start(script).await;
    let bench = bench.routed(speech()).await;
    assert!(ask(&bench).await.bytes().await.is_err(), "it must not look whole");
}

#[tokio::test]
async fn speech_without_a_first_byte_goes_on_to_the_next_deployment() {
    let whole = format!("{HEAD}2\r\nab\r\n1\r\nc\r\n0\r\n\r\n");
    for (bytes, then) in [
        (HEAD.to_owned(), Then::Close),
        (format!("{HEAD}0\r\n\r\n"), Then::Keep),
        (HEAD.to_owned(), Then::Silence),
    ] {
        let (broken, whole) = (Scripted::bytes(bytes).then(then), whole.clone());
        let count = std::sync::atomic::AtomicUsize::new(0);
        let script = move |_: &_| match count.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            0 => broken.clone(),
            _ => Scripted::bytes(whole.clone()),
        };
        let upstream = RawUpstream::start(script).await;
        let bench = upstream.routed(speech()).await;
        let response = tokio::time::timeout(Duration::from_secs(60), ask(&bench)).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["x-router-attempts"], "2");
        assert_eq!(&response.bytes().await.unwrap()[..], b"abc");
    }
}
