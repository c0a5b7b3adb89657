//! The resources that one caller can take from others are bounded: memory, slots, time, connections.
//! `tests/hostile` applies load; here each rule is shown once, over raw sockets where a client
//! would not do it.

#![expect(
    clippy::disallowed_methods,
    reason = "callers and an upstream that wait while a test goes on"
)]

mod slow_readers;

use azure_emulator::{End, Entry, Step};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::keys::{ask_as, key, with_keys};
use crate::support::{Answer, Bench, Layout, PATIENCE, question};

/// A connection that says exactly what it is given.
async fn connected(bench: &Bench) -> TcpStream {
    TcpStream::connect(bench.server.addr()).await.unwrap()
}

/// The head of a chat request as `name`, which announces so many bytes.
fn head(name: &str, length: usize, more: &str) -> String {
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n{more}\r\n",
        key(name)
    )
}

/// The next bytes, up to this many; empty if the connection is closed.
async fn next(stream: &mut TcpStream) -> String {
    let mut text = vec![0; 4_096];
    let read = timeout(PATIENCE, stream.read(&mut text)).await.unwrap().unwrap_or(0);
    String::from_utf8_lossy(&text[..read]).into_owned()
}

#[tokio::test]
async fn what_is_too_large_is_refused_before_it_is_asked_for() {
    let bench = with_keys(Layout::pair(), &["team"]).start().await;
    let mut stream = connected(&bench).await;
    let expecting = head("team", 100 << 20, "expect: 100-continue\r\n");
    stream.write_all(expecting.as_bytes()).await.unwrap();
    assert!(next(&mut stream).await.starts_with("HTTP/1.1 413"));
}

#[tokio::test]
async fn a_keys_rate_and_slots_are_checked_from_the_head_alone() {
    let layout = with_keys(Layout::pair(), &["team", "busy"])
        .set("keys.team.requests_per_minute", 1)
        .set("keys.busy.max_in_flight", 1);
    let bench = layout.start().await;
    ask_as(&bench, "team", "chat").await.assert_answered_by("chat_ptu", false);
    bench.emulator.script("chat_ptu", Step::hang());
    let hanging =
        tokio::spawn(bench.request(&question("chat", json!({}))).bearer_auth(key("busy")).send());
    let under_way = |entries: &[Entry]| entries.iter().any(|entry| entry.end == End::InFlight);
    assert!(bench.emulator.wait_for(under_way, PATIENCE).await);
    for name in ["team", "busy"] {
        let mut stream = connected(&bench).await;
        let expecting = head(name, 1_000, "expect: 100-continue\r\n");
        stream.write_all(expecting.as_bytes()).await.unwrap();
        let answer = next(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 429"), "{name}: {answer}");
    }
    hanging.abort();
}

#[tokio::test]
async fn a_request_that_is_refused_for_its_body_does_not_count_against_the_rate() {
    let layout = with_keys(Layout::pair(), &["team"]).set("keys.team.requests_per_minute", 1);
    let bench = layout.start().await;
    for _ in 0..3 {
        let bad = bench.request(&json!({"model": "chat"})).bearer_auth(key("team"));
        assert_eq!(Answer::of(bad).await.status, 400);
    }
    ask_as(&bench, "team", "chat").await.assert_answered_by("chat_ptu", false);
    assert_eq!(ask_as(&bench, "team", "chat").await.status, 429);
}

#[tokio::test]
async fn a_body_that_is_still_on_its_way_holds_no_slot() {
    let layout = with_keys(Layout::pair(), &["team", "slow"]).set("server.max_in_flight", 2);
    let bench = layout.start().await;
    let mut streams = Vec::new();
    for _ in 0..5 {
        let mut stream = connected(&bench).await;
        stream.write_all((head("slow", 1_000, "") + "{").as_bytes()).await.unwrap();
        streams.push(stream);
    }
    ask_as(&bench, "team", "chat").await.assert_answered_by("chat_ptu", false);
}

#[tokio::test]
async fn a_key_among_others_holds_at_most_half_of_the_slots() {
    for (names, expected) in [(&["team", "other"][..], 429), (&["team"][..], 200)] {
        let bench = with_keys(Layout::pair(), names).set("server.max_in_flight", 4).start().await;
        bench.emulator.script("chat_ptu", Step::hang());
        bench.emulator.script("chat_ptu", Step::hang());
        let ask = || bench.request(&question("chat", json!({}))).bearer_auth(key("team")).send();
        let hanging = [tokio::spawn(ask()), tokio::spawn(ask())];
        let two = |entries: &[Entry]| {
            entries.iter().filter(|entry| entry.end == End::InFlight).count() == 2
        };
        assert!(bench.emulator.wait_for(two, PATIENCE).await);
        assert_eq!(ask_as(&bench, "team", "chat").await.status, expected, "{names:?}");
        if names.len() > 1 {
            assert_eq!(ask_as(&bench, "other", "chat").await.status, 200);
        }
        hanging.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

#[tokio::test]
async fn beyond_the_memory_for_bodies_large_ones_wait_and_small_ones_do_not() {
    let layout = Layout::pair().set("server.body_memory_bytes", 1 << 20);
    let bench = layout.start().await;
    let large = question("chat", json!({"user": "x".repeat(600 << 10)}));
    let answer = bench.chat(&large).await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "router_overloaded"), "{answer:?}");
    assert!(answer.headers.contains_key("retry-after"), "{answer:?}");
    bench.ask_in_form("chat", false).await.assert_answered_by("chat_ptu", false);
    // The resources of a request are free once it has ended.
    for _ in 0..5 {
        let fits = question("chat", json!({"user": "x".repeat(300 << 10)}));
        assert_eq!(bench.chat(&fits).await.status, 200);
    }
}

#[tokio::test]
async fn the_copy_of_a_form_that_is_sent_counts_as_well() {
    let layout = Layout::pair().payg("listen", "whisper-1");
    let bench = layout.set("server.body_memory_bytes", 1 << 20).start().await;
    let ask = async |bytes: usize| {
        let part = |head: &str| format!("--XyZ\r\nContent-Disposition: form-data; {head}\r\n\r\n");
        let mut form = part("name=\"model\"").into_bytes();
        form.extend(b"whisper-1\r\n");
        form.extend(part("name=\"file\"; filename=\"a.mp3\"").into_bytes());
        form.extend(vec![b'x'; bytes]);
        form.extend(b"\r\n--XyZ--\r\n");
        let request = bench.client.post(bench.url("/v1/audio/transcriptions")).body(form);
        Answer::of(request.header("content-type", "multipart/form-data; boundary=XyZ")).await
    };
    let answer = ask(600 << 10).await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "router_overloaded"), "{answer:?}");
    for _ in 0..3 {
        assert_eq!(ask(300 << 10).await.status, 200);
    }
}

#[tokio::test]
async fn metrics_show_how_far_memory_slots_and_connections_are_used() {
    let layout = Layout::pair().set("server.max_in_flight", 7).set("server.max_connections", 9);
    let bench = layout
        .set("server.body_memory_bytes", 3 << 20)
        .set("limits.response_memory_bytes", 5 << 20)
        .start()
        .await;
    bench.emulator.script("chat_ptu", Step::hang());
    let body = question("chat", json!({"user": "x".repeat(100 << 10)}));
    let hanging = tokio::spawn(bench.request(&body).send());
    let under_way = |entries: &[Entry]| entries.iter().any(|entry| entry.end == End::InFlight);
    assert!(bench.emulator.wait_for(under_way, PATIENCE).await);
    let shown = async |line: &str| bench.metric(&format!("model_router_{line}")).await;
    for (line, least, most) in [
        ("slots", 1.0, 1.0),
        ("slots_limit", 7.0, 7.0),
        ("connections", 1.0, 3.0),
        ("connections_limit", 9.0, 9.0),
        ("memory_bytes{budget=\"bodies\"}", 100e3, 1e6),
        ("memory_limit_bytes{budget=\"bodies\"}", 3_145_728.0, 3_145_728.0),
        ("memory_bytes{budget=\"responses\"}", 0.0, 0.0),
        ("memory_limit_bytes{budget=\"responses\"}", 5_242_880.0, 5_242_880.0),
    ] {
        let value = shown(line).await;
        assert!((least..=most).contains(&value), "{line} {value}");
    }
    hanging.abort();
    let until = tokio::time::Instant::now() + PATIENCE;
    while shown("slots").await > 0.0 || shown("memory_bytes{budget=\"bodies\"}").await > 0.0 {
        assert!(tokio::time::Instant::now() < until, "what a request held is given back");
    }
}

#[tokio::test]
async fn messages_depth_and_fields_are_bounded_by_a_400_that_says_so() {
    let bench = Layout::pair().set("limits.max_messages", 3).start().await;
    let said = json!({"role": "user", "content": "x"});
    let ask = async |body: Value| bench.chat(&body).await;
    assert_eq!(ask(json!({"model": "chat", "messages": vec![&said; 3]})).await.status, 200);
    let mut deep = json!(1);
    for _ in 0..120 {
        deep = json!([deep]);
    }
    let wide: serde_json::Map<String, Value> =
        (0..300).map(|field| (format!("f{field}"), json!(1))).collect();
    for (body, part) in [
        (json!({"model": "chat", "messages": vec![&said; 4]}), "at most 3 items"),
        (question("chat", json!({"x": deep})), "levels"),
        (question("chat", Value::Object(wide)), "fields"),
    ] {
        let answer = ask(body).await;
        let message = answer.json()["error"]["message"].to_string();
        assert!(answer.status == 400 && message.contains(part), "{answer:?}");
    }
}

#[tokio::test]
async fn a_large_body_is_parsed_once_and_its_fault_is_still_a_400() {
    let bench = Layout::pair().start().await;
    let mut parts = vec![json!({"type": "text", "text": "words"}); 9_000];
    parts.push(json!({"text": "no type"}));
    let body = json!({"model": "chat", "messages": [{"role": "user", "content": parts}]});
    assert!(body.to_string().len() > 256 << 10);
    let answer = bench.chat(&body).await;
    assert_eq!(answer.status, 400, "{answer:?}");
    // Parsed a second time, the fault would name the part.
    assert_eq!(answer.json()["error"]["param"], "body");
}

#[tokio::test]
async fn a_drain_waits_for_no_half_head_and_no_silent_peer() {
    let bench = Layout::pair().set("server.drain_ms", 60_000).start().await;
    let mut half = connected(&bench).await;
    half.write_all(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n").await.unwrap();
    let mut preface = connected(&bench).await;
    preface.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    assert!(!next(&mut preface).await.is_empty(), "its settings");
    timeout(PATIENCE, bench.server.stop()).await.unwrap();
}

#[tokio::test]
async fn a_new_connection_takes_the_place_of_the_one_that_has_been_idle_longest() {
    let bench = Layout::pair().set("server.max_connections", 8).start().await;
    let mut idle = Vec::new();
    for _ in 0..8 {
        idle.push(connected(&bench).await);
    }
    for _ in 0..3 {
        let mut stream = connected(&bench).await;
        let ask = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        stream.write_all(ask).await.unwrap();
        assert!(next(&mut stream).await.starts_with("HTTP/1.1 200"));
    }
    assert_eq!(next(&mut idle[0]).await, "", "the first gave way");
}

#[tokio::test]
async fn without_keys_a_page_of_another_site_reaches_nothing() {
    let bench = Layout::pair().start().await;
    let body = question("chat", json!({}));
    let status = async |name: &str, value: &str| {
        Answer::of(bench.request(&body).header(name, value)).await.status
    };
    assert_eq!(status("host", "evil.example").await, 403);
    assert_eq!(status("origin", "http://evil.example").await, 403);
    assert_eq!(status("origin", "null").await, 403);
    assert_eq!(status("origin", "http://localhost:3000").await, 200);
    for kind in ["text/plain", "application/x-www-form-urlencoded"] {
        let plain = bench.client.post(bench.url("/v1/chat/completions"));
        let plain = plain.header("content-type", kind).body(body.to_string());
        assert_eq!(Answer::of(plain).await.status, 415, "{kind}");
    }
    for path in ["/", "/metrics", "/healthz"] {
        let foreign = bench.client.get(bench.url(path)).header("host", "evil.example");
        assert_eq!(Answer::of(foreign).await.status, 403, "{path}");
    }
    assert_eq!(bench.emulator.journal().len(), 1);
}
