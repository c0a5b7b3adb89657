//! Callers that read or send slowly hold no more than their share.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::keys::{client_of, key, with_keys};
use crate::support::{Answer, Layout, PATIENCE, checked, question};

use super::{connected, head};

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
