//! Teams and spending: a budget that several keys share, a key's own usage, gauges, and a restart.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::keys::{ask_as, key, with_keys};
use crate::support::scripted::{Says, Scripted};
use crate::support::{Answer, Bench, Layout, PATIENCE, checked};

/// Two keys of a team and one of none; every answer costs a few cents.
fn layout() -> Layout {
    let layout = with_keys(Layout::pair(), &["one", "two", "alone"])
        .set("models.gpt-4o.usd_per_million_tokens", "{ input = 2000.0, output = 2000.0 }")
        .set("deployments.chat_ptu.enabled", false)
        .set("keys.alone.operator", true)
        .set("teams.search.monthly_budget_usd", 0.15);
    ["one", "two"].into_iter().fold(layout, |layout, name| {
        layout
            .text(&format!("keys.{name}.team"), "search")
            .set(&format!("keys.{name}.monthly_budget_usd"), 5.0)
    })
}

async fn usage(bench: &Bench, name: &str) -> Value {
    let usage = bench.client.get(bench.url("/v1/usage")).bearer_auth(key(name));
    Answer::of(usage).await.json()
}

async fn metric(bench: &Bench, line: &str) -> Option<f64> {
    let metrics = bench.client.get(bench.url("/metrics")).bearer_auth(key("alone"));
    let text = Answer::of(metrics).await.text;
    text.lines().find_map(|known| known.strip_prefix(line)?.strip_prefix(' ')?.parse().ok())
}

#[tokio::test]
async fn keys_of_a_team_spend_from_one_budget() {
    let bench = layout().start().await;
    let mut spent = Vec::new();
    while spent.len() < 20 {
        let name = if spent.len() % 2 == 0 { "one" } else { "two" };
        let answer = ask_as(&bench, name, "chat").await;
        if answer.status != 200 {
            assert_eq!((answer.status, answer.code().as_str()), (429, "insufficient_quota"));
            assert!(answer.text.contains("this key's team's monthly budget"), "{answer:?}");
            assert_eq!(answer.header("x-should-retry"), Some("false"));
            break;
        }
        spent.push(answer.header("x-router-cost-usd").unwrap().parse::<f64>().unwrap());
    }
    assert!((2..20).contains(&spent.len()), "{spent:?}");
    assert!(spent.iter().sum::<f64>() >= 0.15, "{spent:?}");
    // Both members are refused; a key without a team is not.
    for name in ["one", "two"] {
        assert_eq!(ask_as(&bench, name, "chat").await.status, 429, "{name}");
    }
    assert_eq!(ask_as(&bench, "alone", "chat").await.status, 200);
    let team = usage(&bench, "two").await["team"].clone();
    assert_eq!(team["name"], "search");
    let month = &team["budgets"]["month"];
    assert!((month["spent_usd"].as_f64().unwrap() - spent.iter().sum::<f64>()).abs() < 1e-9);
    assert_eq!((&month["budget_usd"], &month["remaining_usd"]), (&json!(0.15), &json!(0.0)));
    let of_team = "{name=\"search\",owner=\"team\",span=\"month\"}";
    let limit = metric(&bench, &format!("model_router_budget_limit_usd{of_team}")).await;
    assert_eq!(limit, Some(0.15));
    let shown = metric(&bench, &format!("model_router_budget_spent_usd{of_team}")).await;
    assert!(shown.unwrap() >= 0.15);
    assert!(
        metric(
            &bench,
            "model_router_budget_limit_usd{name=\"alone\",owner=\"key\",span=\"month\"}"
        )
        .await
        .is_none()
    );
}

#[tokio::test]
async fn a_key_sees_its_own_usage_and_no_others() {
    let bench = layout().set("keys.one.tags", "[\"search\", \"eu\"]").start().await;
    let cost = ask_as(&bench, "one", "chat").await;
    let cost: f64 = cost.header("x-router-cost-usd").unwrap().parse().unwrap();
    let own = usage(&bench, "one").await;
    assert_eq!((&own["object"], &own["key"]), (&json!("usage"), &json!("one")));
    assert_eq!(own["tags"], json!(["search", "eu"]));
    assert!((own["budgets"]["day"]["spent_usd"].as_f64().unwrap() - cost).abs() < 1e-9, "{own}");
    assert!(own["budgets"]["day"]["budget_usd"].is_null());
    assert_eq!(own["budgets"]["month"]["budget_usd"], 5.0);
    assert_eq!(own["requests_per_minute"]["used"], 1);
    assert!(own["tokens_per_minute"]["used"].as_u64().unwrap() > 0);
    let other = usage(&bench, "alone").await;
    assert_eq!(other["budgets"]["month"]["spent_usd"], 0.0);
    assert!(other["team"].is_null() && !other.to_string().contains("\"one\""));
    let nobody = Answer::of(bench.client.get(bench.url("/v1/usage"))).await;
    assert_eq!(nobody.status, 401);
    let open = Layout::pair().start().await;
    assert!(open.get("/v1/usage").await.json()["key"].is_null());
}

#[tokio::test]
async fn spending_survives_a_restart_without_a_redis() {
    let folder = tempfile::tempdir().unwrap();
    let layout = layout().text("server.state_dir", folder.path().to_str().unwrap());
    let first = layout.clone().start().await;
    ask_as(&first, "one", "chat").await;
    let before = usage(&first, "one").await["budgets"]["month"]["spent_usd"].as_f64().unwrap();
    assert!(before > 0.0);
    let toml = layout.toml(first.emulator.url());
    first.server.stop().await;
    let server = router_server::start(&checked(&toml)).await.unwrap();
    let second = Bench::new(first.emulator, server);
    let after = usage(&second, "one").await;
    assert!((after["budgets"]["month"]["spent_usd"].as_f64().unwrap() - before).abs() < 1e-12);
    let team = &after["team"]["budgets"]["month"]["spent_usd"];
    assert!((team.as_f64().unwrap() - before).abs() < 1e-12, "{after}");
}

/// True if a text holds each of these words.
fn has(text: &str, words: &[&str]) -> bool {
    words.iter().all(|word| text.contains(word))
}

#[tokio::test]
async fn a_notice_is_posted_signed_and_again_until_it_is_taken() {
    let seen = Arc::new(Mutex::new(Vec::<Value>::new()));
    let notes = Arc::clone(&seen);
    let receiver = Scripted::start(move |asked| {
        let mut notes = notes.lock().unwrap();
        notes.push(asked.json.clone());
        Says::json(if notes.len() == 1 { 503 } else { 204 }, &Value::Null)
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    let layout = layout()
        .text("notify.url", receiver.url())
        .set("notify.secret", format!("{{ file = {:?} }}", secret.to_str().unwrap()));
    let bench = layout.start().await;
    while ask_as(&bench, "one", "chat").await.status == 200 {}
    let started = tokio::time::Instant::now();
    while seen.lock().unwrap().len() < 2 {
        assert!(started.elapsed() < PATIENCE, "{seen:?}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let notices = seen.lock().unwrap().clone();
    let last = notices.last().unwrap().to_string();
    assert!(has(&last, &["budget.", "\"search\"", "\"team\"", "\"month\""]), "{last}");
    let taken = "model_router_notices_total{outcome=\"delivered\"}";
    while metric(&bench, taken).await.unwrap_or(0.0) < 1.0 {
        assert!(started.elapsed() < PATIENCE);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}
