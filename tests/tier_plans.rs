//! Service tiers as entries of a plan: their order, what replaces one without capacity, and what is
//! reported.

use std::time::Duration;

use azure_emulator::quota::QuotaSettings;
use azure_emulator::{Deployment, Emulator, Latency, Rates, Settings, Step, Tier, TierName};
use serde_json::{Value, json};

use crate::support::{Answer, Bench, Layout, checked, question};

const PRICED: &str = "models.gpt-4o.usd_per_million_tokens.flex";

fn rates(factor: f64) -> Rates {
    Rates { input: 2.5 * factor, output: 10.0 * factor }
}

/// A tier that takes `rpm` requests a minute by itself, at the factor on the standard price that the router's records say.
fn tier(rpm: Option<u64>, factor: f64) -> Tier {
    Tier {
        latency: Latency { first_token: Duration::from_millis(1), tokens_per_second: 20_000.0 },
        capacity: rpm.map(|rpm| QuotaSettings::new(rpm, u64::MAX)),
        downgrades: false,
        rates: rates(factor),
    }
}

/// One pay-as-you-go deployment in three tiers.
fn layout(default: Tier, priority: Tier, flex: Option<Tier>) -> Layout {
    let quota = QuotaSettings::new(1_000_000, 1_000_000_000);
    let mut emulated = Deployment::pay_as_you_go("payg", "gpt-4o", quota)
        .tier(TierName::Default, default)
        .tier(TierName::Priority, priority);
    if let Some(flex) = flex {
        emulated = emulated.tier(TierName::Flex, flex);
    }
    Layout::empty()
        .written("payg", "gpt-4o", "pay_as_you_go")
        .set("deployments.payg.tiers", r#"["default", "priority", "flex"]"#)
        .set(PRICED, "{ input = 1.25, output = 5 }")
        .set("roles.reasoning.models", r#"["gpt-4o"]"#)
        .emulate(emulated)
}

/// All tiers with room.
fn roomy() -> Layout {
    layout(tier(None, 1.0), tier(None, 1.7), Some(tier(None, 0.5)))
}

fn told(answer: &Answer) -> (u16, &str, u64) {
    let tier = answer.header("x-router-tier").unwrap_or("none");
    (answer.status, tier, answer.number("x-router-attempts"))
}

async fn with_header(bench: &Bench, header: [&str; 2], more: Value) -> Answer {
    Answer::of(bench.request(&question("chat", more)).header(header[0], header[1])).await
}

const FAST: [&str; 2] = ["x-router-prefer", "fast"];
const BATCH: [&str; 2] = ["x-router-priority", "batch"];

async fn plan(bench: &Bench, header: [&str; 2], more: Value) -> Value {
    let request = bench.client.post(bench.url("/v1/route")).json(&question("chat", more));
    Answer::of(request.header(header[0], header[1])).await.json()["plan"].clone()
}

#[tokio::test]
async fn priority_stands_in_for_a_throttled_default_tier_and_each_is_priced_by_its_own_rates() {
    let bench = layout(tier(Some(6), 1.0), tier(None, 1.7), None).start().await;
    let nothing = ["x-router-max-wait-ms", "0"];
    assert_eq!(plan(&bench, nothing, json!({})).await, json!(["payg", "payg/priority"]));
    let mut cost = 0.0;
    // One request each ten seconds in the default tier.
    for expected in [(200, "default", 1), (200, "priority", 2), (200, "priority", 1)] {
        let answer = bench.ask("chat", json!({})).await;
        assert_eq!(told(&answer), expected, "{answer:?}");
        cost += answer.header("x-router-cost-usd").unwrap().parse::<f64>().unwrap();
    }
    let billed = bench.emulator.counters("payg").unwrap().billed_usd;
    assert!((cost - billed).abs() < 3e-6, "{cost} against {billed}");
    // The default tier alone is left out.
    assert_eq!(plan(&bench, nothing, json!({})).await, json!(["payg/priority"]));
    let stream = bench.ask("chat", json!({"stream": true})).await;
    assert!(stream.is_whole_stream(), "{stream:?}");
    assert_eq!(told(&stream), (200, "priority", 1));
    let line = "model_router_service_tier_answers_total{answered=\"priority\",asked=\"priority\",deployment=\"payg\"}";
    assert!((bench.metric(line).await - 3.0).abs() < 1e-9);
}

#[tokio::test]
async fn fast_requests_go_with_priority_and_batch_work_goes_flex_first() {
    let bench = roomy().start().await;
    assert_eq!(told(&with_header(&bench, FAST, json!({})).await), (200, "priority", 1));
    assert_eq!(told(&with_header(&bench, BATCH, json!({})).await), (200, "flex", 1));
    assert_eq!(plan(&bench, FAST, json!({})).await, json!(["payg/priority", "payg"]));
    assert_eq!(plan(&bench, BATCH, json!({})).await, json!(["payg/flex", "payg"]));
    let sent = |at: usize| bench.asked("payg")[at].json().unwrap()["service_tier"].clone();
    assert_eq!((sent(0), sent(1)), (json!("priority"), json!("flex")));
}

#[tokio::test]
async fn flex_without_capacity_falls_back_to_default_and_is_left_alone_for_its_wait() {
    let bench = layout(tier(None, 1.0), tier(None, 1.7), Some(tier(Some(6), 0.5))).start().await;
    for expected in [(200, "flex", 1), (200, "default", 2), (200, "default", 1)] {
        assert_eq!(told(&with_header(&bench, BATCH, json!({})).await), expected);
    }
    let interactive = bench.ask("chat", json!({})).await;
    assert_eq!(told(&interactive), (200, "default", 1), "other tiers are open");
}

#[tokio::test]
async fn the_callers_own_tier_is_honoured() {
    let bench = roomy().start().await;
    for (asked, served) in [
        (json!("flex"), "flex"),
        (json!("priority"), "priority"),
        (json!("default"), "default"),
        (json!("auto"), "default"),
        (Value::Null, "default"),
    ] {
        for stream in [false, true] {
            let body = json!({"service_tier": asked, "stream": stream});
            let answer = bench.ask("chat", body).await;
            assert_eq!(told(&answer), (200, served, 1), "{asked}");
            assert_eq!(answer.header("x-router-adapted"), None);
        }
    }
    let default = plan(&bench, FAST, json!({"service_tier": "default"})).await;
    assert_eq!(default, json!(["payg"]), "an explicit default is never upgraded");
}

#[tokio::test]
async fn an_answer_in_another_tier_than_asked_is_reported_and_priced_as_it_says() {
    let priority = Tier { downgrades: true, ..tier(Some(6), 1.7) };
    let bench = layout(tier(None, 1.0), priority, None).start().await;
    assert_eq!(told(&with_header(&bench, FAST, json!({})).await), (200, "priority", 1));
    let downgraded = with_header(&bench, FAST, json!({})).await;
    assert_eq!(told(&downgraded), (200, "default", 1));
    let cost: f64 = downgraded.header("x-router-cost-usd").unwrap().parse().unwrap();
    let usage = &downgraded.json()["usage"];
    let tokens = |name: &str| usage[name].as_f64().unwrap();
    let standard = (2.5 * tokens("prompt_tokens") + 10.0 * tokens("completion_tokens")) / 1e6;
    assert!((cost - standard).abs() < 1e-6, "{cost} against {standard}");
    let line = "model_router_service_tier_answers_total{answered=\"default\",asked=\"priority\",deployment=\"payg\"}";
    assert!((bench.metric(line).await - 1.0).abs() < 1e-9);
}

#[tokio::test]
async fn a_tier_that_the_deployment_does_not_offer_is_given_up_without_an_error() {
    let bench = layout(tier(None, 1.0), tier(None, 1.7), None).start().await;
    assert_eq!(told(&with_header(&bench, BATCH, json!({})).await), (200, "default", 2));
    assert_eq!(told(&with_header(&bench, BATCH, json!({})).await), (200, "default", 1));
}

#[tokio::test]
async fn a_provisioned_deployment_with_room_comes_before_every_tier_that_nobody_named() {
    let bench = roomy().ptu("ptu", "gpt-4o").start().await;
    assert_eq!(plan(&bench, FAST, json!({})).await, json!(["ptu", "payg/priority", "payg"]));
    assert_eq!(plan(&bench, BATCH, json!({})).await, json!(["ptu", "payg/flex", "payg"]));
    let named = plan(&bench, BATCH, json!({"service_tier": "priority"})).await;
    assert_eq!(named, json!(["payg/priority", "ptu", "payg"]));
    let answer = bench.ask("chat", json!({})).await;
    assert_eq!((answer.deployment(), answer.header("x-router-tier")), (Some("ptu"), None));
}

#[tokio::test]
async fn a_tier_without_a_price_for_the_request_is_not_used() {
    let bench = roomy()
        .set(
            "models.gpt-4o.usd_per_million_tokens.long_context",
            "{ above_tokens = 10, input = 5, cached_input = 2.5, output = 15 }",
        )
        .start()
        .await;
    let long = "please ".repeat(30);
    let body = json!({"messages": [{"role": "user", "content": long}]});
    assert_eq!(plan(&bench, FAST, body.clone()).await, json!(["payg"]));
    assert_eq!(told(&with_header(&bench, FAST, body).await), (200, "default", 1));
}

/// `configs/service_tiers.toml`, with the emulator in place of every endpoint. In the default tier, both deployments of the pool
/// take one request in ten seconds.
async fn shipped() -> Bench {
    let quota = QuotaSettings::new(1_000_000, 1_000_000_000);
    let mut settings = Settings::new().seed(7);
    for name in ["gpt-5.6-sol-a", "gpt-5.6-sol-b", "gpt-5.6-sol-sweden"] {
        let deployment = Deployment::pay_as_you_go(name, "gpt-5.6-sol", quota)
            .tier(TierName::Default, tier(Some(6), 1.0))
            .tier(TierName::Priority, tier(None, 2.0))
            .tier(TierName::Flex, tier(None, 0.5));
        settings = settings.deployment(deployment);
    }
    let emulator = Emulator::start(settings).await.unwrap();
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../configs/service_tiers.toml");
    let lines = std::fs::read_to_string(file).unwrap();
    let lines = lines.lines().map(|line| match line.split_once(" = ") {
        Some(("url", _)) => format!("url = {:?}", emulator.url()),
        Some(("api_key", _)) => "anonymous = true".to_owned(),
        _ => line.to_owned(),
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    let config = checked(&format!("{text}\n[server]\nlisten = \"127.0.0.1:0\"\n"));
    let server = router_server::start(&config).await.unwrap();
    Bench::new(emulator, server)
}

#[tokio::test]
async fn the_shipped_tiers_and_quota_pool_do_what_the_file_says() {
    let bench = shipped().await;
    let batch = with_header(&bench, BATCH, json!({})).await;
    assert_eq!(told(&batch), (200, "flex", 1), "{batch:?}");
    let (mut tiers, mut throttled) = (Vec::new(), 0);
    for subject in 0..12 {
        let messages =
            json!([{"role": "user", "content": format!("Say hello to number {subject}.")}]);
        let answer = bench.ask("chat", json!({"messages": messages, "max_tokens": 10})).await;
        let (status, tier, attempts) = told(&answer);
        assert_eq!(status, 200, "{answer:?}");
        assert!(answer.deployment().unwrap().starts_with("east_"), "{answer:?}");
        tiers.push(tier.to_owned());
        throttled += attempts - 1;
    }
    assert_eq!(throttled, 1, "one 429 speaks for both deployments of the pool: {tiers:?}");
    assert_eq!(tiers.last().map(String::as_str), Some("priority"));
    assert_eq!(told(&with_header(&bench, BATCH, json!({})).await), (200, "flex", 1));
    for name in ["gpt-5.6-sol-a", "gpt-5.6-sol-b"] {
        bench.emulator.script(name, Step::throttled_ms(60_000).forever());
    }
    let elsewhere = bench.ask("chat", json!({})).await;
    assert_eq!((elsewhere.status, elsewhere.deployment()), (200, Some("sweden")), "{elsewhere:?}");
}
