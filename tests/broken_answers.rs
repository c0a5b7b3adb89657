//! A success without a valid answer: another service's body, a truncated one, an unrequested
//! encoding, an endless preamble. The next deployment answers; without one, the caller gets a 502.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::support::memory::{Canned, InMemory};
use crate::support::raw_upstream::{RawUpstream, Scripted, Then, completion, events};
use crate::support::{Layout, question};

const JSON: &str = "application/json";

/// One upstream with two deployments: `first` is scripted, `second` answers well.
async fn check(name: &str, streamed: bool, scripted: Scripted) {
    let upstream = RawUpstream::start(move |asked| {
        if asked.head.contains("/deployments/first/") {
            scripted.clone()
        } else {
            Scripted::good(asked)
        }
    })
    .await;
    let two = Layout::empty()
        .payg("first", "gpt-4o")
        .payg("second", "gpt-4o")
        .set("deployments.second.order", 2)
        .payg("o1_payg", "o1")
        .set("deployments.second.order", 2);
    let first_alone = two.clone().set("deployments.second.enabled", false);
    // The order of two equals is the config's own.
    let bench = upstream.routed(two).await;
    let answer = bench.ask("chat", json!({"stream": streamed})).await;
    answer.assert_answered_by("second", streamed);
    assert_eq!(answer.header("x-router-fallback"), Some("broken"), "{name} {streamed} {answer:?}");
    let bench = upstream.routed(first_alone).await;
    let answer = bench.ask("chat", json!({"stream": streamed})).await;
    let told = (answer.status, answer.code());
    assert_eq!(told, (502, "upstream_failed".to_owned()), "{name} {streamed} {answer:?}");
}

fn cut() -> String {
    let mut whole = completion("hello").to_string();
    whole.truncate(90);
    whole
}

#[tokio::test]
async fn a_success_that_is_no_answer_goes_on_to_the_next_deployment() {
    let html = "<html><head><title>Sign in</title></head><body>proxy login</body></html>";
    let choices = |choices: Value| {
        let mut body = completion("x");
        body["choices"] = choices;
        body.to_string()
    };
    let closed = format!("HTTP/1.0 200 OK\r\ncontent-type: {JSON}\r\n\r\n{}", cut());
    for streamed in [false, true] {
        for (name, scripted) in [
            ("html", Scripted::response(200, "text/html", html)),
            ("empty", Scripted::response(200, JSON, "")),
            ("cut, of the announced length", Scripted::response(200, JSON, cut())),
            ("cut, ended by the connection", Scripted::bytes(closed.as_str()).then(Then::Close)),
            ("{}", Scripted::response(200, JSON, "{}")),
            ("null", Scripted::response(200, JSON, "null")),
            ("no choices", Scripted::response(200, JSON, choices(json!([])))),
            ("choices null", Scripted::response(200, JSON, choices(Value::Null))),
            (
                "another service's error",
                Scripted::response(200, JSON, r#"{"statusCode":401,"message":"Access denied"}"#),
            ),
            ("204", Scripted::bytes("HTTP/1.1 204 No Content\r\n\r\n")),
            ("202", Scripted::response(202, JSON, r#"{"status":"accepted"}"#)),
            ("an unknown encoding", encoded("br", b"\x0b\x02\x80hello\x03")),
            ("gzip that is none", encoded("gzip", b"hello")),
        ] {
            check(name, streamed, scripted).await;
        }
    }
    check("events nobody asked for", false, Scripted::event_stream(events("hi"))).await;
    check("an empty stream", true, Scripted::event_stream("")).await;
}

fn encoded(encoding: &str, body: &[u8]) -> Scripted {
    Scripted::with_headers(200, &[("content-type", JSON), ("content-encoding", encoding)], body)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn alone() -> Layout {
    Layout::empty().payg("only", "gpt-4o").payg("o1_payg", "o1")
}

#[tokio::test]
async fn a_whole_answer_in_place_of_a_stream_is_streamed_on() {
    let upstream = RawUpstream::start(|_| Scripted::completion("whole answer")).await;
    let bench = upstream.routed(alone()).await;
    let answer = bench.ask("chat", json!({"stream": true})).await;
    answer.assert_answered_by("only", true);
    assert!(answer.text.contains("whole answer") && answer.text.ends_with("data: [DONE]\n\n"));
    assert_eq!(answer.header("x-router-adapted"), Some("stream"), "{answer:?}");
}

#[tokio::test]
async fn what_arrives_compressed_is_decoded_although_none_was_asked_for() {
    let upstream = RawUpstream::start(|asked| {
        assert!(asked.head.contains("accept-encoding: identity\r\n"), "{}", asked.head);
        let streamed = asked.body.windows(13).any(|part| part == b"\"stream\":true");
        if streamed {
            let body = gzip(events("hi").as_bytes());
            let headers = [("content-type", "text/event-stream"), ("content-encoding", "gzip")];
            return Scripted::with_headers(200, &headers, body);
        }
        encoded("gzip", &gzip(completion("hi").to_string().as_bytes()))
    })
    .await;
    let bench = upstream.routed(alone()).await;
    for streamed in [false, true] {
        let answer = bench.ask_in_form("chat", streamed).await;
        answer.assert_answered_by("only", streamed);
        assert!(answer.text.contains("hi"));
        assert_eq!(answer.header("content-encoding"), None);
    }
}

#[tokio::test]
async fn a_compressed_answer_is_bounded_by_what_it_decodes_to() {
    let bomb = gzip(&vec![b' '; 8 << 20]);
    for streamed in [false, true] {
        let kind = if streamed { "text/event-stream" } else { JSON };
        let headers = [("content-type", kind), ("content-encoding", "gzip")];
        let scripted = Scripted::with_headers(200, &headers, &bomb);
        let upstream = RawUpstream::start(move |_| scripted.clone()).await;
        let layout = alone().set("limits.max_answer_bytes", 65_536);
        let bench = upstream.routed(layout).await;
        let answer = bench.ask_in_form("chat", streamed).await;
        assert_eq!(answer.status, 502, "{answer:?}");
    }
}

#[tokio::test]
async fn a_preamble_without_end_is_left_for_the_next_deployment() {
    let role = json!({"id": "c", "object": "chat.completion.chunk", "model": "gpt-4o",
        "choices": [{"index": 0, "delta": {"role": "assistant"}, "finish_reason": null}]});
    for (name, endless) in [
        ("comments", ": still alive\n\n".repeat(100)),
        ("empty events", "\n\n".repeat(1000)),
        ("chunks without content", format!("data: {role}\n\n").repeat(50)),
        ("an event without end", "data: {\"choices\": ".to_owned() + &" ".repeat(4000)),
        ("a gateway's own events", "data: 1\n\n".repeat(500)),
    ] {
        let scripted = Scripted::event_stream("").then(Then::Endless(endless.into_bytes()));
        let upstream = RawUpstream::start(move |asked| {
            if asked.head.contains("/deployments/first/") {
                scripted.clone()
            } else {
                Scripted::good(asked)
            }
        })
        .await;
        let layout = Layout::empty()
            .payg("first", "gpt-4o")
            .payg("second", "gpt-4o")
            .set("deployments.second.order", 2)
            .payg("o1_payg", "o1")
            .set("deployments.second.order", 2);
        let bench = upstream.routed(layout).await;
        let answer = bench.ask("chat", json!({"stream": true})).await;
        answer.assert_answered_by("second", true);
        assert_eq!(answer.header("x-router-fallback"), Some("broken"), "{name}: {answer:?}");
    }
}

#[tokio::test]
async fn an_answer_with_many_headers_is_an_answer() {
    for count in [101, 400] {
        let names: Vec<String> = (0..count).map(|at| format!("x-note-{at}")).collect();
        let mut headers: Vec<(&str, &str)> =
            names.iter().map(|name| (name.as_str(), "some text of a gateway")).collect();
        headers.push(("content-type", JSON));
        let scripted = Scripted::with_headers(200, &headers, completion("hi").to_string());
        let upstream = RawUpstream::start(move |_| scripted.clone()).await;
        let bench = upstream.routed(alone()).await;
        bench.ask("chat", json!({})).await.assert_answered_by("only", false);
    }
}

#[tokio::test]
async fn a_tracestate_beyond_the_standards_length_is_not_passed_on() {
    let upstream = RawUpstream::start(|_| Scripted::completion("good")).await;
    let bench = upstream.routed(alone()).await;
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    for (state, passes) in [("a=1".to_owned(), true), (format!("a={}", "x".repeat(30_000)), false)]
    {
        let request = bench.request(&question("chat", json!({})));
        let request = request.header("traceparent", parent).header("tracestate", &state);
        assert_eq!(request.send().await.unwrap().status(), 200);
        let head = upstream.asked().last().unwrap().head.clone();
        assert!(head.contains(&format!("traceparent: {parent}\r\n")));
        assert_eq!(head.contains("tracestate: "), passes, "{head}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_whole_answer_may_be_silent_for_as_long_as_it_may_take() {
    let router = InMemory::new(&Layout::pair(), |attempt, _| {
        let mut canned = Canned::good(attempt);
        // The head and a first byte come at once, the rest when the answer is made.
        let mut rest = canned.body.remove(0);
        canned.body = vec![rest.split_to(1), rest];
        Ok(Canned { pause: std::time::Duration::from_secs(300), ..canned })
    });
    let body = question("chat", json!({"max_tokens": 10_000}));
    let (response, _) = router.ask(&body, &[]).await.unwrap();
    assert_eq!(response.headers["x-router-attempts"], "1");
}
