//! 429 of a provisioned deployment: pay-as-you-go answers within the same request, no attempt goes
//! to the full deployment before the requested wait has passed, and one goes right after.
//!
//! The table is the one used to measure other routers, most of which fail most rows.

use std::time::Duration;

use azure_emulator::Step;
use serde_json::json;

use crate::support::memory::{Canned, InMemory};
use crate::support::{Bench, Layout, PATIENCE, question};

/// Much more than a busy machine needs between a wait's end and the next request.
const GENEROUS: Duration = Duration::from_millis(1_500);

#[tokio::test]
async fn pay_as_you_go_answers_in_the_same_request() {
    for streamed in [false, true] {
        let bench = Layout::pair().start().await;
        bench.emulator.script("chat_ptu", Step::throttled_ms(300));
        let answer = bench.ask_in_form("chat", streamed).await;
        answer.assert_answered_by("chat_payg", streamed);
        assert_eq!(answer.header("x-router-fallback"), Some("throttled"));
        assert_eq!(answer.header("x-router-attempts"), Some("2"));
        assert_eq!(answer.header("x-router-billing"), Some("pay_as_you_go"));
        let line =
            "model_router_fallbacks_total{cause=\"throttled\",from=\"chat_ptu\",to=\"chat_payg\"}";
        assert!((bench.metric(line).await - 1.0).abs() < 1e-9);
    }
}

#[tokio::test]
async fn while_the_wait_holds_nobody_goes_there_and_the_header_says_why() {
    let bench = Layout::pair().start().await;
    bench.emulator.script("chat_ptu", Step::throttled_ms(60_000).forever());
    bench.ask("chat", json!({})).await.assert_answered_by("chat_payg", false);
    let body = question("chat", json!({}));
    let many = futures_util::future::join_all((0..20).map(|_| bench.chat(&body))).await;
    for answer in many {
        answer.assert_answered_by("chat_payg", false);
        assert_eq!(answer.header("x-router-fallback"), Some("full"));
        assert_eq!(answer.header("x-router-attempts"), Some("1"));
    }
    assert_eq!(bench.counts(["chat_ptu", "chat_payg"]), [1, 21]);
}

#[tokio::test]
async fn a_bucket_that_is_really_full_spills_and_the_caller_sees_no_429() {
    let bucket = azure_emulator::bucket::BucketSettings::new(15.0, 2_500.0, 4.0);
    let ptu = azure_emulator::Deployment::provisioned("chat_ptu", "gpt-4o", bucket);
    let bench = Layout::pair().emulate(ptu).start().await;
    bench.emulator.fill("chat_ptu", 1.05);
    let answer = bench.ask("chat", json!({})).await;
    answer.assert_answered_by("chat_payg", false);
    let waits = bench.emulator.counters("chat_ptu").unwrap();
    assert_eq!((waits.throttled, waits.ok), (1, 0));
}

/// Asks until the provisioned deployment has been tried a second time; gives how long it was left alone.
async fn left_alone(bench: &Bench, streamed: bool) -> Duration {
    let started = tokio::time::Instant::now();
    loop {
        let answer = bench.ask_in_form("chat", streamed).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let asked = bench.asked("chat_ptu");
        if let [first, second, ..] = asked.as_slice() {
            return second.received - first.received;
        }
        assert!(started.elapsed() < PATIENCE, "never tried again");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

type Headers = &'static [(&'static str, &'static str)];

async fn check_row(bench: Bench, headers: Headers, wait_ms: u64, streamed: bool) {
    let waited = left_alone(&bench, streamed).await;
    let wait = Duration::from_millis(wait_ms);
    assert!(waited >= wait, "{headers:?}: tried again after {waited:?}, before {wait:?}");
    assert!(waited < wait + GENEROUS, "{headers:?}: left alone for {waited:?} instead of {wait:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_row_of_the_comparison_is_right_through_the_whole_server() {
    let rows: [(Headers, u64, bool); 8] = [
        (&[("retry-after", "1"), ("retry-after-ms", "400")], 400, false),
        (&[("retry-after-ms", "400")], 400, true),
        (&[("retry-after", "0"), ("retry-after-ms", "300")], 300, false),
        (&[("retry-after", "3")], 3_000, false),
        (&[("retry-after", "2.5")], 2_500, true),
        (&[], 500, false),
        (&[("retry-after", "0")], 500, false),
        (&[("retry-after-ms", "-20"), ("retry-after", "NaN")], 500, false),
    ];
    // All are started before the first request: starting takes time, during which callers on this thread stand still.
    let mut checks = Vec::new();
    for (headers, wait_ms, streamed) in rows {
        let bench = Layout::pair().start().await;
        bench.emulator.script("chat_ptu", Step::throttled(headers.iter().copied()));
        checks.push(check_row(bench, headers, wait_ms, streamed));
    }
    futures_util::future::join_all(checks).await;
}

/// The same through the router in memory, in paused time: to the millisecond, however long.
async fn check_exact(headers: Headers, wait_ms: u128) {
    let router = InMemory::new(&Layout::pair(), move |attempt, number| {
        let full = number == 0;
        let throttled = || {
            headers
                .iter()
                .fold(Canned::of(429, "{}"), |canned, (name, value)| canned.header(name, value))
        };
        Ok(if full { throttled() } else { Canned::good(attempt) })
    });
    let body = question("chat", json!({}));
    router.ask(&body, &[]).await.unwrap();
    // The 429 arrived one millisecond after its request had left.
    let learned = router.arrived()[0].at + Duration::from_millis(1);
    let end = learned + Duration::from_millis(u64::try_from(wait_ms).unwrap());
    let check = async |at: tokio::time::Instant, deployment: &str| {
        tokio::time::sleep_until(at).await;
        router.ask(&body, &[]).await.unwrap();
        let last = router.arrived().pop().unwrap();
        assert_eq!(last.deployment, deployment, "{headers:?} at {:?}", at - learned);
    };
    check(end.checked_sub(Duration::from_millis(2)).unwrap(), "chat_payg").await;
    check(end, "chat_ptu").await;
}

#[tokio::test(start_paused = true)]
async fn waits_are_kept_to_the_millisecond_and_absurd_ones_are_not_believed() {
    for (headers, wait_ms) in [
        (&[("retry-after", "1"), ("retry-after-ms", "400")][..], 400),
        (&[("retry-after-ms", "400")], 400),
        (&[("retry-after", "0"), ("retry-after-ms", "300")], 300),
        (&[("retry-after", "3")], 3_000),
        (&[("retry-after", "2.5")], 2_500),
        (&[], 500),
        (&[("retry-after", "20")], 20_000),
        (&[("retry-after", "0")], 500),
        (&[("retry-after", "-10")], 500),
        (&[("retry-after", "60")], 60_000),
        (&[("retry-after", "61")], 60_000),
        (&[("retry-after", "120")], 60_000),
        (&[("retry-after", "121")], 60_000),
        (&[("retry-after", "inf")], 500),
        (&[("retry-after", "nan")], 500),
        (&[("retry-after", "99999999999999999999")], 60_000),
        (&[("retry-after", "Fri, 29 Sep 2023 16:26:27 GMT")], 500),
        (&[("retry-after", "Sun, 29 Sep 2143 16:26:27 GMT")], 60_000),
        (&[("retry-after-ms", "120000")], 60_000),
        (&[("retry-after-ms", "120001")], 60_000),
        (&[("retry-after-ms", "soon"), ("retry-after", "7")], 7_000),
        (&[("x-ratelimit-reset-tokens", "6m0s")], 60_000),
        (&[("x-ratelimit-reset-requests", "9")], 9_000),
        (&[("x-rate-limit-reset-tokens", "4")], 4_000),
    ] {
        check_exact(headers, wait_ms).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_fault_in_between_does_not_shorten_the_wait() {
    // Two requests at once: the first is throttled for two seconds, the second meets faults whose cooldown is longer.
    let layout = Layout::pair().set("limits.fault_cooldown_ms", 30_000);
    let router = InMemory::new(&layout, |attempt, number| {
        let ptu = attempt.deployment.name.as_str() == "chat_ptu";
        Ok(match (ptu, number) {
            (true, 0) => Canned::of(429, "{}").header("retry-after", "2"),
            (true, 1) => Canned::of(503, "{}"),
            _ => Canned::good(attempt),
        })
    });
    let body = question("chat", json!({}));
    let (first, second) = tokio::join!(router.ask(&body, &[]), router.ask(&body, &[]));
    first.unwrap();
    second.unwrap();
    let tried = || router.arrived().iter().filter(|seen| seen.deployment == "chat_ptu").count();
    assert_eq!(tried(), 2);
    // While the wait holds not even a request that may go nowhere else is sent there.
    let pinned = question("deployment:chat_ptu", json!({}));
    let refused = router.ask(&pinned, &[]).await.unwrap_err();
    assert_eq!(refused.kind().as_str(), "capacity_exhausted");
    assert_eq!(tried(), 2, "the wait still holds");
    tokio::time::sleep(Duration::from_secs(2)).await;
    router.ask(&pinned, &[]).await.unwrap();
    assert_eq!(tried(), 3);
}
