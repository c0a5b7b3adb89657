//! The choice between chat and reasoning by type, by benefit and by value, with the trade-off shown.

use router_core::log_line::Log;
use serde_json::{Value, json};

use crate::support::{Answer, Bench, Layout};

const HARD: &str = "Compute the remainder of 17^35 + 23^41 when divided by 45, then determine how many integers x with \
    1 <= x <= 900 satisfy x^2 + 3x + 2 = 0 mod 45.";

fn auto(text: &str) -> Value {
    json!({"model": "auto", "messages": [{"role": "user", "content": text}]})
}

fn layout(choose: &str) -> Layout {
    Layout::pair().text("routing.choose", choose)
}

async fn tradeoff(bench: &Bench, body: &Value) -> Value {
    let told = Answer::of(bench.client.post(bench.url("/v1/route")).json(body)).await.json();
    assert!(told["tradeoff"].is_object(), "{told}");
    told["tradeoff"].clone()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value}"))
}

#[tokio::test]
async fn both_numbers_are_shown_whichever_chooses() {
    let bench = Layout::pair().start().await;
    let answer = bench.chat(&auto(HARD)).await;
    let benefit: f64 = answer.header("x-router-benefit").unwrap().parse().unwrap();
    assert!(0.0 < benefit && benefit < 1.0, "{benefit}");
    assert_eq!(answer.header("x-router-value-usd"), None);
    let told = tradeoff(&bench, &auto(HARD)).await;
    assert!((number(&told["benefit"]) - benefit).abs() < 1e-3, "{told}");
    assert_eq!((&told["choose"], &told["value"]), (&json!("type"), &Value::Null));
    assert!(!told["reasons"].as_array().unwrap().is_empty(), "{told}");
    let named = bench.ask("gpt-4o", json!({})).await;
    assert_eq!(named.header("x-router-benefit"), None);
}

#[tokio::test]
async fn the_benefit_chooses_from_its_threshold_on() {
    for (threshold, task) in [("0.0", "reasoning"), ("1.0", "chat")] {
        let bench = layout("benefit").set("routing.benefit_threshold", threshold).start().await;
        for text in [HARD, "Hello!"] {
            let answer = bench.chat(&auto(text)).await;
            assert_eq!(answer.header("x-router-task"), Some(task), "{text}");
        }
        let hinted = bench.request(&auto(HARD)).header("x-router-task", "chat");
        assert_eq!(Answer::of(hinted).await.header("x-router-task"), Some("chat"));
        let told = Answer::of(bench.client.post(bench.url("/v1/route")).json(&auto(HARD))).await;
        assert_eq!(told.json()["scored"]["decided_by"], json!("benefit"));
    }
}

#[tokio::test]
async fn the_value_weighs_worth_against_cost_and_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.jsonl");
    let dear = layout("value")
        .set("routing.answer_value_usd", "100.0")
        .set("routing.second_cost_usd", "0.0")
        .text("request_log.path", path.to_str().unwrap());
    let bench = dear.start().await;
    let answer = bench.chat(&auto(HARD)).await;
    assert_eq!(answer.header("x-router-task"), Some("reasoning"));
    let told = tradeoff(&bench, &auto(HARD)).await;
    let value = &told["value"];
    let worth = number(&told["benefit"]) * 100.0;
    assert!((number(&value["worth_usd"]) - worth).abs() < 0.1, "{told}");
    assert!(number(&value["added_cost_usd"]) > 0.0, "o1 costs more than a free PTU: {told}");
    let net = number(&value["worth_usd"]) - number(&value["added_cost_usd"]);
    assert!((number(&value["net_usd"]) - net).abs() < 1e-5, "{told}");
    let shown: f64 = answer.header("x-router-value-usd").unwrap().parse().unwrap();
    assert!(shown > 0.0);
    let counted = "model_router_choices_total{by=\"value\",task=\"reasoning\",type=\"reasoning\"}";
    assert!((bench.metric(counted).await - 1.0).abs() < 1e-9);
    bench.server.stop().await;
    let log = Log::parse(&std::fs::read_to_string(&path).unwrap()).unwrap();
    let decision = &log.requests[0].decision;
    assert_eq!(decision.decided_by.as_deref(), Some("value"));
    assert!(decision.value_usd > Some(0.0) && decision.added_cost_usd > Some(0.0));

    for (key, amount) in [("answer_value_usd", "0.0"), ("second_cost_usd", "1000.0")] {
        let bench = layout("value").set(&format!("routing.{key}"), amount).start().await;
        let answer = bench.chat(&auto(HARD)).await;
        assert_eq!(answer.header("x-router-task"), Some("chat"), "{key}");
        assert_eq!(tradeoff(&bench, &auto(HARD)).await["by_type"], json!("reasoning"));
    }
}

#[tokio::test]
async fn a_conversation_pays_for_the_cache_that_it_would_lose() {
    let layout = Layout::empty().payg("chat", "gpt-4o").payg("thinking", "o1");
    let bench = layout.text("routing.choose", "value").start().await;
    let instructions = "You answer questions of customers of Contoso briefly. ".repeat(400);
    let mut messages = json!([{"role": "system", "content": instructions},
        {"role": "user", "content": "Hello!"}]);
    let first = json!({"model": "chat", "messages": messages});
    assert_eq!(bench.chat(&first).await.deployment(), Some("chat"));
    for message in
        [json!({"role": "assistant", "content": "Hi!"}), json!({"role": "user", "content": HARD})]
    {
        messages.as_array_mut().unwrap().push(message);
    }
    let second = json!({"model": "auto", "messages": messages});
    let value = tradeoff(&bench, &second).await["value"].clone();
    assert!(number(&value["lost_cache_usd"]) > 0.0, "{value}");
    let mut elsewhere = second.clone();
    elsewhere["messages"][0]["content"] = json!("X".to_owned() + &instructions);
    let fresh = tradeoff(&bench, &elsewhere).await["value"].clone();
    assert!(number(&fresh["lost_cache_usd"]).abs() < 1e-9, "{fresh}");
    assert!(number(&fresh["added_cost_usd"]) < number(&value["added_cost_usd"]), "{fresh} {value}");
}

#[tokio::test]
async fn without_a_value_the_type_decides() {
    let layout = layout("value").set("deployments.o1_payg.enabled", false);
    let bench = layout.start().await;
    let told = tradeoff(&bench, &auto(HARD)).await;
    assert_eq!((&told["chosen_by"], &told["value"]), (&json!("type"), &Value::Null), "{told}");
}
