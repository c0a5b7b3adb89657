//! Connections to upstreams: a kept-alive connection that dies under a request costs nothing, a
//! dead one is abandoned, and none is used beyond its age.

use std::time::Duration;

use serde_json::json;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::h2_upstream::{Act, H2Upstream};
use crate::support::raw_upstream::{RawUpstream, Scripted, Then, events, routed};
use crate::support::{Bench, Layout, PATIENCE, question};

const FAULTS: &str =
    "model_router_attempts_total{billing=\"pay_as_you_go\",deployment=\"only\",outcome=\"broken\"}";

fn alone() -> Layout {
    Layout::empty().payg("only", "gpt-4o").payg("o1_payg", "o1")
}

#[tokio::test]
async fn a_kept_connection_that_dies_under_a_request_is_replaced_and_nothing_is_held_against_the_deployment()
 {
    for streamed in [false, true] {
        // Each connection serves one request and closes under the second.
        let upstream = RawUpstream::start(|asked| match asked.nth {
            0 => Scripted::completion("good"),
            _ => Scripted::bytes("").then(Then::Close),
        })
        .await;
        let bench = upstream.routed(alone()).await;
        for round in 0..10 {
            let answer = bench.ask("chat", json!({"stream": streamed})).await;
            assert_eq!(answer.status, 200, "{round}: {answer:?}");
            assert_eq!(answer.header("x-router-attempts"), Some("1"), "{round}");
        }
        assert!(bench.metric(FAULTS).await.abs() < 1e-9);
        let resent = upstream.asked().iter().filter(|asked| asked.nth == 1).count();
        assert!(resent > 0, "no connection was used twice");
    }
}

#[tokio::test]
async fn a_new_connection_that_closes_without_an_answer_is_a_fault_and_is_not_asked_again() {
    let upstream = RawUpstream::start(|_| Scripted::bytes("").then(Then::Close)).await;
    let bench = upstream.routed(alone()).await;
    let answer = bench.ask("chat", json!({})).await;
    assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_failed"), "{answer:?}");
    assert_eq!(upstream.count("only"), 1);
}

#[tokio::test]
async fn a_head_that_is_no_http_is_not_asked_for_again() {
    let upstream = RawUpstream::start(|asked| match asked.nth {
        0 => Scripted::completion("good"),
        _ => Scripted::bytes("SMTP 220 ready\r\n\r\n").then(Then::Close),
    })
    .await;
    let bench = upstream.routed(alone()).await;
    assert_eq!(bench.ask("chat", json!({})).await.status, 200);
    assert_eq!(bench.ask("chat", json!({})).await.status, 502);
    assert_eq!(upstream.count("only"), 2);
}

#[tokio::test]
async fn a_connection_that_fell_silent_and_those_beside_it_are_used_by_no_later_request() {
    // The first connections die quietly after one request each; new ones serve.
    let upstream = RawUpstream::start(|asked| match (asked.connection, asked.nth) {
        (0..4, 1..) => Scripted::bytes("").then(Then::Silence),
        _ => Scripted::completion("good"),
    })
    .await;
    let layout = alone()
        .set("roles.chat.first_byte_timeout_ms", 300)
        .set("limits.fault_cooldown_ms", 1)
        .set("limits.fault_cooldown_max_ms", 1);
    let bench = upstream.routed(layout).await;
    let body = json!({"max_tokens": 1});
    let asks = (0..4).map(|_| bench.ask("chat", body.clone()));
    for answer in futures_util::future::join_all(asks).await {
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let answer = bench.ask("chat", body.clone()).await;
    assert_eq!(answer.status, 504, "{answer:?}");
    for _ in 0..8 {
        let answer = bench.ask("chat", body.clone()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

#[tokio::test]
async fn no_request_starts_on_a_connection_beyond_its_age() {
    let upstream = RawUpstream::start(|_| Scripted::completion("good")).await;
    let bench = upstream.routed(alone().set("limits.connection_max_age_ms", 50)).await;
    let started = tokio::time::Instant::now();
    while upstream.opened() < 4 {
        assert_eq!(bench.ask("chat", json!({})).await.status, 200);
        assert!(started.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let upstream = RawUpstream::start(|_| Scripted::completion("good")).await;
    let bench = upstream.routed(alone()).await;
    for _ in 0..10 {
        assert_eq!(bench.ask("chat", json!({})).await.status, 200);
    }
    assert_eq!(upstream.opened(), 1, "within its age one connection serves all");
}

/// A caller that requests a stream and reads only its first bytes.
async fn stalled(bench: &Bench, model: &str) -> TcpStream {
    let body = question(model, json!({"stream": true})).to_string();
    let addr = bench.server.url().strip_prefix("http://").unwrap().to_owned();
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let length = body.len();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut first = [0; 12];
    stream.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    stream
}

/// Two models at one endpoint, so that a script can tell long answers from short ones.
fn long_and_short() -> Layout {
    Layout::empty().payg("long", "gpt-4o").payg("short", "gpt-4.1").payg("o1_payg", "o1")
}

#[tokio::test]
async fn callers_who_stop_reading_hold_up_nobody_else_over_http_1() {
    let upstream = RawUpstream::start(|asked| {
        if asked.head.contains("/deployments/long/") {
            let word =
                events(&"word ".repeat(1000)).split_inclusive("\n\n").next().unwrap().to_owned();
            return Scripted::event_stream(&word).then(Then::Endless(word.into_bytes()));
        }
        Scripted::completion("good")
    })
    .await;
    let bench = upstream.routed(long_and_short()).await;
    let mut held = Vec::new();
    for _ in 0..6 {
        held.push(stalled(&bench, "gpt-4o").await);
        assert_eq!(bench.ask("gpt-4.1", json!({})).await.status, 200);
    }
}

#[tokio::test]
async fn callers_who_stop_reading_hold_up_nobody_else_over_http_2() {
    let upstream = H2Upstream::start(|_, _, path| {
        if path.contains("/deployments/long/") { Act::Flood } else { Act::Answer }
    })
    .await;
    let layout = upstream.reached_by(long_and_short());
    let bench = routed(&layout, &upstream.url()).await;
    let mut held = Vec::new();
    for _ in 0..8 {
        held.push(stalled(&bench, "gpt-4o").await);
        // Until this caller's share of every buffer on the way is full.
        let started = tokio::time::Instant::now();
        let mut before = usize::MAX;
        while upstream.flooded() != before && started.elapsed() < PATIENCE {
            before = upstream.flooded();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(bench.ask("gpt-4.1", json!({})).await.status, 200);
    }
}

#[tokio::test]
async fn a_limit_on_streams_queues_no_request() {
    let upstream = H2Upstream::start(|_, _, path| {
        if path.contains("/deployments/long/") { Act::Hold } else { Act::Answer }
    })
    .await;
    let layout = upstream.reached_by(long_and_short());
    let bench = routed(&layout, &upstream.url()).await;
    assert_eq!(bench.ask("gpt-4.1", json!({})).await.status, 200);
    let held = (0..120).map(|_| bench.ask("gpt-4o", json!({})));
    let arrive = async {
        let started = tokio::time::Instant::now();
        while upstream.arrived().len() < 121 {
            assert!(started.elapsed() < PATIENCE, "{:?}", upstream.arrived());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(bench.ask("gpt-4.1", json!({})).await.status, 200);
    };
    tokio::select! {
        answers = futures_util::future::join_all(held) => panic!("{answers:?}"),
        () = arrive => {}
    }
}

#[tokio::test]
async fn a_connection_of_http_2_that_went_dead_is_left_after_one_silence() {
    let upstream =
        H2Upstream::start(
            |connection, nth, _| {
                if connection == 0 && nth > 0 { Act::Freeze } else { Act::Answer }
            },
        )
        .await;
    let layout = alone()
        .set("roles.chat.first_byte_timeout_ms", 300)
        .set("limits.fault_cooldown_ms", 1)
        .set("limits.fault_cooldown_max_ms", 1);
    let bench = routed(&upstream.reached_by(layout), &upstream.url()).await;
    let body = json!({"max_tokens": 1});
    assert_eq!(bench.ask("chat", body.clone()).await.status, 200);
    assert_eq!(bench.ask("chat", body.clone()).await.status, 504);
    for _ in 0..5 {
        assert_eq!(bench.ask("chat", body.clone()).await.status, 200);
    }
    assert_eq!(upstream.opened(), 2);
}

#[tokio::test]
async fn a_dead_connection_of_http_2_is_found_by_pings_and_its_requests_go_out_again() {
    let upstream =
        H2Upstream::start(
            |connection, nth, _| {
                if connection == 0 && nth > 0 { Act::Freeze } else { Act::Answer }
            },
        )
        .await;
    let bench = routed(&upstream.reached_by(alone()), &upstream.url()).await;
    assert_eq!(bench.ask("chat", json!({})).await.status, 200);
    let answer = bench.ask("chat", json!({})).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("x-router-attempts"), Some("1"));
    assert!(bench.metric(FAULTS).await.abs() < 1e-9);
}

#[tokio::test]
async fn http_2_is_used_unless_config_says_otherwise() {
    let upstream = H2Upstream::start(|_, _, _| Act::Answer).await;
    let layout = upstream.reached_by(alone());
    let bench = routed(&layout, &upstream.url()).await;
    assert_eq!(bench.ask("chat", json!({})).await.status, 200);
    let bench = routed(&layout.set("endpoints.azure.http2", false), &upstream.url()).await;
    let answer = bench.ask("chat", json!({})).await;
    assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_failed"), "{answer:?}");
}
