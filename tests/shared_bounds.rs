//! The resources that one caller can take from others are bounded: memory, slots, time, connections.
//! `tests/hostile` applies load; here each rule is shown once, over raw sockets where a client
//! would not do it.

#![expect(
    clippy::disallowed_methods,
    reason = "callers and an upstream that wait while a test goes on"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use azure_emulator::{End, Entry, Step};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::keys::{ask_as, client_of, key, with_keys};
use crate::support::{Answer, Bench, Layout, PATIENCE, checked, question};

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

/// An upstream that answers a question of `large` with 32 MiB, whole or streamed, and any other with little. It counts the
/// calls that it was asked, and those that broke off while it answered.
#[derive(Debug, Default)]
struct Large {
    asked: AtomicUsize,
    broken: AtomicUsize,
    /// Answers to a question of `other` that were taken whole.
    taken: AtomicUsize,
}

impl Large {
    async fn listen() -> (String, Arc<Self>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let large = Arc::new(Self::default());
        let counts = Arc::clone(&large);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&counts).answer(stream));
            }
        });
        (url, large)
    }

    async fn answer(self: Arc<Self>, mut stream: TcpStream) {
        let mut request = Vec::new();
        while !request.ends_with(b"}") {
            if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
                return;
            }
        }
        self.asked.fetch_add(1, Ordering::SeqCst);
        let request = String::from_utf8(request).unwrap();
        let said = "x".repeat(if request.contains("large") { 32 << 20 } else { 5 });
        let message = json!({"role": "assistant", "content": said});
        let answer = json!({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-4o",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]});
        let streamed = request.contains(r#""stream":true"#);
        let kind = if streamed { "text/event-stream" } else { "application/json" };
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\nconnection: close\r\n\r\n");
        let body = if streamed {
            let delta = json!({"content": "x".repeat(10_000)});
            let event = json!({"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o",
                "choices": [{"index": 0, "delta": delta}]});
            format!("data: {event}\n\n").repeat(3_200)
        } else {
            answer.to_string()
        };
        if stream.write_all((head + &body).as_bytes()).await.is_err() {
            self.broken.fetch_add(1, Ordering::SeqCst);
        } else if request.contains("other") {
            self.taken.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Asks for a large answer and reads nothing of it: it fills the sockets' buffers and stays.
async fn stalls(server: &router_server::Running, streamed: bool) -> TcpStream {
    stalls_as(server, "team", streamed).await
}

async fn stalls_as(server: &router_server::Running, name: &str, streamed: bool) -> TcpStream {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut stream = socket.connect(server.addr()).await.unwrap();
    let body = question("gpt-4o", json!({"stream": streamed, "user": format!("large {name}")}));
    let body = body.to_string();
    let request = head(name, body.len(), "") + &body;
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

async fn waits_for(holds: impl AsyncFn() -> bool) -> bool {
    let until = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, until).await.is_ok()
}

#[tokio::test]
async fn an_unread_answer_holds_its_slot_until_its_reader_is_disconnected_and_its_call_cancelled() {
    for streamed in [false, true] {
        let (url, upstream) = Large::listen().await;
        let layout =
            with_keys(Layout::empty().payg("chat_payg", "gpt-4o").payg("o1_payg", "o1"), &["team"])
                .set("server.write_idle_ms", 3_000)
                .set("keys.team.max_in_flight", 1);
        let server = router_server::start(&checked(&layout.toml(&url))).await.unwrap();
        let _stalled = stalls(&server, streamed).await;
        assert!(waits_for(async || upstream.asked.load(Ordering::SeqCst) == 1).await);
        let ask = async || {
            let chat = reqwest::Client::new().post(format!("{}/v1/chat/completions", server.url()));
            let chat = chat.json(&question("gpt-4o", json!({}))).bearer_auth(key("team"));
            Answer::of(chat).await.status
        };
        assert_eq!(ask().await, 429, "nobody has read it");
        assert!(waits_for(async || ask().await == 200).await, "a free slot");
        // A whole answer has arrived long before, a stream's call is cancelled.
        let broken = upstream.broken.load(Ordering::SeqCst);
        assert_eq!(broken, usize::from(streamed), "streamed: {streamed}");
    }
}

#[tokio::test]
async fn a_key_whose_readers_are_slow_holds_at_most_half_of_the_memory_for_answers() {
    let (url, upstream) = Large::listen().await;
    let layout = Layout::empty().payg("chat_payg", "gpt-4o").payg("o1_payg", "o1");
    let layout = with_keys(layout, &["team", "other", "operator"])
        .set("keys.operator.operator", true)
        .set("limits.response_memory_bytes", 100 << 20);
    let server = router_server::start(&checked(&layout.toml(&url))).await.unwrap();
    let operator = client_of("operator");
    let held = async || {
        let metrics = Answer::of(operator.get(format!("{}/metrics", server.url()))).await.text;
        let line = "model_router_memory_bytes{budget=\"responses\"} ";
        metrics.lines().find_map(|known| known.strip_prefix(line)?.parse::<f64>().ok()).unwrap()
    };
    // 32 MiB each: one is taken whole, and of the next as much as the key's half has room for.
    let mut stalled = vec![stalls_as(&server, "team", false).await];
    assert!(waits_for(async || held().await > f64::from(31 << 20)).await);
    for _ in 0..3 {
        stalled.push(stalls_as(&server, "team", false).await);
    }
    let half = f64::from(50 << 20);
    assert!(waits_for(async || upstream.asked.load(Ordering::SeqCst) == 4).await);
    assert!(held().await <= half, "{} of {half}", held().await);
    // Another key's answer is taken whole: it may still fall back, and its deployment is free again.
    stalled.push(stalls_as(&server, "other", false).await);
    assert!(waits_for(async || upstream.taken.load(Ordering::SeqCst) == 1).await);
    let most = half + f64::from(33 << 20);
    assert!(held().await <= most, "{} of {most}", held().await);
}

#[tokio::test]
async fn a_key_whose_uploads_are_slow_holds_at_most_half_of_the_memory_for_bodies() {
    let layout = with_keys(Layout::pair(), &["slow", "other", "operator"])
        .set("keys.operator.operator", true)
        .set("server.body_memory_bytes", 8 << 20);
    let bench = layout.start().await;
    let operator = client_of("operator");
    let held = async || {
        let metrics = Answer::of(operator.get(bench.url("/metrics"))).await.text;
        let line = "model_router_memory_bytes{budget=\"bodies\"} ";
        metrics.lines().find_map(|known| known.strip_prefix(line)?.parse::<f64>().ok()).unwrap()
    };
    let mut stream = connected(&bench).await;
    stream.write_all(head("slow", 4 << 20, "").as_bytes()).await.unwrap();
    stream.write_all(&vec![b' '; 3 << 20]).await.unwrap();
    assert!(waits_for(async || held().await >= f64::from(3 << 20)).await);
    let large = question("chat", json!({"user": "x".repeat(1 << 20)}));
    let ask = async |name: &str| {
        let answer = Answer::of(bench.request(&large).bearer_auth(key(name))).await;
        (answer.status, if answer.status == 200 { String::new() } else { answer.code() })
    };
    assert_eq!(ask("slow").await, (503, "router_overloaded".into()));
    assert_eq!(ask("other").await, (200, String::new()));
}

#[tokio::test]
async fn stored_responses_are_read_within_the_keys_rate() {
    let layout = Layout::pair().text("endpoints.azure.api_version", "2025-04-01-preview");
    let layout = with_keys(layout, &["team"]).set("keys.team.requests_per_minute", 3);
    let bench = layout.start().await;
    let body = json!({"model": "gpt-4o", "input": "Say hello."});
    let made = bench.client.post(bench.url("/v1/responses")).json(&body).bearer_auth(key("team"));
    let made = Answer::of(made).await;
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let read = async |tail: &str| {
        let url = bench.url(&format!("/v1/responses/{id}{tail}"));
        Answer::of(bench.client.get(url).bearer_auth(key("team"))).await.status
    };
    assert_eq!([read("").await, read("").await], [200, 200]);
    assert_eq!([read("").await, read("/input_items").await], [429, 429]);
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

#[tokio::test]
async fn embeddings_longer_than_an_answer_may_be_are_relayed_without_a_fault() {
    let layout = Layout::pair()
        .payg("embed", "text-embedding-3-large")
        .payg("embed_2", "text-embedding-3-large")
        .set("limits.max_answer_bytes", 65_536);
    let bench = layout.start().await;
    let body = json!({"model": "text-embedding-3-large", "input": vec!["x"; 50]});
    let ask = bench.client.post(bench.url("/v1/embeddings")).json(&body);
    let answer = Answer::of(ask).await;
    assert_eq!(answer.status, 200, "{}", answer.text.len());
    assert!(answer.text.len() > 65_536, "{}", answer.text.len());
    assert_eq!(answer.json()["data"].as_array().unwrap().len(), 50);
    assert_eq!(bench.emulator.journal().len(), 1, "one attempt");
    assert_eq!(answer.headers["x-router-attempts"], "1");
}
