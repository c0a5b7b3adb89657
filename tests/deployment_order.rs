//! Tiers, weights and prices of deployments: who answers, how requests are shared, and what it costs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use azure_emulator::quota::QuotaSettings;
use azure_emulator::{Deployment, Emulator, Latency, Settings, Step};
use router_core::units::Day;
use router_core::upstream::Attempt;
use router_server::Config;
use serde_json::{Value, json};

use crate::support::memory::{Canned, InMemory};
use crate::support::{Answer, Bench, Layout, checked};

/// A question that begins a conversation of its own.
async fn ask_about(bench: &Bench, subject: usize) -> Answer {
    let messages = json!([{"role": "user", "content": format!("Say hello to number {subject}.")}]);
    bench.ask("chat", json!({"messages": messages, "max_tokens": 10})).await
}

/// The number of these conversations that each deployment answers.
async fn shares(bench: &Bench, conversations: std::ops::Range<usize>) -> BTreeMap<String, usize> {
    let mut shares = BTreeMap::new();
    for subject in conversations {
        let answer = ask_about(bench, subject).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        *shares.entry(answer.deployment().unwrap().to_owned()).or_insert(0) += 1;
    }
    shares
}

/// `configs/three_regions.toml`, with the emulator in place of every endpoint.
async fn three_regions() -> Bench {
    let quick = Latency { first_token: Duration::from_millis(1), tokens_per_second: 20_000.0 };
    let quota = QuotaSettings::new(1_000_000, 1_000_000_000);
    let mut settings = Settings::new().seed(7);
    // OpenAI knows its deployment by the name of the model.
    for name in ["gpt-4o", "gpt-4o-korea", "gpt-4o-japan", "gpt-4o-sweden"] {
        let deployment = Deployment::pay_as_you_go(name, "gpt-4o", quota);
        settings = settings.deployment(deployment.latency(quick));
    }
    let bucket = azure_emulator::bucket::BucketSettings::new(50.0, 2_500.0, 4.0);
    let ptu = Deployment::provisioned("gpt-4o-ptu", "gpt-4o", bucket);
    let emulator = Emulator::start(settings.deployment(ptu.latency(quick))).await.unwrap();
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../configs/three_regions.toml");
    let lines = std::fs::read_to_string(shipped).unwrap();
    let lines = lines.lines().map(|line| match line.split_once(" = ") {
        Some(("url", _)) => format!("url = {:?}", emulator.url()),
        Some(("api_key" | "bearer", _)) => "anonymous = true".to_owned(),
        // The host no longer names the area of processing.
        Some(("order", order)) => format!("order = {order}\narea = \"global\""),
        _ => line.to_owned(),
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    let config = checked(&format!("{text}\n[server]\nlisten = \"127.0.0.1:0\"\n"));
    let server = router_server::start(&config).await.unwrap();
    Bench::new(emulator, server)
}

#[tokio::test]
async fn three_regions_serve_in_their_order_share_by_weight_and_cost_what_was_agreed() {
    let bench = three_regions().await;
    let first = ask_about(&bench, 0).await;
    assert_eq!(first.header("x-router-billing"), Some("provisioned"), "{first:?}");
    bench.emulator.script("gpt-4o-ptu", Step::throttled_ms(60_000).forever());
    let found = shares(&bench, 1..241).await;
    let (korea, japan) = (found["korea"], found["japan"]);
    assert_eq!(korea + japan, 240, "the dearer ones are not used: {found:?}");
    assert!((160..=200).contains(&korea), "3 : 1 of 240: {found:?}");
    // The same conversations, where they were.
    for subject in [1, 7, 40, 123] {
        let (one, other) = (ask_about(&bench, subject).await, ask_about(&bench, subject).await);
        assert_eq!(one.deployment(), other.deployment(), "conversation {subject}");
    }
    let cost =
        |answer: &Answer| answer.header("x-router-cost-usd").unwrap().parse::<f64>().unwrap();
    // gpt-4o is 2.5 and 10 dollars for a million tokens.
    let listed = |answer: &Answer| {
        let usage = &answer.json()["usage"];
        let tokens = |name: &str| usage[name].as_f64().unwrap();
        (tokens("prompt_tokens") * 2.5 + tokens("completion_tokens") * 10.0) / 1e6
    };
    let discounted = ask_about(&bench, 300).await;
    assert!((cost(&discounted) - 0.85 * listed(&discounted)).abs() < 2e-6, "{discounted:?}");
    for name in ["gpt-4o-korea", "gpt-4o-japan"] {
        bench.emulator.script(name, Step::throttled_ms(60_000).forever());
    }
    let found = shares(&bench, 400..420).await;
    assert_eq!(found, BTreeMap::from([("sweden".to_owned(), 20)]));
    let sweden = ask_about(&bench, 430).await;
    assert!((cost(&sweden) - 0.92 * listed(&sweden)).abs() < 2e-6, "{sweden:?}");
    bench.emulator.script("gpt-4o-sweden", Step::throttled_ms(60_000).forever());
    let found = shares(&bench, 500..520).await;
    assert_eq!(found, BTreeMap::from([("openai".to_owned(), 20)]));
    let openai = ask_about(&bench, 530).await;
    assert!((cost(&openai) - listed(&openai)).abs() < 2e-6, "{openai:?}");
}

#[tokio::test]
async fn a_lower_tier_is_used_although_it_costs_more_and_its_own_price_is_charged() {
    let bench = Layout::empty()
        .payg("cheap", "gpt-4o")
        .payg("dear", "gpt-4o")
        .set("deployments.cheap.order", 2)
        .set("deployments.dear.price", "{ input = 100, output = 200 }")
        .set("roles.reasoning.models", r#"["gpt-4o"]"#)
        .start()
        .await;
    let answer = bench.ask("chat", json!({"max_tokens": 10})).await;
    answer.assert_answered_by("dear", false);
    let usage = answer.json()["usage"].clone();
    let tokens = |name: &str| usage[name].as_f64().unwrap();
    let expected = (tokens("prompt_tokens") * 100.0 + tokens("completion_tokens") * 200.0) / 1e6;
    let cost: f64 = answer.header("x-router-cost-usd").unwrap().parse().unwrap();
    assert!((cost - expected).abs() < 2e-6, "{cost} instead of {expected}");
    bench.emulator.script("dear", Step::throttled_ms(60_000).forever());
    bench.ask("chat", json!({})).await.assert_answered_by("cheap", false);
}

#[tokio::test]
async fn an_equal_whose_streams_begin_late_gets_fewer_new_conversations() {
    let bench = Layout::empty()
        .payg("late", "gpt-4o")
        .payg("quick", "gpt-4o")
        .set("roles.reasoning.models", r#"["gpt-4o"]"#)
        .start()
        .await;
    let late = r#"{"stream": {"slow_first_token_ms": 150}, "forever": true}"#;
    let url = format!("{}/emulator/script", bench.emulator.url());
    let script = format!(r#"{{"deployment": "late", "steps": [{late}]}}"#);
    let ordered = bench.client.post(url).body(script).send().await.unwrap();
    assert!(ordered.status().is_success());
    let ask = async |subject: usize| {
        let messages = json!([{"role": "user", "content": format!("Hello, number {subject}.")}]);
        let answer = bench.ask("chat", json!({"messages": messages, "stream": true})).await;
        answer.deployment().unwrap().to_owned()
    };
    let mut before = 0;
    for subject in 0..60 {
        before += usize::from(ask(subject).await == "late");
    }
    let mut after = 0;
    for subject in 60..160 {
        after += usize::from(ask(subject).await == "late");
    }
    assert!(before >= 5, "{before} of the first 60: nothing was known of it");
    assert!(after <= 15, "{after} of the next 100");
}

#[tokio::test(start_paused = true)]
async fn a_conversation_gets_a_key_of_its_prompt_cache_that_holds_no_text() {
    let seen: Arc<Mutex<Vec<Value>>> = Arc::default();
    let keys = Arc::clone(&seen);
    let layout = Layout::empty()
        .payg("chat_payg", "gpt-4o")
        .set("roles.reasoning.models", r#"["gpt-4o"]"#)
        .text("endpoints.azure.api", "azure_v1")
        .without("endpoints.azure.api_version")
        .text("routing.prompt_cache_key", "derive")
        .text("routing.unsupported", "reject");
    let script = move |attempt: &Attempt, _| {
        let body: Value = serde_json::from_slice(&attempt.body).unwrap();
        keys.lock().unwrap().push(body["prompt_cache_key"].clone());
        Ok(Canned::good(attempt))
    };
    let router = InMemory::new(&layout, script.clone());
    let said = |text: &str| json!({"role": "user", "content": text});
    let first = json!([said("Say hello.")]);
    let next = json!([said("Say hello."), {"role": "assistant", "content": "Hi"}, said("Again.")]);
    let other = json!([said("Say goodbye.")]);
    for messages in [first.clone(), next, other] {
        router.ask(&json!({"model": "chat", "messages": messages}), &[]).await.unwrap();
    }
    let own = json!({"model": "chat", "messages": first, "prompt_cache_key": "mine"});
    router.ask(&own, &[]).await.unwrap();
    let off = layout.text("routing.prompt_cache_key", "off");
    let body = json!({"model": "chat", "messages": first});
    InMemory::new(&off, script.clone()).ask(&body, &[]).await.unwrap();
    // A dated version may not know the field.
    let dated = Layout::empty()
        .payg("chat_payg", "gpt-4o")
        .set("roles.reasoning.models", r#"["gpt-4o"]"#)
        .text("routing.prompt_cache_key", "derive");
    InMemory::new(&dated, script).ask(&body, &[]).await.unwrap();
    let seen = seen.lock().unwrap();
    let key = seen[0].as_str().unwrap();
    assert!(key.len() == 16 && key.chars().all(|letter| letter.is_ascii_hexdigit()), "{key}");
    assert_eq!(seen[1], key, "the next turn");
    assert_ne!(seen[2], key, "another conversation");
    assert_eq!(seen[3], "mine");
    assert!(seen[4].is_null() && seen[5].is_null(), "{seen:?}");
}

#[test]
fn faults_and_advice_name_the_keys() {
    let config = |lines: &str| {
        let layout =
            Layout::empty().payg("one", "gpt-4o").payg("two", "gpt-4o").ptu("ptu", "gpt-4o");
        let layout = layout.set("roles.reasoning.models", r#"["gpt-4o"]"#);
        let text = format!("{}{lines}", layout.toml("http://127.0.0.1:9"));
        Config::from_toml(&text, Day::try_from("2026-11-02").unwrap())
    };
    for (lines, fault) in [
        ("deployments.one.order = 0", "deployments.one.order: must be at least 1, found 0"),
        ("deployments.one.weight = 0", "deployments.one.weight: must be at least 1, found 0"),
        (
            "deployments.one.discount_percent = 101.0",
            "deployments.one.discount_percent: must be 0 to 100, found 101",
        ),
        (
            "deployments.one.discount_percent = 5.0\ndeployments.one.price = { input = 1.0, output = 2.0 }",
            "deployments.one.discount_percent: not together with price, which says it",
        ),
        (
            "deployments.one.price = { input = 1.0 }",
            "deployments.one.price.output: missing; must be a price in dollars",
        ),
        (
            "deployments.ptu.discount_percent = 5.0",
            "deployments.ptu.discount_percent: only with billing = \"pay_as_you_go\"",
        ),
    ] {
        let faults = config(lines).unwrap_err().to_string();
        assert!(faults.contains(fault), "{faults}");
    }
    let advice = |lines: &str| {
        let found =
            config(lines).unwrap().router.warnings.into_iter().map(|warning| warning.to_string());
        found.filter(|text| text.contains("share requests")).collect::<Vec<_>>()
    };
    let equal = advice("");
    assert_eq!(equal.len(), 1, "{equal:?}");
    assert!(equal[0].starts_with("deployments.two.order: missing; it costs the same as one"));
    for settled in [
        "deployments.two.order = 2",
        "deployments.one.weight = 2",
        "deployments.two.discount_percent = 1.0",
    ] {
        assert_eq!(advice(settled), Vec::<String>::new(), "{settled}");
    }
}
