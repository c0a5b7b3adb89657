//! The service tier of an answer sets its price, and hosted tools cost by the call. Unknown prices
//! stay unknown.

use router_server::Running;
use serde_json::{Value, json};

use crate::keys::{client_of, with_keys};
use crate::support::scripted::{Asked, Says, Scripted};
use crate::support::{Answer, Layout, checked};

fn usage() -> Value {
    json!({"prompt_tokens": 1_000_000, "completion_tokens": 100_000, "total_tokens": 1_100_000})
}

fn completion(more: &Value) -> Value {
    let mut answer = json!({"id": "c", "object": "chat.completion", "model": "gpt-4o", "usage": usage(), "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}]});
    answer.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    answer
}

/// Answers in the requested tier, with the tools named by the input.
fn answer(asked: &Asked) -> Says {
    let tier = asked.json["service_tier"].clone();
    if asked.path.ends_with("/responses") {
        let tools = asked.json["metadata"]["tools"].as_str().unwrap_or_default();
        let output: Vec<Value> = tools.split(' ').map(|kind| json!({"type": kind})).collect();
        let usage = json!({"input_tokens": 0, "output_tokens": 100_000, "total_tokens": 100_000});
        let whole = json!({"id": "resp_1", "object": "response", "model": "gpt-4o", "status": "completed",
            "output": output, "usage": usage});
        if asked.json["stream"] != true {
            return Says::json(200, &whole);
        }
        let done = output.iter().map(
            |item| json!({"type": "response.output_item.done", "sequence_number": 1, "item": item}),
        );
        let delta =
            json!({"type": "response.output_text.delta", "sequence_number": 0, "delta": "hi"});
        let end = json!({"type": "response.completed", "sequence_number": 2, "response": whole});
        let events: Vec<Value> = [delta].into_iter().chain(done).chain([end]).collect();
        return Says::events(&events);
    }
    if asked.json["stream"] == true {
        let chunk = |choices: Value, usage: &Value| json!({"object": "chat.completion.chunk", "model": "gpt-4o", "service_tier": tier, "choices": choices, "usage": usage});
        let said = json!([{"index": 0, "delta": {"content": "hi"}, "finish_reason": "stop"}]);
        let mut events = Says::events(&[chunk(said, &Value::Null), chunk(json!([]), &usage())]);
        events.body.push_str("data: [DONE]\n\n");
        return events;
    }
    Says::json(200, &completion(&json!({"service_tier": tier})))
}

struct Tiers {
    _upstream: Scripted,
    server: Running,
    client: reqwest::Client,
}

impl Tiers {
    async fn start(budget: f64) -> Self {
        let upstream = Scripted::start(answer).await;
        let layout = with_keys(Layout::empty().payg("chat_payg", "gpt-4o"), &["team", "operator"])
            .set("roles.reasoning.models", "[\"gpt-4o\"]")
            .text("endpoints.azure.api", "openai")
            .without("endpoints.azure.api_version")
            .set("keys.team.monthly_budget_usd", budget)
            .set("keys.operator.operator", true);
        let server = router_server::start(&checked(&layout.toml(upstream.url()))).await.unwrap();
        Self { _upstream: upstream, server, client: client_of("team") }
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        let url = format!("{}{path}", self.server.url());
        Answer::of(self.client.post(url).json(body)).await
    }

    async fn chat(&self, more: Value) -> Answer {
        self.post("/v1/chat/completions", &crate::support::question("gpt-4o", more)).await
    }

    async fn metric(&self, name: &str) -> f64 {
        let operator = client_of("operator").get(format!("{}/metrics", self.server.url()));
        let line = format!("model_router_{name}{{deployment=\"chat_payg\"}} ");
        let text = Answer::of(operator).await.text;
        text.lines()
            .find_map(|known| known.strip_prefix(&line))
            .map_or(0.0, |it| it.parse().unwrap())
    }
}

#[tokio::test]
async fn the_tier_of_the_answer_sets_the_price_in_both_forms() {
    let router = Tiers::start(1_000.0).await;
    let (mut counted, mut unpriced) = (0.0, 0.0);
    for (tier, cost) in [
        (Value::Null, Some("3.500000")),
        (json!("default"), Some("3.500000")),
        (json!("auto"), Some("3.500000")),
        (json!("priority"), Some("5.950000")),
        (json!("batch"), Some("1.750000")),
        // gpt-4o is not offered in it.
        (json!("flex"), None),
        (json!("scale"), None),
    ] {
        let whole = router.chat(json!({"service_tier": tier})).await;
        assert_eq!((whole.status, whole.header("x-router-cost-usd")), (200, cost), "{tier}");
        let stream = router.chat(json!({"service_tier": tier, "stream": true})).await;
        assert!(stream.is_whole_stream(), "{stream:?}");
        counted += 2.0 * cost.map_or(0.0, |cost| cost.parse::<f64>().unwrap());
        unpriced += if cost.is_some() { 0.0 } else { 2.0 };
        let found = router.metric("cost_usd_total").await;
        assert!((found - counted).abs() < 1e-6, "{tier}: {found} against {counted}");
        let found = router.metric("unpriced_answers_total").await;
        assert!((found - unpriced).abs() < 1e-6, "{tier}: {found} against {unpriced}");
    }
}

#[tokio::test]
async fn a_tier_without_a_price_is_no_way_around_a_budget() {
    let router = Tiers::start(7.0).await;
    let flex = || router.chat(json!({"service_tier": "flex"}));
    for _ in 0..2 {
        assert_eq!(flex().await.status, 200);
    }
    let refused = flex().await;
    assert_eq!((refused.status, refused.code().as_str()), (429, "insufficient_quota"));
}

#[tokio::test]
async fn hosted_tools_cost_by_the_call_and_one_without_a_price_makes_the_cost_a_lower_bound() {
    let router = Tiers::start(1_000.0).await;
    let mut partly = 0.0;
    let mut counted = 0.0;
    for (tools, cost, at_least) in [
        ("message", "1.000000", None),
        ("web_search_call web_search_call message", "1.020000", None),
        ("file_search_call code_interpreter_call", "1.032500", None),
        ("image_generation_call web_search_call", "1.010000", Some("true")),
    ] {
        for stream in [false, true] {
            let body = json!({"model": "gpt-4o", "input": "x", "stream": stream, "metadata": {"tools": tools}});
            let answer = router.post("/v1/responses", &body).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            if !stream {
                assert_eq!(answer.header("x-router-cost-usd"), Some(cost), "{tools}");
                assert_eq!(answer.header("x-router-cost-at-least"), at_least, "{tools}");
            }
            partly += if at_least.is_some() { 1.0 } else { 0.0 };
            counted += cost.parse::<f64>().unwrap();
            let found = router.metric("cost_usd_total").await;
            assert!((found - counted).abs() < 1e-6, "{tools} {stream}: {found} against {counted}");
        }
    }
    assert!((router.metric("partly_priced_answers_total").await - partly).abs() < 1e-6);
}
