//! 429 of pay-as-you-go: its wait is mostly milliseconds, so a request is held for it if going on would cost something; what
//! counts against its quota is learned; deployments that share a quota are throttled together.

use std::time::Duration;

use azure_emulator::quota::{QuotaSettings, Weights};
use azure_emulator::{Deployment, Step};
use futures_util::future::join_all;
use serde_json::json;

use crate::support::{Bench, Layout, question};

const WAIT: Duration = Duration::from_millis(43);

/// The measured form: `retry-after-ms` alone.
fn throttled(wait_ms: &str) -> Step {
    Step::throttled([("retry-after-ms", wait_ms)])
}

/// Requests may be held as long as by default.
fn layout() -> Layout {
    Layout::empty()
        .set("capacity.max_wait_ms", 450)
        .set("roles.reasoning.models", r#"["gpt-4o"]"#)
        .payg("first", "gpt-4o")
}

fn gap(bench: &Bench) -> Duration {
    let asked = bench.asked("first");
    asked[1].received - asked[0].received
}

#[tokio::test]
async fn a_wait_of_milliseconds_is_kept_and_the_caller_sees_no_429() {
    for streamed in [false, true] {
        let bench = layout().start().await;
        bench.emulator.script("first", throttled("43"));
        let answer = bench.ask_in_form("chat", streamed).await;
        answer.assert_answered_by("first", streamed);
        assert_eq!(answer.number("x-router-attempts"), 2);
        assert!(gap(&bench) >= WAIT, "{:?}", gap(&bench));
    }
}

#[tokio::test]
async fn a_crowd_after_a_429_is_paced_and_nobody_in_it_is_refused() {
    let bench = layout().set("capacity.max_wait_ms", 120).start().await;
    bench.emulator.script("first", throttled("400"));
    assert_eq!(bench.ask("chat", json!({})).await.status, 429, "nobody is held that long");
    tokio::time::sleep(Duration::from_millis(450)).await;
    let crowd = join_all((0..20).map(|_| bench.ask("chat", json!({})))).await;
    for answer in crowd {
        answer.assert_answered_by("first", false);
    }
}

#[tokio::test]
async fn an_equal_deployment_answers_at_once_and_a_later_or_dearer_one_is_not_asked_for_a_short_wait()
 {
    let equal = layout().payg("second", "gpt-4o").start().await;
    for _ in 0..2 {
        equal.emulator.script("first", throttled("43"));
        equal.emulator.script("second", throttled("43"));
        let answer = equal.ask("chat", json!({})).await;
        assert_eq!(answer.status, 200);
        equal.emulator.clear_script("first");
        equal.emulator.clear_script("second");
        tokio::time::sleep(2 * WAIT).await;
    }
    for (key, value) in [("order", "2"), ("price", "{ input = 5, output = 20 }")] {
        let other =
            || layout().payg("second", "gpt-4o").set(&format!("deployments.second.{key}"), value);
        let bench = other().start().await;
        bench.emulator.script("first", throttled("43"));
        bench.ask("chat", json!({})).await.assert_answered_by("first", false);
        assert!(gap(&bench) >= WAIT, "{:?}", gap(&bench));
        // The longest wait that was measured is longer than anybody is held.
        let bench = other().start().await;
        bench.emulator.script("first", throttled("17300").forever());
        for _ in 0..2 {
            bench.ask("chat", json!({})).await.assert_answered_by("second", false);
        }
        assert_eq!(bench.counts(["first", "second"]), [1, 2]);
    }
}

#[tokio::test]
async fn a_crowd_is_held_for_one_wait_and_does_not_come_back_all_at_once() {
    let bench = layout().start().await;
    bench.emulator.script("first", throttled("60"));
    let body = question("chat", json!({}));
    let one = bench.chat(&body);
    let crowd = async {
        while bench.asked("first").is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        join_all((0..12).map(|_| bench.chat(&body))).await
    };
    let (one, crowd) = tokio::join!(one, crowd);
    for answer in crowd.into_iter().chain([one]) {
        answer.assert_answered_by("first", false);
    }
    let asked = bench.asked("first");
    assert_eq!(asked.len(), 14);
    let after = |at: usize| asked[at].received - asked[0].received;
    assert!(after(1) >= Duration::from_millis(60), "{:?}", after(1));
    // The first gap is half of the wait.
    assert!(after(2) >= Duration::from_millis(85), "{:?}", after(2));
}

#[tokio::test]
async fn what_counts_against_a_quota_is_learned_from_what_answers_say_is_left() {
    for (cap_weight, spilled) in [(0.0, false), (1.0, true)] {
        let weights = Weights { cap: cap_weight, ..Weights::DOCUMENTED };
        let quota = QuotaSettings { weights, ..QuotaSettings::new(1_000_000, 20_000) };
        let bench = layout()
            .emulate(Deployment::pay_as_you_go("first", "gpt-4o", quota))
            .payg("second", "gpt-4o")
            .set("deployments.second.order", 2)
            .set("deployments.first.tokens_per_minute", 20_000)
            .start()
            .await;
        // By the documentation, twenty such caps use up the quota of the minute.
        for _ in 0..40 {
            let answer = bench.ask("chat", json!({"max_tokens": 1_000})).await;
            assert_eq!(answer.status, 200, "{answer:?}");
        }
        let [first, second] = bench.counts(["first", "second"]);
        assert_eq!(second > 0, spilled, "cap weight {cap_weight}: {first} and {second}");
    }
}

#[tokio::test]
async fn deployments_that_share_a_quota_are_throttled_together() {
    let bench = layout()
        .payg("second", "gpt-4o")
        .payg("third", "gpt-4o")
        .set("deployments.third.order", 2)
        .text("deployments.first.quota_pool", "east")
        .text("deployments.second.quota_pool", "east")
        .start()
        .await;
    bench.emulator.script("first", throttled("30000").forever());
    bench.emulator.script("second", throttled("30000").forever());
    for _ in 0..3 {
        bench.ask("chat", json!({})).await.assert_answered_by("third", false);
    }
    let [first, second] = bench.counts(["first", "second"]);
    assert_eq!(first + second, 1, "the other one of the pool is not asked");
}
