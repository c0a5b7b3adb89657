//! Switches of the configuration: a disabled deployment, a forced role, a concurrency limit; shown
//! wherever decisions are shown.

use azure_emulator::Step;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Bench, Layout, PATIENCE, checked, question};

fn change(bench: &Bench, layout: &Layout) {
    bench.server.reload(checked(&layout.toml(bench.emulator.url()))).unwrap();
}

/// The decision alone.
async fn decided(bench: &Bench, model: &str) -> Value {
    let request = bench.client.post(bench.url("/v1/route")).json(&question(model, json!({})));
    request.send().await.unwrap().json().await.unwrap()
}

#[tokio::test]
async fn a_deployment_that_is_switched_off_gets_nothing_until_it_is_switched_on() {
    let layout = Layout::pair();
    let bench = layout.clone().start().await;
    bench.ask("chat", json!({})).await.assert_answered_by("chat_ptu", false);
    let off = layout.clone().set("deployments.chat_ptu.enabled", false);
    change(&bench, &off);
    for model in ["chat", "auto", "gpt-4o", "chat_ptu"] {
        bench.ask(model, json!({})).await.assert_answered_by("chat_payg", false);
    }
    let pinned = bench.ask("deployment:chat_ptu", json!({})).await;
    assert_eq!((pinned.status, pinned.code().as_str()), (503, "deployment_disabled"), "{pinned:?}");
    assert_eq!(pinned.header("x-should-retry"), Some("false"));
    assert_eq!(bench.counts(["chat_ptu"]), [1]);
    let decision = decided(&bench, "chat").await;
    let candidates = decision["candidates"].as_array().unwrap();
    let of_ptu = candidates.iter().find(|one| one["deployment"] == "chat_ptu").unwrap();
    assert!(of_ptu.to_string().contains("disabled"), "{of_ptu}");
    let line = "model_router_deployment_disabled{deployment=\"chat_ptu\"}";
    assert!(bench.metric(line).await > 0.5);
    let verbose = bench.get("/readyz?verbose").await.json();
    let standings = verbose["deployments"].as_array().unwrap();
    let of_ptu = standings.iter().find(|one| one["deployment"] == "chat_ptu").unwrap();
    assert_eq!(of_ptu["enabled"], false);
    assert_eq!(of_ptu["azure_deployment"], "chat_ptu", "the name that is sent");
    // The reasoning role without a deployment falls back to chat; without any deployment the router is not ready.
    let none = off.set("deployments.o1_payg.enabled", false);
    change(&bench, &none);
    let downgraded = bench.ask("reasoning", json!({})).await;
    downgraded.assert_answered_by("chat_payg", false);
    change(&bench, &none.set("deployments.chat_payg.enabled", false));
    assert_eq!(bench.ask("chat", json!({})).await.code(), "deployment_disabled");
    assert_eq!(bench.get("/readyz").await.status, 503);
    change(&bench, &layout);
    bench.ask("chat", json!({})).await.assert_answered_by("chat_ptu", false);
    assert!(bench.metric(line).await < 0.5);
}

#[tokio::test]
async fn a_forced_role_serves_whatever_names_no_model() {
    let layout = Layout::pair().set("routing.threshold", 0.0);
    let bench = layout.clone().start().await;
    assert_eq!(bench.ask("auto", json!({})).await.deployment(), Some("o1_payg"));
    change(&bench, &layout.clone().text("routing.force_role", "chat"));
    for model in ["auto", "reasoning", "chat"] {
        let body = question(model, json!({}));
        let hinted = bench.request(&body).header("x-router-task", "reasoning");
        let answer = crate::support::Answer::of(hinted).await;
        assert_eq!(answer.deployment(), Some("chat_ptu"), "{model}: {answer:?}");
        assert_eq!(answer.header("x-router-task"), Some("chat"));
    }
    assert_eq!(bench.ask("o1", json!({})).await.deployment(), Some("o1_payg"), "named");
    let decision = decided(&bench, "auto").await;
    assert_eq!((&decision["forced"], &decision["task"]), (&json!(true), &json!("chat")));
    assert_eq!(decided(&bench, "o1").await["forced"], false);
    assert!(bench.metric("model_router_forced_role{role=\"chat\"}").await > 0.5);
    assert_eq!(bench.get("/readyz?verbose").await.json()["forced_role"], "chat");
    change(&bench, &layout);
    assert_eq!(bench.ask("auto", json!({})).await.deployment(), Some("o1_payg"));
    assert!(bench.metric("model_router_forced_role{role=\"chat\"}").await < 0.5);
}

#[tokio::test]
async fn what_is_beyond_a_bound_goes_to_the_next_deployment_and_then_back_to_the_caller() {
    let layout = Layout::pair()
        .set("deployments.chat_ptu.max_in_flight", 2)
        .set("deployments.chat_payg.max_in_flight", 1);
    let bench = layout.start().await;
    let slow = || Step::normal().pause_after(1, std::time::Duration::from_millis(600));
    bench.emulator.script_all("chat_ptu", [slow(), slow()]);
    bench.emulator.script("chat_payg", slow());
    // All at once, so that none sees the others in what it decides by.
    let asks =
        join_all((0..8).map(|_| bench.ask("chat", json!({"stream": true, "max_tokens": 50}))));
    let answers = tokio::time::timeout(PATIENCE, asks).await.unwrap();
    let by = |name: &str| answers.iter().filter(|one| one.deployment() == Some(name)).count();
    assert_eq!((by("chat_ptu"), by("chat_payg")), (2, 1), "{answers:?}");
    for refused in answers.iter().filter(|one| one.status != 200) {
        assert_eq!((refused.status, refused.code().as_str()), (429, "capacity_exhausted"));
        assert_eq!(refused.json()["error"]["type"], "rate_limit_error");
        let waits = ["retry-after", "retry-after-ms"].map(|name| refused.number(name));
        assert_eq!(waits, [1, 1_000]);
        assert_eq!(refused.header("x-should-retry"), Some("true"));
    }
    assert_eq!(bench.counts(["chat_ptu", "chat_payg"]), [2, 1]);
    // An ended request frees its slot.
    bench.ask_in_form("chat", false).await.assert_answered_by("chat_ptu", false);
}
