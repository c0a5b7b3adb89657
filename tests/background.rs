//! Background answers: charged when they are created, settled once, by the first response that
//! reports their usage.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::Method;
use router_core::log_line::{Background as Line, Log};
use router_server::Running;
use serde_json::{Value, json};

use crate::keys::{client_of, with_keys};
use crate::support::scripted::{Asked, Says, Scripted};
use crate::support::{Answer, Layout, checked};

/// 100,000 prompt tokens and 16,000 of the answer cost $0.41 at gpt-4o.
const COST: f64 = 0.41;

fn usage() -> Value {
    json!({"input_tokens": 100_000, "output_tokens": 16_000, "total_tokens": 116_000})
}

fn response(id: &str, status: &str, usage: &Value) -> Value {
    json!({"id": id, "object": "response", "model": "gpt-4o", "status": status, "output": [], "usage": usage})
}

/// Creates answers without a usage; what they used is said later, by each way of asking.
fn upstream() -> impl Fn(&Asked) -> Says {
    let created = AtomicUsize::new(0);
    move |asked: &Asked| {
        let id = asked.path.trim_end_matches("/cancel").rsplit('/').next().unwrap().to_owned();
        if asked.method == Method::GET && asked.query.contains("stream=true") {
            let done = response(&id, "completed", &usage());
            return Says::events(&[
                json!({"type": "response.created", "sequence_number": 0, "response": response(&id, "queued", &Value::Null)}),
                json!({"type": "response.completed", "sequence_number": 1, "response": done}),
            ]);
        }
        if asked.method == Method::GET && asked.query.contains("include") {
            let zeros = json!({"input_tokens": 0, "output_tokens": 0, "total_tokens": 0});
            return Says::json(200, &response(&id, "in_progress", &zeros));
        }
        if asked.method == Method::GET || asked.path.ends_with("/cancel") {
            return Says::json(200, &response(&id, "completed", &usage()));
        }
        let id = format!("resp_{}", created.fetch_add(1, Ordering::Relaxed));
        Says::json(200, &response(&id, "queued", &Value::Null))
    }
}

struct Background {
    upstream: Scripted,
    server: Running,
    client: reqwest::Client,
}

impl Background {
    async fn start(budget: f64) -> Self {
        Self::of(layout(budget)).await
    }

    async fn of(layout: Layout) -> Self {
        let upstream = Scripted::start(upstream()).await;
        let server = router_server::start(&checked(&layout.toml(upstream.url()))).await;
        Self { upstream, server: server.unwrap(), client: client_of("team") }
    }

    async fn create(&self, more: Value) -> Answer {
        let mut body = json!({"model": "gpt-4o", "input": "x", "background": true});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let url = format!("{}/v1/responses", self.server.url());
        Answer::of(self.client.post(url).json(&body)).await
    }

    async fn get(&self, path: &str) -> Answer {
        Answer::of(self.client.get(format!("{}{path}", self.server.url()))).await
    }

    async fn metric(&self, line: &str) -> f64 {
        let operator = client_of("operator").get(format!("{}/metrics", self.server.url()));
        let text = Answer::of(operator).await.text;
        let value = text.lines().find_map(|known| known.strip_prefix(line)?.strip_prefix(' '));
        value.map_or(0.0, |value| value.parse().unwrap())
    }

    /// The key's charges, by the metrics.
    async fn charged(&self) -> f64 {
        self.metric("model_router_key_cost_usd_total{key=\"team\",model=\"gpt-4o\"}").await
    }
}

fn layout(budget: f64) -> Layout {
    with_keys(Layout::empty().payg("chat_payg", "gpt-4o"), &["team", "operator"])
        .set("roles.reasoning.models", "[\"gpt-4o\"]")
        .text("endpoints.azure.api_version", "2025-04-01-preview")
        .set("keys.team.monthly_budget_usd", budget)
        .set("keys.operator.operator", true)
}

#[track_caller]
fn assert_dollars(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-6, "{found} against {expected}");
}

#[tokio::test]
async fn an_answer_is_settled_once_by_the_first_response_that_says_what_it_used() {
    let router = Background::start(1.0).await;
    for way in ["", "?stream=true", "/cancel"] {
        let created = router.create(json!({})).await;
        assert_eq!((created.status, created.header("x-router-cost-usd")), (200, None));
        let path = format!("/v1/responses/{}", created.json()["id"].as_str().unwrap());
        let before = router.charged().await;
        // Not done: it says zeros.
        assert_eq!(router.get(&format!("{path}?include[]=x")).await.status, 200);
        assert_dollars(router.charged().await, before);
        let first = if way == "/cancel" {
            Answer::of(router.client.post(format!("{}{path}{way}", router.server.url()))).await
        } else {
            router.get(&format!("{path}{way}")).await
        };
        assert_eq!(first.status, 200, "{first:?}");
        let told = (!first.is_stream()).then_some("0.410000");
        assert_eq!(first.header("x-router-cost-usd"), told, "{way}");
        assert_dollars(router.charged().await, before + COST);
        let again = router.get(&path).await;
        assert_eq!((again.status, again.header("x-router-cost-usd")), (200, None));
        assert_dollars(router.charged().await, before + COST);
    }
    // Three answers of $0.41 are more than the dollar that the key may spend.
    let refused = router.create(json!({})).await;
    assert_eq!((refused.status, refused.code().as_str()), (429, "insufficient_quota"));
    let cost = "model_router_cost_usd_total{deployment=\"chat_payg\"}";
    assert_dollars(router.metric(cost).await, 3.0 * COST);
    let tokens =
        "model_router_key_tokens_total{key=\"team\",model=\"gpt-4o\",token_type=\"output\"}";
    assert_dollars(router.metric(tokens).await, 48_000.0);
    assert_dollars(
        router.metric("model_router_unpriced_answers_total{deployment=\"chat_payg\"}").await,
        0.0,
    );
    // The dashboard counts the usage once as well, and no further request.
    let url = format!("{}/dashboard/range?key=team", router.server.url());
    let totals = &Answer::of(client_of("operator").get(url)).await.json()["totals"];
    assert_dollars(totals["paid_usd"].as_f64().unwrap(), 3.0 * COST);
    assert_eq!((&totals["unpriced"], &totals["requests"]), (&json!(0), &json!(4)), "{totals}");
}

#[tokio::test]
async fn an_answer_that_is_never_fetched_stays_charged_with_what_was_set_aside() {
    let router = Background::start(0.30).await;
    // 16,000 tokens of the answer are $0.16.
    let cap = json!({"max_output_tokens": 16_000});
    assert_eq!(router.create(cap.clone()).await.status, 200);
    assert_eq!(router.create(cap.clone()).await.status, 200);
    let refused = router.create(cap).await;
    assert_eq!((refused.status, refused.code().as_str()), (429, "insufficient_quota"));
}

#[tokio::test]
async fn what_was_set_aside_beyond_the_usage_is_given_back() {
    let router = Background::start(2.0).await;
    // $1.50 are set aside, of which $0.41 are used.
    for _ in 0..3 {
        let created = router.create(json!({"max_output_tokens": 150_000})).await;
        assert_eq!(created.status, 200, "{created:?}");
        let id = created.json()["id"].as_str().unwrap().to_owned();
        assert_eq!(router.get(&format!("/v1/responses/{id}")).await.status, 200);
    }
    assert_dollars(router.charged().await, 3.0 * COST);
}

#[tokio::test]
async fn an_answer_stays_open_across_a_reload() {
    let router = Background::start(1.0).await;
    let id = router.create(json!({})).await.json()["id"].as_str().unwrap().to_owned();
    let changed = layout(0.40).set("routing.threshold", 0.7);
    router.server.reload(checked(&changed.toml(router.upstream.url()))).unwrap();
    assert_eq!(router.get(&format!("/v1/responses/{id}")).await.status, 200);
    assert_dollars(router.charged().await, COST);
    assert_eq!(router.create(json!({})).await.code(), "insufficient_quota");
}

#[tokio::test]
async fn another_keys_request_settles_nothing() {
    let router = Arc::new(Background::start(1.0).await);
    let id = router.create(json!({})).await.json()["id"].as_str().unwrap().to_owned();
    let url = format!("{}/v1/responses/{id}", router.server.url());
    assert_eq!(Answer::of(client_of("operator").get(url)).await.status, 404);
    assert_dollars(router.charged().await, 0.0);
}

#[tokio::test]
async fn the_log_says_that_an_answer_is_open_and_later_what_it_cost() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.jsonl");
    let layout = layout(2.0).text("request_log.path", path.to_str().unwrap());
    let router = Background::of(layout).await;
    for way in ["", "?stream=true", "/cancel"] {
        let id = router.create(json!({})).await.json()["id"].as_str().unwrap().to_owned();
        let url = format!("{}/v1/responses/{id}{way}", router.server.url());
        let method = if way == "/cancel" { Method::POST } else { Method::GET };
        let ask = || router.client.request(method.clone(), &url).header("x-request-id", "reads");
        // Asked a second time, it settles nothing.
        assert_eq!([Answer::of(ask()).await.status, Answer::of(ask()).await.status], [200, 200]);
    }
    let charged = router.charged().await;
    router.server.stop().await;
    let log = Log::read(&[path]).unwrap();
    assert_eq!((log.requests.len(), log.settlements.len()), (3, 3), "{log:?}");
    for created in &log.requests {
        assert_eq!(created.background, Some(Line::Open));
        assert_eq!((created.outcome.cost_usd, created.tokens()), (None, None), "not known yet");
    }
    let mut cost = 0.0;
    for settled in &log.settlements {
        let outcome = &settled.outcome;
        assert_eq!(settled.background, Some(Line::Settled));
        assert_eq!(
            (settled.key.as_deref(), settled.request_id.as_deref()),
            (Some("team"), Some("reads"))
        );
        assert_eq!(outcome.deployment.as_deref(), Some("chat_payg"));
        assert_eq!(settled.tokens(), Some((100_000, 16_000)));
        assert_eq!(outcome.pay_as_you_go_usd, outcome.cost_usd);
        cost += outcome.cost_usd.unwrap();
    }
    assert_dollars(cost, 3.0 * COST);
    assert_dollars(charged, cost);
}
