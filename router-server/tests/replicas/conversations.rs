//! State of a conversation is shared over a real Redis: the endpoint of its encrypted reasoning, and the charge of a
//! background answer.

use std::time::Duration;

use azure_emulator::quota::QuotaSettings;
use azure_emulator::{Deployment, Emulator, Latency, Settings};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::fleet::{Fleet, Got, OPERATOR, client, post, redis_is_here, send};

const MODEL: &str = "gpt-5.2";

/// A second resource with a deployment of the model, and one of the first.
fn two_resources(far: &str) -> String {
    format!(
        r#"
            [endpoints.other]
            url = "{far}"
            api = "azure_v1"
            anonymous = true
            [deployments.near]
            endpoint = "azure"
            model = "{MODEL}"
            azure_deployment = "near"
            billing = "pay_as_you_go"
            area = "global"
            [deployments.far]
            endpoint = "other"
            model = "{MODEL}"
            azure_deployment = "far"
            billing = "pay_as_you_go"
            area = "global"
        "#
    )
}

async fn turn(fleet: &Fleet, router: usize, model: &str, history: &[Value]) -> Got {
    let body = json!({"model": model, "input": history, "store": false,
        "include": ["reasoning.encrypted_content"], "reasoning": {"effort": "medium"}});
    send(&client(), post(&fleet.routers[router].url, "/v1/responses", &body)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn encrypted_reasoning_made_through_one_router_is_led_back_by_another() {
    if !redis_is_here() {
        return;
    }
    let quick = Latency { first_token: Duration::from_millis(1), tokens_per_second: 20_000.0 };
    let quota = QuotaSettings::new(1_000_000, 1_000_000_000);
    let far = Deployment::pay_as_you_go("far", MODEL, quota).latency(quick);
    let far = Emulator::start(Settings::new().seed(9).deployment(far)).await.unwrap();
    let fleet = Fleet::with(2, &two_resources(far.url())).await;
    for (deployment, from, to) in [("far", 0, 1), ("near", 1, 0)] {
        let mut history = vec![json!({"role": "user", "content": "Solve it."})];
        let first = turn(&fleet, from, &format!("deployment:{deployment}"), &history).await;
        assert_eq!(first.status, 200, "{}", first.body);
        history.extend(first.body["output"].as_array().unwrap().clone());
        history.push(json!({"role": "user", "content": "Go on."}));
        fleet.synced(from, to).await;
        for router in [to, from, to] {
            let next = turn(&fleet, router, MODEL, &history).await;
            assert_eq!(next.status, 200, "{}", next.body);
            assert_eq!(next.headers["x-router-deployment"], deployment);
            assert_eq!(next.headers["x-router-attempts"], "1");
            assert!(!next.headers.contains_key("x-router-adapted"), "{:?}", next.headers);
        }
    }
}

/// The hashes are those of the operator's key and the one below.
const BACKGROUND: &str = r#"
            [endpoints.slow]
            url = "{slow}"
            api = "azure_v1"
            anonymous = true
            [deployments.slow]
            endpoint = "slow"
            model = "gpt-4o"
            azure_deployment = "slow"
            billing = "pay_as_you_go"
            area = "global"
            [keys.operator]
            hashes = ["sha256:4d5b403de79a9df0975e243afd8f933c9121c03a41afc5e7cebb712cb9aa8200"]
            operator = true
            [keys.maker]
            hashes = ["sha256:7da0d9b021090c65e7fa8146b5ad43e9399d622964e6f6d63a8a8aa28ff22083"]
            deployments = ["slow"]
            monthly_budget_usd = 0.80
"#;
const MAKER: &str = "mr-maker-of-replicas";

/// An upstream that answers in the background, one request on each connection; $0.41 at gpt-4o.
async fn slow() -> (String, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        for number in 0.. {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            // The body of a creation ends with its brace.
            let is_whole = |request: &[u8]| {
                let headless = request.starts_with(b"GET ") && request.ends_with(b"\r\n\r\n");
                headless || request.ends_with(b"}")
            };
            while !is_whole(&request) {
                if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
                    break;
                }
            }
            let body = background(&String::from_utf8(request).unwrap(), number).to_string();
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            // The router may have left.
            drop(stream.write_all(answer.as_bytes()).await);
        }
    });
    (url, serving)
}

/// Creates without a usage, and reports it when the answer is read.
fn background(request: &str, number: usize) -> Value {
    let read = request.strip_prefix("GET /openai/v1/responses/");
    let id = read.and_then(|rest| rest.split([' ', '?']).next());
    let usage = id.map(
        |_| json!({"input_tokens": 100_000, "output_tokens": 16_000, "total_tokens": 116_000}),
    );
    let status = if id.is_some() { "completed" } else { "queued" };
    let id = id.map_or_else(|| format!("resp_{number}"), str::to_owned);
    json!({"id": id, "object": "response", "model": "gpt-4o", "status": status, "output": [], "usage": usage})
}

fn shown(
    mut request: http::Request<axum::body::Body>,
    key: &str,
) -> http::Request<axum::body::Body> {
    request.headers_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
    request
}

async fn create(fleet: &Fleet, router: usize) -> Got {
    // The reservation for 16,000 output tokens is $0.16.
    let body =
        json!({"model": "gpt-4o", "input": "x", "background": true, "max_output_tokens": 16_000});
    let request = post(&fleet.routers[router].url, "/v1/responses", &body);
    send(&client(), shown(request, MAKER)).await.unwrap()
}

/// The cost of the answer, if this response settled it.
async fn read(fleet: &Fleet, router: usize, id: &str) -> Option<String> {
    let url = format!("{}/v1/responses/{id}", fleet.routers[router].url);
    let request = http::Request::get(url).body(axum::body::Body::empty()).unwrap();
    let got = send(&client(), shown(request, MAKER)).await.unwrap();
    assert_eq!(got.status, 200, "{}", got.body);
    let cost = got.headers.get("x-router-cost-usd");
    cost.map(|cost| cost.to_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_made_in_the_background_is_settled_once_by_whichever_router_sees_its_usage() {
    if !redis_is_here() {
        return;
    }
    let (slow, _serving) = slow().await;
    let fleet = Fleet::with(2, &BACKGROUND.replace("{slow}", &slow)).await;
    for _ in 0..2 {
        let made = create(&fleet, 0).await;
        assert_eq!(made.status, 200, "{}", made.body);
        let id = made.body["id"].as_str().unwrap().to_owned();
        fleet.synced(0, 1).await;
        assert_eq!(read(&fleet, 1, &id).await.as_deref(), Some("0.410000"));
        fleet.synced(1, 0).await;
        for router in [0, 1, 0] {
            assert_eq!(read(&fleet, router, &id).await, None, "it is settled");
        }
    }
    // The budget of $0.80 admits a second answer after one of $0.41, and no third one.
    let refused = create(&fleet, 0).await;
    assert_eq!(refused.body["error"]["code"], "insufficient_quota", "{}", refused.body);
    let mut charged = 0.0;
    for router in &fleet.routers {
        let request = http::Request::get(format!("{}/metrics", router.url));
        let request = shown(request.body(axum::body::Body::empty()).unwrap(), OPERATOR);
        let text = send(&client(), request).await.unwrap().body.as_str().unwrap().to_owned();
        let name = "model_router_key_cost_usd_total{key=\"maker\",model=\"gpt-4o\"} ";
        let cost = text.lines().find_map(|line| line.strip_prefix(name));
        charged += cost.map_or(0.0, |cost| cost.parse::<f64>().unwrap());
    }
    assert!((charged - 0.82).abs() < 1e-6, "{charged}");
}
