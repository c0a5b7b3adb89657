//! Response headers: all of them where they apply, none where they do not, and only the permitted
//! ones with `expose = "minimal"`.

use azure_emulator::Step;
use serde_json::json;

use crate::support::{Answer, Bench, Layout, question};

const ALL: [&str; 13] = [
    "x-router-task",
    "x-router-score",
    "x-router-benefit",
    "x-router-model",
    "x-router-deployment",
    "x-router-billing",
    "x-router-attempts",
    "x-router-fallback",
    "x-router-adapted",
    "x-router-residency",
    "x-router-cost-usd",
    "x-router-overhead-us",
    "x-router-tier",
];

/// Exactly these of the router's headers are there.
#[track_caller]
fn assert_told(answer: &Answer, names: &[&str]) {
    assert_eq!(answer.status, 200, "{answer:?}");
    for name in ALL {
        assert_eq!(answer.header(name).is_some(), names.contains(&name), "{name}: {answer:?}");
    }
    let ours = answer.headers.keys().filter(|name| name.as_str().starts_with("x-router-"));
    assert_eq!(ours.count(), names.len(), "{answer:?}");
}

async fn auto(bench: &Bench, more: serde_json::Value) -> Answer {
    bench.ask("auto", more).await
}

#[tokio::test]
async fn a_plain_answer_tells_task_place_and_cost() {
    let bench = Layout::pair().start().await;
    let answer = auto(&bench, json!({})).await;
    let usual = [
        "x-router-task",
        "x-router-score",
        "x-router-benefit",
        "x-router-model",
        "x-router-deployment",
        "x-router-billing",
        "x-router-attempts",
        "x-router-residency",
        "x-router-cost-usd",
        "x-router-overhead-us",
    ];
    assert_told(&answer, &usual);
    assert_eq!(answer.header("x-router-task"), Some("chat"));
    let score: f64 = answer.header("x-router-score").unwrap().parse().unwrap();
    assert!((0.0..0.5).contains(&score), "{score}");
    assert_eq!(answer.header("x-router-model"), Some("gpt-4o"));
    assert_eq!(answer.header("x-router-billing"), Some("provisioned"));
    assert_eq!(answer.header("x-router-attempts"), Some("1"));
    assert_eq!(answer.header("x-router-residency"), Some("global"));
    assert!(answer.number("x-router-overhead-us") < 1_000_000, "{answer:?}");
    // A stream's cost is not known when its head leaves.
    let streamed = auto(&bench, json!({"stream": true})).await;
    let but_cost: Vec<&str> =
        usual.into_iter().filter(|name| *name != "x-router-cost-usd").collect();
    assert_told(&streamed, &but_cost);
}

#[tokio::test]
async fn all_of_them_where_all_apply() {
    let bench = Layout::pair().start().await;
    bench.emulator.script("chat_ptu", Step::throttled_ms(400));
    bench.emulator.script("chat_payg", Step::unsupported_parameter("temperature"));
    let answer = auto(&bench, json!({"temperature": 0.3})).await;
    assert_told(&answer, &ALL);
    assert_eq!(answer.header("x-router-attempts"), Some("3"));
}

#[tokio::test]
async fn a_model_by_name_is_no_task_and_has_no_score() {
    let bench = Layout::pair().start().await;
    let answer = bench.ask("gpt-4o", json!({})).await;
    assert_eq!((answer.status, answer.header("x-router-score")), (200, None), "{answer:?}");
    assert_eq!(answer.header("x-router-task"), None, "{answer:?}");
    let role = bench.ask("chat", json!({})).await;
    assert_eq!((role.header("x-router-task"), role.header("x-router-score")), (Some("chat"), None));
}

#[tokio::test]
async fn minimal_hides_what_is_inside() {
    let bench = Layout::pair().text("server.expose", "minimal").start().await;
    bench.emulator.script("chat_ptu", Step::throttled_ms(400));
    for streamed in [false, true] {
        let answer = auto(&bench, json!({"stream": streamed})).await;
        for inside in [
            "deployment",
            "billing",
            "attempts",
            "fallback",
            "score",
            "cost-usd",
            "overhead-us",
            "tier",
        ] {
            assert_eq!(answer.header(&format!("x-router-{inside}")), None, "{answer:?}");
        }
        assert_eq!(answer.header("x-router-model"), Some("gpt-4o"), "{answer:?}");
        assert!(!format!("{:?}", answer.headers).contains("chat_p"), "{answer:?}");
    }
    let unknown = bench.ask("gpt-9", json!({})).await;
    assert_eq!(unknown.status, 404);
    assert!(!unknown.text.contains("chat_ptu"), "{unknown:?}");
    let listed = bench.get("/v1/models").await;
    assert!(!listed.text.contains("chat_ptu"), "{listed:?}");
}

#[tokio::test]
async fn the_upstreams_request_ids_pass_through() {
    let bench = Layout::pair().start().await;
    let step = Step::normal().header("apim-request-id", "apim-7").header("x-request-id", "up-7");
    bench.emulator.script("chat_ptu", step);
    let request = bench.request(&question("chat", json!({}))).header("x-request-id", "own-7");
    let answer = Answer::of(request).await;
    assert_eq!(answer.header("apim-request-id"), Some("apim-7"));
    assert_eq!(answer.header("x-request-id"), Some("own-7"), "the caller's own id comes back");
    assert_eq!(answer.header("x-upstream-request-id"), Some("up-7"));
}

#[tokio::test]
async fn a_steering_header_with_a_strange_value_is_a_400_before_anything_is_sent() {
    let bench = Layout::pair().start().await;
    for (header, value) in [
        ("x-router-task", "poetry"),
        ("x-router-prefer", "speed"),
        ("x-router-residency", "korea"),
        ("x-router-residency", "geo:atlantis"),
        ("x-router-priority", "urgent"),
        ("x-router-max-wait-ms", "-1"),
        ("x-router-max-wait-ms", "soon"),
    ] {
        let request = bench.request(&question("auto", json!({}))).header(header, value);
        let answer = Answer::of(request).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "invalid_header"), "{answer:?}");
        assert_eq!(answer.json()["error"]["param"], header);
    }
    assert!(bench.emulator.journal().is_empty());
}
