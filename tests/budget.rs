//! The retry budget of the whole router: an outage does not become a retry storm.

use azure_emulator::Step;
use serde_json::json;

use crate::support::memory::{Canned, InMemory};
use crate::support::{Layout, question};

#[tokio::test]
async fn without_budget_a_fault_is_not_tried_elsewhere() {
    let bench = Layout::pair()
        .set("limits.retry_budget_ratio", 0.0)
        .set("limits.retry_budget_per_second", 0.0)
        .start()
        .await;
    bench.emulator.script("chat_ptu", Step::server_error());
    let answer = bench.ask("chat", json!({})).await;
    assert_eq!((answer.status, answer.code().as_str()), (502, "upstream_failed"));
    assert_eq!(bench.counts(["chat_ptu", "chat_payg"]), [1, 0]);
}

#[tokio::test]
async fn the_budget_that_is_left_is_a_gauge() {
    let bench = Layout::pair()
        .set("limits.retry_budget_ratio", 0.03)
        .set("limits.retry_budget_per_second", 0.0)
        .start()
        .await;
    let (left, most) =
        ("model_router_retry_budget_attempts", "model_router_retry_budget_limit_attempts");
    assert!((bench.metric(most).await - 3.0).abs() < 1e-9);
    assert!((bench.metric(left).await - 3.0).abs() < 1e-9);
    bench.emulator.script("chat_ptu", Step::server_error());
    assert_eq!(bench.ask("chat", json!({})).await.status, 200);
    // The request could add nothing to a full budget; its further attempt took one.
    assert!((bench.metric(left).await - 2.0).abs() < 1e-9);
}

#[tokio::test(start_paused = true)]
async fn in_an_outage_attempts_are_bounded_by_the_share() {
    let layout = Layout::pair()
        .payg("chat_payg_2", "gpt-4o")
        .payg("chat_payg_3", "gpt-4o")
        .set("limits.retry_budget_ratio", 0.2)
        .set("limits.retry_budget_per_second", 1.0);
    let router = InMemory::new(&layout, |_, _| Ok(Canned::of(503, "{}")));
    let body = question("chat", json!({}));
    let requests = 1_000;
    for _ in 0..requests {
        router.ask(&body, &[]).await.unwrap_err();
        tokio::time::sleep(std::time::Duration::from_millis(9)).await;
    }
    // One attempt each, a fifth more, one a second for ten seconds or a little more, and what had gathered before.
    let attempts = router.arrived().len();
    assert!((requests + 200..=requests + 200 + 15 + 20).contains(&attempts), "{attempts}");
}
