//! Azure's native spillover: recognized by the answer's headers, billed and labelled by the token,
//! and taken as a sign that the provisioned deployment is full.

use azure_emulator::Step;
use serde_json::json;

use crate::support::Layout;

#[tokio::test]
async fn an_answer_that_azure_spilled_is_paid_by_the_token_and_says_that_the_ptu_is_full() {
    for (name, value) in [
        ("x-ms-spillover-from-deployment", "chat_ptu"),
        ("x-ms-spillover-from-chat_ptu", "true"),
        ("x-ms-is-spilled-over", "true"),
    ] {
        for streamed in [false, true] {
            let bench = Layout::pair().set("limits.provisioned_wait_ms", 60_000).start().await;
            bench.emulator.script("chat_ptu", Step::normal().header(name, value));
            let answer = bench.ask_in_form("chat", streamed).await;
            answer.assert_answered_by("chat_ptu", streamed);
            assert_eq!(answer.header("x-router-billing"), Some("pay_as_you_go"), "{answer:?}");
            assert_eq!(answer.header("x-router-fallback"), Some("spillover"), "{answer:?}");
            if !streamed {
                let cost: f64 = answer.header("x-router-cost-usd").unwrap().parse().unwrap();
                assert!(cost > 0.0, "{answer:?}");
            }
            let billed = bench.metric("model_router_cost_usd_total{deployment=\"chat_ptu\"}").await;
            assert!(billed > 0.0, "{name} {streamed}");
            let line = "model_router_native_spillovers_total{deployment=\"chat_ptu\"}";
            assert!((bench.metric(line).await - 1.0).abs() < 1e-9);
            // Full: the next request goes straight to pay-as-you-go.
            bench.ask_in_form("chat", streamed).await.assert_answered_by("chat_payg", streamed);
            assert_eq!(bench.counts(["chat_ptu", "chat_payg"]), [1, 1]);
        }
    }
}

#[tokio::test]
async fn a_spillover_that_failed_is_a_429_like_any_other() {
    let bench = Layout::pair().start().await;
    let body = json!({"error": {"code": "429", "message": "full"}}).to_string();
    let headers = [("x-ms-spillover-error", "429"), ("retry-after-ms", "30000")];
    bench.emulator.script("chat_ptu", Step::answer(429, headers, body));
    let answer = bench.ask_in_form("chat", false).await;
    answer.assert_answered_by("chat_payg", false);
    assert_eq!(answer.header("x-router-fallback"), Some("throttled"));
}

#[tokio::test]
async fn the_markers_mean_nothing_on_pay_as_you_go() {
    let bench = Layout::empty().payg("chat_payg", "gpt-4o").payg("o1_payg", "o1").start().await;
    let step = Step::normal().header("x-ms-is-spilled-over", "true");
    bench.emulator.script("chat_payg", step);
    for _ in 0..2 {
        let answer = bench.ask_in_form("chat", false).await;
        answer.assert_answered_by("chat_payg", false);
        assert_eq!(answer.header("x-router-fallback"), None);
    }
}
