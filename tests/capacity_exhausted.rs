//! Every deployment full: 429 with the shortest wait of the pool, in both headers, and whether a
//! retry can help.

use azure_emulator::Step;
use serde_json::json;

use crate::support::{Answer, Bench, Layout};

#[track_caller]
fn assert_full(answer: &Answer, code: &str, wait_ms: std::ops::RangeInclusive<u64>, retry: &str) {
    assert_eq!((answer.status, answer.code().as_str()), (429, code), "{answer:?}");
    assert_eq!(answer.json()["error"]["type"], "rate_limit_error", "{answer:?}");
    let milliseconds = answer.number("retry-after-ms");
    assert!(wait_ms.contains(&milliseconds), "{milliseconds} ms");
    assert_eq!(answer.number("retry-after"), milliseconds.div_ceil(1_000), "{answer:?}");
    assert_eq!(answer.header("x-should-retry"), Some(retry), "{answer:?}");
}

async fn both_full(layout: Layout, ptu: &str, payg: &str) -> Bench {
    let bench = layout.start().await;
    bench.emulator.script("chat_ptu", Step::throttled([("retry-after-ms", ptu)]).forever());
    bench.emulator.script("chat_payg", Step::throttled([("retry-after", payg)]).forever());
    bench
}

#[tokio::test]
async fn the_shortest_wait_of_the_pool_is_told_whoever_asked_for_it() {
    for streamed in [false, true] {
        let bench = both_full(Layout::pair(), "7400", "30").await;
        // The first request meets both 429s, the second is not sent at all.
        for _ in 0..2 {
            let answer = bench.ask_in_form("chat", streamed).await;
            assert_full(&answer, "capacity_exhausted", 1..=7_400, "true");
        }
        assert_eq!(bench.counts(["chat_ptu", "chat_payg"]), [1, 1]);
        let bench = both_full(Layout::pair(), "40000", "6").await;
        let answer = bench.ask_in_form("chat", streamed).await;
        assert_full(&answer, "capacity_exhausted", 1..=6_000, "true");
        assert_eq!(answer.header("x-router-deployment"), Some("chat_payg"), "the last attempt");
    }
}

#[tokio::test]
async fn a_wait_beyond_a_minute_is_not_worth_trying_again() {
    let patient = Layout::pair().set("limits.wait_max_ms", 600_000);
    let bench = both_full(patient, "90000", "120").await;
    let answer = bench.ask("chat", json!({})).await;
    assert_full(&answer, "capacity_exhausted", 60_001..=90_000, "false");
}

#[tokio::test]
async fn a_pinned_deployment_that_is_full_is_the_whole_pool() {
    let bench = both_full(Layout::pair(), "5000", "1").await;
    let answer = bench.ask("deployment:chat_ptu", json!({})).await;
    assert_full(&answer, "capacity_exhausted", 1..=5_000, "true");
    assert_eq!(bench.counts(["chat_ptu", "chat_payg"]), [1, 0]);
}

#[tokio::test]
async fn a_429_that_moves_on_draws_on_no_retry_budget() {
    let layout = Layout::pair()
        .set("limits.retry_budget_ratio", 0.0)
        .set("limits.retry_budget_per_second", 0.0);
    let bench = layout.start().await;
    for _ in 0..20 {
        bench.emulator.script("chat_ptu", Step::throttled_ms(1));
        let answer = bench.ask("chat", json!({})).await;
        answer.assert_answered_by("chat_payg", false);
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}
