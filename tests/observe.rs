//! Observe mode: one role serves every scored request, named models still work, and what would have
//! been chosen is recorded.

use serde_json::{Value, json};

use crate::support::{Answer, Bench, Layout, question};

const HARD: &str =
    "Prove step by step that the square root of 2 is irrational, then derive the general theorem.";

fn asked(text: &str) -> Value {
    json!({"model": "auto", "messages": [{"role": "user", "content": text}]})
}

async fn observing(role: &str) -> Bench {
    let layout = Layout::pair().text("routing.mode", "observe");
    let layout = if role == "chat" { layout } else { layout.text("routing.default_role", role) };
    layout.start().await
}

fn served(answer: &Answer) -> (u16, Option<&str>, Option<&str>) {
    (answer.status, answer.header("x-router-task"), answer.header("x-router-model"))
}

#[tokio::test]
async fn one_role_serves_all_that_is_scored_and_what_would_have_been_is_told() {
    let bench = observing("chat").await;
    for streamed in [false, true] {
        let mut hard = asked(HARD);
        hard["stream"] = json!(streamed);
        let answer = bench.chat(&hard).await;
        assert_eq!(served(&answer), (200, Some("chat"), Some("gpt-4o")), "{answer:?}");
        let score: f64 = answer.header("x-router-score").unwrap().parse().unwrap();
        assert!(score > 0.5, "{score}");
    }
    bench.ask("auto:fast", json!({})).await;
    let decisions = |would: &str| {
        format!("model_router_observed_decisions_total{{task=\"chat\",would=\"{would}\"}}")
    };
    assert!((bench.metric(&decisions("reasoning")).await - 2.0).abs() < 1e-9);
    assert!((bench.metric(&decisions("chat")).await - 1.0).abs() < 1e-9);
    let cost =
        |choice: &str| format!("model_router_observed_cost_usd_total{{choice=\"{choice}\"}}");
    let (served, would) = (bench.metric(&cost("served")).await, bench.metric(&cost("would")).await);
    assert!(0.0 < served && served < would, "o1 would have been dearer: {served}, {would}");

    let route = bench.client.post(bench.url("/v1/route")).json(&asked(HARD));
    let told = Answer::of(route).await.json();
    assert_eq!((&told["task"], &told["would"]), (&json!("chat"), &json!("reasoning")));
    assert_eq!(told["models"], json!(["gpt-4o"]));
}

#[tokio::test]
async fn who_names_what_they_want_gets_it() {
    let bench = observing("chat").await;
    for (model, task) in
        [("reasoning", Some("reasoning")), ("o1", None), ("deployment:o1_payg", None)]
    {
        let answer = bench.ask(model, json!({})).await;
        assert_eq!(served(&answer), (200, task, Some("o1")), "{model}: {answer:?}");
    }
    let hinted = bench.request(&question("auto", json!({}))).header("x-router-task", "reasoning");
    let answer = Answer::of(hinted).await;
    assert_eq!(served(&answer), (200, Some("reasoning"), Some("o1")), "{answer:?}");
    assert!(!bench.get("/metrics").await.text.contains("observed_decisions_total{"));
}

#[tokio::test]
async fn the_role_that_serves_is_config_s() {
    let bench = observing("reasoning").await;
    let answer = bench.ask("auto", json!({})).await;
    assert_eq!(served(&answer), (200, Some("reasoning"), Some("o1")), "{answer:?}");
    let cost =
        |choice: &str| format!("model_router_observed_cost_usd_total{{choice=\"{choice}\"}}");
    let (served, would) = (bench.metric(&cost("served")).await, bench.metric(&cost("would")).await);
    assert!(0.0 < would && would < served, "gpt-4o would have been cheaper: {served}, {would}");
}
