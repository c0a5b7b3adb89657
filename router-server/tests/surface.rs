//! The HTTP surface over real sockets: paths, methods, types, sizes, lists of models, health, and the end of a server.
//!
//! Routing is tested elsewhere; an emulator answers only where an answer is needed.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests fail loudly")]

use std::time::Duration;

use axum::body::{Body, to_bytes};
use azure_emulator::quota::QuotaSettings;
use azure_emulator::{Deployment, Emulator, End, Settings, Step};
use http::{HeaderMap, Method, Request, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use router_core::units::Day;
use router_server::Config;
use router_server::{RunFault, Running, StartFault, start};
use serde_json::{Value, json};

/// One deployment of each role at `url`, and what a test adds to it.
fn config(url: &str, more: &str) -> Config {
    let text = format!(
        r#"
        [server]
        listen = "127.0.0.1:0"
        {more}
        [roles]
        reasoning.models = ["o1"]
        chat.models = ["gpt-4o"]
        [endpoints.azure]
        url = "{url}"
        api = "azure_v1"
        anonymous = true
        [deployments.chat_payg]
        endpoint = "azure"
        model = "gpt-4o"
        azure_deployment = "chat_payg"
        billing = "pay_as_you_go"
        area = "global"
        [deployments.think_payg]
        endpoint = "azure"
        model = "o1"
        azure_deployment = "think_payg"
        billing = "pay_as_you_go"
        area = "global"
        "#
    );
    Config::from_toml(&text, Day::try_from("2026-11-23").unwrap()).unwrap()
}

/// A server whose upstream does not exist: for all that is answered without one.
async fn alone(more: &str) -> Running {
    start(&config("http://127.0.0.1:9", more)).await.unwrap()
}

async fn emulator() -> Emulator {
    let quota = QuotaSettings::new(60_000, 10_000_000);
    let chat = Deployment::pay_as_you_go("chat_payg", "gpt-4o", quota);
    Emulator::start(Settings::new().deployment(chat)).await.unwrap()
}

struct Got {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

fn client() -> Client<HttpConnector, Body> {
    Client::builder(TokioExecutor::new()).build_http()
}

async fn send(request: Request<Body>) -> Got {
    let (head, body) = client().request(request).await.unwrap().into_parts();
    let bytes = to_bytes(Body::new(body), 1 << 20).await.unwrap();
    let body = serde_json::from_slice(&bytes)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
    Got { status: head.status, headers: head.headers, body }
}

async fn get(running: &Running, path: &str) -> Got {
    send(Request::get(format!("{}{path}", running.url())).body(Body::empty()).unwrap()).await
}

fn post(running: &Running, path: &str, body: impl Into<Body>) -> Request<Body> {
    let request = Request::post(format!("{}{path}", running.url()));
    request.header("content-type", "application/json").body(body.into()).unwrap()
}

fn hello(model: &Value) -> String {
    json!({"model": model, "messages": [{"role": "user", "content": "안녕하세요"}]}).to_string()
}

#[track_caller]
fn refused(got: &Got, status: u16, code: &str) {
    assert_eq!(
        (got.status.as_u16(), &got.body["error"]["code"]),
        (status, &json!(code)),
        "{}",
        got.body
    );
    assert!(got.body["error"]["message"].is_string() && got.body["error"]["type"].is_string());
    assert_eq!(got.headers["content-type"], "application/json");
    assert!(got.headers.contains_key("x-request-id"));
}

#[tokio::test]
async fn what_cannot_be_served_is_refused_in_openai_s_shape() {
    let running = alone("max_body_bytes = 2000").await;
    refused(&get(&running, "/v1/nothing").await, 404, "unknown_path");
    let wrong = get(&running, "/v1/embeddings").await;
    refused(&wrong, 405, "method_not_allowed");
    assert_eq!(wrong.headers["allow"], "POST");

    let mut typed = post(&running, "/v1/chat/completions", "x");
    typed.headers_mut().insert("content-type", "text/html".parse().unwrap());
    refused(&send(typed).await, 415, "unsupported_media_type");
    let mut packed = post(&running, "/v1/chat/completions", "x");
    packed.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
    refused(&send(packed).await, 415, "unsupported_encoding");

    let malformed = send(post(&running, "/v1/chat/completions", "{\"model\":")).await;
    refused(&malformed, 400, "invalid_request");
    let long = send(post(&running, "/v1/chat/completions", "x".repeat(2_001))).await;
    refused(&long, 413, "request_too_large");
    let unknown = send(post(&running, "/v1/chat/completions", hello(&json!("gpt-7")))).await;
    refused(&unknown, 404, "model_not_found");
    assert_eq!(unknown.body["error"]["param"], "model");

    let mut socket =
        Request::get(format!("{}/v1/realtime", running.url())).body(Body::empty()).unwrap();
    socket.headers_mut().insert("connection", "upgrade".parse().unwrap());
    socket.headers_mut().insert("upgrade", "websocket".parse().unwrap());
    refused(&send(socket).await, 501, "websocket_not_supported");
}

#[tokio::test]
async fn every_dialect_s_path_is_served_in_both_auth_forms() {
    let emulator = emulator().await;
    let running = start(&config(emulator.url(), "")).await.unwrap();
    for path in [
        "/v1/chat/completions",
        "/v1/chat/completions/",
        "/chat/completions",
        "/openai/v1/chat/completions",
        "/openai/v1/chat/completions?api-version=preview",
        "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21",
        "/openai/deployments/chat_payg/chat/completions?api-version=whatever",
    ] {
        for (name, value) in [("authorization", "Bearer sk-x"), ("api-key", "x")] {
            let mut request = post(&running, path, hello(&json!("gpt-4o")));
            request.headers_mut().insert(name, value.parse().unwrap());
            let got = send(request).await;
            assert_eq!(got.status, 200, "{path}: {}", got.body);
            assert_eq!(got.headers["x-router-deployment"], "chat_payg");
        }
    }
}

#[tokio::test]
async fn the_deployment_in_the_path_wins_over_the_body() {
    let emulator = emulator().await;
    let running = start(&config(emulator.url(), "")).await.unwrap();
    let path = "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21";
    for model in [Value::Null, json!("no-such-model")] {
        let got = send(post(&running, path, hello(&model))).await;
        assert_eq!(
            (got.status, &got.headers["x-router-model"]),
            (StatusCode::OK, &"gpt-4o".parse().unwrap())
        );
    }
    let path = "/openai/deployments/no%2Dsuch/chat/completions";
    refused(&send(post(&running, path, hello(&json!("gpt-4o")))).await, 404, "model_not_found");
}

#[tokio::test]
async fn without_keys_a_body_declares_its_type() {
    let emulator = emulator().await;
    let running = start(&config(emulator.url(), "")).await.unwrap();
    for (kind, status) in [
        (None, 415),
        (Some("application/x-www-form-urlencoded"), 415),
        (Some("text/plain"), 415),
        (Some("application/json; charset=utf-8"), 200),
    ] {
        let mut request = post(&running, "/v1/chat/completions", hello(&json!("auto")));
        request.headers_mut().remove("content-type");
        if let Some(kind) = kind {
            request.headers_mut().insert("content-type", kind.parse().unwrap());
        }
        assert_eq!(send(request).await.status, status, "{kind:?}");
    }
}

#[tokio::test]
async fn models_are_listed_and_found_in_the_form_of_each_dialect() {
    let running = alone("").await;
    for path in [
        "/v1/models",
        "/models",
        "/openai/v1/models/",
        "/openai/models?api-version=1",
        "/openai/deployments/x/models",
    ] {
        let got = get(&running, path).await;
        assert_eq!((got.status, &got.body["object"]), (StatusCode::OK, &json!("list")), "{path}");
        let models = got.body["data"].as_array().unwrap();
        let ids: Vec<&str> = models.iter().map(|model| model["id"].as_str().unwrap()).collect();
        for wanted in ["auto", "auto:fast", "reasoning", "gpt-4o", "o1", "chat_payg"] {
            assert!(ids.contains(&wanted), "{path}: {ids:?}");
        }
        for model in models {
            assert_eq!(model["object"], "model");
            assert!(model["created"].is_u64() && model["owned_by"].is_string(), "{model}");
            let dated = path.starts_with("/openai/") && !path.starts_with("/openai/v1");
            assert_eq!(model["capabilities"]["chat_completion"] == json!(true), dated, "{path}");
        }
    }
    for (path, id) in [
        ("/v1/models/gpt-4o", "gpt-4o"),
        ("/openai/models/auto:cost?api-version=1", "auto:cost"),
        ("/openai/v1/models/chat_payg", "chat_payg"),
        ("/v1/models/openai/gpt-4o", "openai/gpt-4o"),
    ] {
        assert_eq!(get(&running, path).await.body["id"], id);
    }
    refused(&get(&running, "/v1/models/nothing").await, 404, "model_not_found");
}

#[tokio::test]
async fn callers_see_no_inside_where_config_says_so() {
    let emulator = emulator().await;
    let running = start(&config(emulator.url(), "expose = \"minimal\"")).await.unwrap();
    let got = send(post(&running, "/v1/chat/completions", hello(&json!("auto")))).await;
    let told: Vec<&str> = got
        .headers
        .keys()
        .map(http::HeaderName::as_str)
        .filter(|name| name.starts_with("x-router-"))
        .collect();
    for hidden in ["score", "deployment", "billing", "attempts", "cost-usd", "overhead-us"] {
        assert!(!told.contains(&format!("x-router-{hidden}").as_str()), "{told:?}");
    }
    assert!(told.contains(&"x-router-model"));
    refused(&send(post(&running, "/v1/route", hello(&json!("auto")))).await, 404, "unknown_path");
    let models = get(&running, "/v1/models").await.body.to_string();
    assert!(models.contains("gpt-4o") && !models.contains("chat_payg"), "{models}");
    let unknown = send(post(&running, "/v1/chat/completions", hello(&json!("x")))).await;
    assert!(!unknown.body.to_string().contains("chat_payg"));
    let ready = get(&running, "/readyz?verbose").await;
    assert!(!ready.body.to_string().contains("chat_payg"));
}

#[tokio::test]
async fn a_decision_is_told_and_nothing_sent() {
    let emulator = emulator().await;
    let running = start(&config(emulator.url(), "")).await.unwrap();
    let got = send(post(&running, "/v1/route", hello(&json!("auto")))).await;
    assert_eq!((got.status, &got.body["plan"]), (StatusCode::OK, &json!(["chat_payg"])));
    assert!(emulator.journal().is_empty());
}

#[tokio::test]
async fn health_readiness_and_metrics_are_served() {
    let running = alone("").await;
    for path in ["/healthz", "/health", "/readyz"] {
        assert_eq!(get(&running, path).await.status, 200, "{path}");
    }
    let verbose = get(&running, "/readyz?verbose").await;
    assert_eq!(verbose.body["deployments"][0]["deployment"], "chat_payg");
    let metrics = get(&running, "/metrics").await;
    assert!(metrics.headers["content-type"].to_str().unwrap().starts_with("text/plain"));
    running.drain();
    let ready = get(&running, "/readyz").await;
    assert_eq!((ready.status.as_u16(), &ready.body["status"]), (503, &json!("draining")));
    assert_eq!(get(&running, "/healthz").await.status, 200);
}

#[tokio::test]
async fn the_caller_s_request_id_comes_back_and_one_is_made_where_there_is_none() {
    let running = alone("").await;
    let mut request = post(&running, "/v1/chat/completions", "{}");
    request.headers_mut().insert("x-request-id", "mine-1".parse().unwrap());
    assert_eq!(send(request).await.headers["x-request-id"], "mine-1");
    let made = send(post(&running, "/v1/chat/completions", "{}")).await;
    assert!(made.headers["x-request-id"].to_str().unwrap().starts_with("req_"));
}

#[tokio::test]
async fn http_2_is_spoken_by_prior_knowledge() {
    let running = alone("").await;
    let client: Client<HttpConnector, Body> =
        Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let request = Request::get(format!("{}/healthz", running.url())).body(Body::empty()).unwrap();
    let got = client.request(request).await.unwrap();
    assert_eq!((got.status(), got.version()), (StatusCode::OK, http::Version::HTTP_2));
}

#[tokio::test]
async fn more_requests_than_config_allows_are_told_to_come_back() {
    let emulator = emulator().await;
    emulator.script("chat_payg", Step::hang());
    let running = start(&config(emulator.url(), "max_in_flight = 1")).await.unwrap();
    let body = hello(&json!("gpt-4o"));
    let first = send(post(&running, "/v1/chat/completions", body.clone()));
    let second = async {
        assert!(emulator.wait_for(|entries| !entries.is_empty(), Duration::from_secs(5)).await);
        send(post(&running, "/v1/chat/completions", body.clone())).await
    };
    tokio::select! {
        _ = first => panic!("the first request hangs"),
        got = second => {
            refused(&got, 503, "router_overloaded");
            assert_eq!(got.headers["retry-after"], "1");
        }
    }
    assert_eq!(get(&running, "/healthz").await.status, 200);
}

#[tokio::test]
async fn a_caller_that_hangs_up_takes_the_upstream_call_with_it() {
    let emulator = emulator().await;
    for (stream, step) in
        [(false, Step::hang()), (true, Step::normal().pause_after(2, Duration::from_secs(60)))]
    {
        emulator.clear_journal();
        emulator.script("chat_payg", step);
        let running = start(&config(emulator.url(), "")).await.unwrap();
        let body = json!({"model": "gpt-4o", "stream": stream, "messages": [{"role": "user", "content": "hi"}]});
        let request = post(&running, "/v1/chat/completions", body.to_string());
        let client = client();
        let asked = async {
            let answer = client.request(request).await.unwrap();
            to_bytes(Body::new(answer.into_body()), 1 << 20).await.unwrap()
        };
        let arrived = emulator.wait_for(|entries| !entries.is_empty(), Duration::from_secs(5));
        tokio::select! {
            _ = asked => panic!("the answer hangs"),
            seen = async { let seen = arrived.await; tokio::time::sleep(Duration::from_millis(100)).await; seen } => assert!(seen),
        }
        drop(client);
        let gone = |entries: &[azure_emulator::Entry]| {
            !entries.is_empty() && entries.iter().all(|entry| entry.end == End::HungUp)
        };
        assert!(emulator.wait_for(gone, Duration::from_secs(5)).await, "stream {stream}");
    }
}

#[tokio::test]
async fn stopping_lets_a_stream_end_and_takes_no_new_connection() {
    let emulator = emulator().await;
    emulator.script("chat_payg", Step::normal().pause_after(2, Duration::from_millis(400)));
    let running = start(&config(emulator.url(), "drain_ms = 5000")).await.unwrap();
    let url = running.url();
    let body =
        json!({"model": "gpt-4o", "stream": true, "messages": [{"role": "user", "content": "hi"}]});
    let answer =
        client().request(post(&running, "/v1/chat/completions", body.to_string())).await.unwrap();
    let (stopped, whole) =
        tokio::join!(running.stop(), to_bytes(Body::new(answer.into_body()), 1 << 20));
    let () = stopped;
    assert!(whole.unwrap().ends_with(b"data: [DONE]\n\n"));
    let late = Request::get(format!("{url}/healthz")).body(Body::empty()).unwrap();
    assert!(client().request(late).await.is_err());
}

#[tokio::test]
async fn nobody_listens_beyond_this_machine_unasked() {
    let mut open = config("http://127.0.0.1:9", "allow_anonymous = true");
    open.server.listen = "0.0.0.0:0".parse().unwrap();
    assert!(start(&open).await.is_ok());
    open.server.allow_anonymous = false;
    let fault = start(&open).await.unwrap_err();
    assert!(
        matches!(fault, StartFault::Run(RunFault::Anonymous { .. }))
            && fault.to_string().contains("allow_anonymous")
    );
}

#[tokio::test]
async fn a_taken_address_is_told() {
    let first = alone("").await;
    let mut second = config("http://127.0.0.1:9", "");
    second.server.listen = first.addr();
    let fault = start(&second).await.unwrap_err();
    assert!(fault.to_string().contains(&first.addr().to_string()), "{fault}");
}

#[tokio::test]
async fn an_unknown_method_is_no_fault_of_ours() {
    let running = alone("").await;
    let request = Request::builder()
        .method(Method::from_bytes(b"BREW").unwrap())
        .uri(format!("{}/v1/models", running.url()));
    refused(&send(request.body(Body::empty()).unwrap()).await, 405, "method_not_allowed");
}
