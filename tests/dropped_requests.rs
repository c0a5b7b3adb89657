//! A request can be dropped at any await point. Everything that it had reserved is released: no
//! slot stays taken, and the bucket keeps only the prompts that were sent. With an in-memory
//! upstream, in paused time.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use crate::support::Layout;
use crate::support::memory::{Canned, InMemory};

/// Answers before the slow ones: enough to know a spread.
const USUAL: usize = 40;

/// Far more tokens than the prompts of a request take.
const CAP: u64 = 100_000;

/// More than the prompts of all attempts that one request makes here.
const PROMPTS: f64 = 1_000.0;

/// A 429 says that the level is above the capacity, whatever was reserved.
const REFUSED: f64 = f64::INFINITY;

/// Polls a future until it is ready, or was pending so many times; true if it was ready.
async fn poll_at_most(future: impl Future<Output = ()>, pending: usize) -> bool {
    let mut future = pin!(future);
    let mut left = pending;
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(()) => Poll::Ready(true),
        Poll::Pending if left == 0 => Poll::Ready(false),
        Poll::Pending => {
            left -= 1;
            Poll::Pending
        }
    })
    .await
}

async fn ask(bench: &InMemory, streamed: bool) {
    let messages = json!([{"role": "user", "content": "hi"}]);
    let body =
        json!({"model": "chat", "stream": streamed, "max_tokens": CAP, "messages": messages});
    // Both refusals and answers end a request.
    drop(bench.ask(&body, &[]).await);
}

#[track_caller]
fn check_released(bench: &InMemory, most: f64, polls: usize) {
    for deployment in bench.router.rules().catalog.deployments() {
        let state = bench.router.standing(&deployment.name);
        assert_eq!(state.in_flight, 0, "{} after {polls} polls", deployment.name);
        let level = state.twin.map_or(0.0, |twin| twin.level(Instant::now()));
        assert!(level < most, "{} holds {level} after {polls} polls", deployment.name);
    }
}

/// Drops a request at each of its await points; how many there were.
async fn drop_everywhere(bench: &InMemory, most: f64, streamed: bool) -> usize {
    let mut polls = 0;
    loop {
        let finished = poll_at_most(ask(bench, streamed), polls).await;
        check_released(bench, most, polls);
        // The bucket drains before the next one.
        tokio::time::sleep(Duration::from_secs(120)).await;
        if finished {
            return polls;
        }
        polls += 1;
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_attempt_releases_what_it_reserved() {
    for streamed in [false, true] {
        let bench = InMemory::new(&Layout::pair(), |attempt, _| {
            let pause = Duration::from_millis(5);
            Ok(Canned { yields: true, pause, ..Canned::good(attempt) })
        });
        assert!(drop_everywhere(&bench, PROMPTS, streamed).await >= 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_request_that_waits_or_falls_back_releases_what_it_reserved() {
    let layout = Layout::pair().set("capacity.max_wait_ms", 1_000);
    let bench = InMemory::new(&layout, |attempt, number| match number % 3 {
        0 => Ok(Canned::of(429, "{}").header("retry-after-ms", "50")),
        1 => Ok(Canned::of(500, "{}")),
        _ => Ok(Canned { yields: true, ..Canned::good(attempt) }),
    });
    for streamed in [false, true] {
        assert!(drop_everywhere(&bench, REFUSED, streamed).await >= 2);
    }
}

/// A router with hedges whose deployments usually begin within 110 ms, then after `delay`.
async fn hedging(delay: &Arc<AtomicU64>) -> InMemory {
    let layout = Layout::pair().set("limits.hedge_quantile", 0.99).set("limits.hedge_ratio", 1.0);
    let slow = Arc::clone(delay);
    let bench = InMemory::new(&layout, move |attempt, number| {
        let usual = Duration::from_millis(100 + u64::try_from(number % 10).unwrap());
        let delay =
            if number < USUAL { usual } else { Duration::from_nanos(slow.load(Ordering::Relaxed)) };
        Ok(Canned { delay, yields: true, ..Canned::good(attempt) })
    });
    for _ in 0..USUAL {
        ask(&bench, true).await;
    }
    bench
}

#[tokio::test(start_paused = true)]
async fn a_dropped_hedge_releases_what_it_reserved() {
    let delay = Arc::new(AtomicU64::new(1_000_000_000));
    let bench = hedging(&delay).await;
    let before = bench.arrived().len();
    assert!(drop_everywhere(&bench, PROMPTS, true).await >= 3);
    assert!(bench.arrived()[before..].iter().any(|attempt| attempt.deployment == "chat_payg"));
}

#[tokio::test(start_paused = true)]
async fn a_hedge_that_the_first_attempt_outruns_before_it_is_sent_releases_what_it_reserved() {
    let delay = Arc::new(AtomicU64::new(0));
    let bench = hedging(&delay).await;
    let first = bench.router.rules().catalog.deployment("chat_ptu").unwrap().name.clone();
    let silence = bench.router.standing(&first).latency.first_within(0.99).unwrap();
    // The answer arrives at the very moment at which the hedge is decided.
    let silence = u64::try_from(silence.as_millis()).unwrap() + 1;
    delay.store(silence * 1_000_000, Ordering::Relaxed);
    let before = bench.arrived().len();
    ask(&bench, true).await;
    assert_eq!(bench.arrived().len(), before + 1, "the hedge was not sent");
    check_released(&bench, PROMPTS, 0);
}
