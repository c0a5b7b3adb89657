//! Streams on the wire: what reaches the caller and when, where a stream ends, and what the router
//! learns from it.
//!
//! The test tells the upstream when to send each piece, so nothing depends on time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::response::Response;
use azure_emulator::{Emulator, Settings, Step};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::support::{Bench, Layout, PATIENCE, checked, question};

/// An upstream whose only stream is written by the test.
struct Live {
    bench: Bench,
    pieces: UnboundedSender<String>,
    calls: Arc<AtomicUsize>,
}

fn body_of(pieces: UnboundedReceiver<String>) -> Body {
    Body::from_stream(futures_util::stream::unfold(pieces, |mut pieces| async move {
        let piece = pieces.recv().await?;
        Some((Ok::<_, std::convert::Infallible>(Bytes::from(piece)), pieces))
    }))
}

impl Live {
    async fn start() -> Self {
        let (pieces, receiver) = unbounded_channel();
        let receiver = Arc::new(Mutex::new(Some(receiver)));
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let answer = move || {
            counted.fetch_add(1, Ordering::SeqCst);
            let taken = receiver.lock().unwrap().take();
            async move {
                let body = taken.map_or_else(Body::empty, body_of);
                let head = Response::builder().header("content-type", "text/event-stream");
                head.body(body).unwrap()
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = axum::Router::new().fallback(answer);
        #[expect(clippy::disallowed_methods, reason = "an upstream runs beside its test")]
        drop(tokio::spawn(async move { axum::serve(listener, app).await.unwrap() }));
        let layout = Layout::empty()
            .text("endpoints.azure.api_version", "2025-04-01-preview")
            .payg("one", "gpt-4o")
            .payg("two", "gpt-4o")
            .set("deployments.two.order", 2)
            .payg("voice", "tts-1")
            .payg("images", "gpt-image-1")
            .payg("o1_payg", "o1");
        let server = router_server::start(&checked(&layout.toml(&url))).await.unwrap();
        let emulator = Emulator::start(Settings::new()).await.unwrap();
        Self { bench: Bench::new(emulator, server), pieces, calls }
    }

    fn send(&self, event: &Value) {
        self.pieces.send(format!("data: {event}\n\n")).unwrap();
    }

    /// Asks for a stream; what was sent before is there for it.
    async fn ask(&self, path: &str, body: &Value) -> reqwest::Response {
        let asked = self.bench.client.post(self.bench.url(path)).json(body).send();
        tokio::time::timeout(PATIENCE, asked).await.unwrap().unwrap()
    }

    async fn responses(&self, more: Value) -> reqwest::Response {
        let mut body = json!({"model": "chat", "input": "hi", "stream": true});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.ask("/v1/responses", &body).await
    }

    async fn chat(&self) -> reqwest::Response {
        self.ask("/v1/chat/completions", &question("chat", json!({"stream": true}))).await
    }

    /// Waits until a stream has ended so, and none otherwise.
    async fn ended(&self, how: &str) {
        let line =
            |how| format!("model_router_streams_total{{deployment=\"one\",ended=\"{how}\"}}");
        let started = tokio::time::Instant::now();
        loop {
            let mut all = 0.0;
            for any in ["whole", "hung_up", "interrupted", "rejected"] {
                all += self.bench.metric(&line(any)).await;
            }
            if all > 0.5 {
                break;
            }
            assert!(started.elapsed() < PATIENCE);
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        let count = self.bench.metric(&line(how)).await;
        assert!((count - 1.0).abs() < 1e-9, "not {how}");
    }

    async fn tokens(&self, kind: &str) -> f64 {
        let text = self.bench.get("/metrics").await.text;
        let of_kind = format!("gen_ai_token_type=\"{kind}\"");
        let lines = text.lines().filter(|line| {
            line.starts_with("gen_ai_client_token_usage_sum") && line.contains(&of_kind)
        });
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    }
}

/// Reads on until a text has come.
async fn read_until(response: &mut reqwest::Response, text: &str) -> String {
    let mut read = String::new();
    while !read.contains(text) {
        let piece = tokio::time::timeout(PATIENCE, response.chunk()).await.unwrap();
        read += std::str::from_utf8(&piece.unwrap().unwrap()).unwrap();
    }
    read
}

fn event(kind: &str, sequence: u64, more: Value) -> Value {
    let mut event = json!({"type": kind, "sequence_number": sequence});
    if let Value::Object(more) = more {
        event.as_object_mut().unwrap().extend(more);
    }
    event
}

fn response(status: &str, usage: &Value) -> Value {
    json!({"response": {"id": "resp_1", "model": "gpt-4o", "status": status, "usage": usage}})
}

fn completed() -> Value {
    let usage = json!({"input_tokens": 11, "output_tokens": 7, "total_tokens": 18});
    event("response.completed", 9, response("completed", &usage))
}

fn said(content: &str) -> Value {
    json!({"model": "gpt-4o", "choices": [{"index": 0, "delta": {"content": content}}]})
}

fn stop() -> Value {
    json!({"model": "gpt-4o", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
}

#[tokio::test]
async fn events_of_a_hosted_tool_are_forwarded_as_they_arrive() {
    let live = Live::start().await;
    live.send(&event("response.created", 0, response("in_progress", &Value::Null)));
    live.send(&event("response.in_progress", 1, response("in_progress", &Value::Null)));
    let item = json!({"item": {"type": "web_search_call", "id": "ws_1"}});
    live.send(&event("response.output_item.added", 2, item));
    let mut stream = live.responses(json!({"tools": [{"type": "web_search"}]})).await;
    let begun = read_until(&mut stream, "output_item.added").await;
    assert!(begun.contains("response.created"), "{begun}");
    live.send(&event("response.web_search_call.searching", 3, json!({"item_id": "ws_1"})));
    read_until(&mut stream, "web_search_call.searching").await;
    live.send(&event("response.output_text.delta", 4, json!({"delta": "found"})));
    live.send(&completed());
    read_until(&mut stream, "response.completed").await;
    assert!(stream.chunk().await.unwrap().is_none());
    live.ended("whole").await;
    assert_eq!(live.calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_id_of_a_background_answer_comes_at_once() {
    let live = Live::start().await;
    live.send(&event("response.created", 0, response("queued", &Value::Null)));
    let mut stream = live.responses(json!({"background": true})).await;
    assert!(read_until(&mut stream, "response.created").await.contains("resp_1"));
}

#[tokio::test]
async fn sound_and_fields_that_are_not_known_are_content() {
    for delta in [json!({"audio": {"id": "a", "data": "AAAA"}}), json!({"something_new": "x"})] {
        let live = Live::start().await;
        live.send(&json!({"choices": [{"index": 0, "delta": {"role": "assistant"}}]}));
        live.send(&json!({"choices": [{"index": 0, "delta": delta}]}));
        let mut stream = live.chat().await;
        read_until(&mut stream, "assistant").await;
    }
}

#[tokio::test]
async fn speech_and_images_that_are_streamed_reach_the_caller_as_they_arrive() {
    for (path, body, kinds) in [
        (
            "/v1/audio/speech",
            json!({"model": "tts-1", "input": "hi", "voice": "alloy", "stream_format": "sse"}),
            ["speech.audio.delta", "speech.audio.done"],
        ),
        (
            "/v1/images/generations",
            json!({"model": "gpt-image-1", "prompt": "a cat", "stream": true}),
            ["image_generation.partial_image", "image_generation.completed"],
        ),
    ] {
        let live = Live::start().await;
        live.send(&json!({"type": kinds[0], "audio": "AAAA"}));
        let mut stream = live.ask(path, &body).await;
        read_until(&mut stream, kinds[0]).await;
        live.send(&json!({"type": kinds[1], "usage": {"input_tokens": 11, "output_tokens": 7}}));
        read_until(&mut stream, kinds[1]).await;
        // Several images end one by one: the end of the connection is the end of the stream.
        drop(live.pieces);
        let rest = tokio::time::timeout(PATIENCE, stream.chunk()).await.expect("it goes on");
        assert_eq!(rest.unwrap(), None, "{path}");
        assert_eq!(live.calls.load(Ordering::SeqCst), 1);
    }
}

/// The upstream leaves its connection open after the last event.
#[tokio::test]
async fn a_stream_is_over_at_its_last_event() {
    for (chat, reads_on) in [(true, true), (true, false), (false, true), (false, false)] {
        let live = Live::start().await;
        let (mut stream, last) = if chat {
            live.send(&said("whole"));
            live.send(&stop());
            live.send(
                &json!({"choices": [], "usage": {"prompt_tokens": 11, "completion_tokens": 7}}),
            );
            live.pieces.send("data: [DONE]\n\n".to_owned()).unwrap();
            (live.chat().await, "[DONE]")
        } else {
            live.send(&event("response.output_text.delta", 0, json!({"delta": "whole"})));
            live.send(&completed());
            (live.responses(json!({})).await, "response.completed")
        };
        read_until(&mut stream, last).await;
        if reads_on {
            let rest = tokio::time::timeout(PATIENCE, stream.chunk()).await.expect("it goes on");
            assert_eq!(rest.unwrap(), None);
        } else {
            drop(stream);
        }
        live.ended("whole").await;
        let used = (live.tokens("input").await, live.tokens("output").await);
        assert_eq!(used, (11.0, 7.0), "the router learns from it");
    }
}

#[tokio::test]
async fn a_caller_that_closes_before_the_last_event_has_hung_up() {
    let live = Live::start().await;
    live.send(&said("a part"));
    let mut stream = live.chat().await;
    read_until(&mut stream, "a part").await;
    drop(stream);
    live.ended("hung_up").await;
}

#[tokio::test]
async fn arguments_of_tool_calls_count_as_output_when_a_caller_hangs_up() {
    let arguments = "x".repeat(4_000);
    let call = json!([{"index": 0, "function": {"name": "f", "arguments": arguments}}]);
    for delta in [json!({"tool_calls": call}), json!({"function_call": {"arguments": arguments}})] {
        let live = Live::start().await;
        live.send(&json!({"choices": [{"index": 0, "delta": delta}]}));
        let mut stream = live.chat().await;
        read_until(&mut stream, "xxx").await;
        drop(stream);
        live.ended("hung_up").await;
        let output = live.tokens("output").await;
        assert!(output >= 500.0, "{output}");
    }
}

#[tokio::test]
async fn an_error_of_the_requests_own_in_the_middle_is_no_fault_of_the_deployment() {
    let live = Live::start().await;
    live.send(&event("response.output_text.delta", 0, json!({"delta": "a"})));
    let error = json!({"code": "invalid_prompt", "message": "no"});
    let failed = json!({"response": {"id": "resp_1", "status": "failed", "error": error}});
    live.send(&event("response.failed", 1, failed));
    let mut stream = live.responses(json!({})).await;
    read_until(&mut stream, "response.failed").await;
    assert!(stream.chunk().await.unwrap().is_none());
    live.ended("rejected").await;
    let decided = live.bench.client.post(live.bench.url("/v1/route"));
    let decided: Value =
        decided.json(&question("chat", json!({}))).send().await.unwrap().json().await.unwrap();
    let decided = decided.to_string();
    assert!(decided.contains("\"failing\":false"), "{decided}");
    assert!(!decided.contains("\"failing\":true"), "{decided}");
}

/// A stream of these events by the emulator, answered to a caller who did not ask for usage.
async fn unasked(events: &[Value]) -> (Bench, crate::support::Answer) {
    let bench = Layout::pair().start().await;
    let events: Vec<String> = events.iter().map(|event| format!("data: {event}\n\n")).collect();
    let text = events.concat() + "data: [DONE]\n\n";
    let headers = [("content-type", "text/event-stream")];
    bench.emulator.script("chat_ptu", Step::answer(200, headers, text));
    let answer = bench.ask("chat", json!({"stream": true})).await;
    (bench, answer)
}

#[tokio::test]
async fn a_usage_that_the_router_asked_for_never_reaches_a_caller_who_did_not() {
    for usage in [
        json!({"prompt_tokens": 11, "completion_tokens": 7}),
        json!({"prompt_tokens": 11, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": "x"}}),
        json!({"prompt_tokens": "many"}),
        json!(5),
    ] {
        let chunk = json!({"model": "gpt-4o", "choices": [], "usage": usage});
        let (_, answer) = unasked(&[said("x"), stop(), chunk]).await;
        assert!(answer.is_whole_stream(), "{answer:?}");
        assert!(!answer.text.contains("usage"), "{answer:?}");
    }
}

#[tokio::test]
async fn what_is_empty_is_no_end_no_error_and_no_usage() {
    let used = json!({"prompt_tokens": 11, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": "x"}});
    let zeros = json!({"prompt_tokens": 0, "completion_tokens": 0});
    for error in [json!({}), json!(""), json!(false)] {
        let open = json!({"choices": [{"index": 0, "delta": {"content": "a", "tool_calls": []}, "finish_reason": ""}], "error": error});
        let last = json!({"choices": [], "usage": used, "error": error});
        let (bench, answer) =
            unasked(&[open.clone(), open, stop(), last, json!({"choices": [], "usage": zeros})])
                .await;
        assert_eq!((answer.status, answer.deployment()), (200, Some("chat_ptu")), "{answer:?}");
        assert!(answer.text.trim_end().ends_with("data: [DONE]"), "{answer:?}");
        assert!(!answer.text.contains("stream_interrupted"), "{answer:?}");
        assert_eq!(answer.content(), "aa");
        let metrics = bench.get("/metrics").await.text;
        let output = metrics.lines().find(|line| {
            line.starts_with("gen_ai_client_token_usage_sum") && line.contains("\"output\"")
        });
        assert!(output.is_some_and(|line| line.ends_with(" 7")), "{output:?}");
    }
    // A stream that never says why it ended is not whole.
    let open = json!({"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": ""}]});
    let (_, answer) = unasked(&[open]).await;
    assert!(answer.text.contains("stream_interrupted"), "{answer:?}");
    assert!(answer.text.contains("server_error"), "one table of types: {answer:?}");
}
