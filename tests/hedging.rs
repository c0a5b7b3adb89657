//! A stream that is slow to begin is also sent to another deployment, if config allows: the faster
//! one is used, the other is cancelled, within the hedging budget. With an in-memory upstream, in
//! paused time.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use crate::support::Layout;
use crate::support::memory::{Canned, InMemory};

/// Answers before the slow ones: enough to speak of a spread.
const USUAL: usize = 40;

/// A router whose first deployment begins within 110 ms, forty times, and after ten seconds from then on.
fn bench(layout: &Layout) -> InMemory {
    InMemory::new(layout, |attempt, number| {
        let slow = number >= USUAL && attempt.deployment.name.as_str() == "chat_ptu";
        let usual = Duration::from_millis(100 + u64::try_from(number % 10).unwrap());
        let delay = if slow { Duration::from_secs(10) } else { usual };
        Ok(Canned { delay, ..Canned::good(attempt) })
    })
}

/// The deployment that answered, the number of attempts, and the time to the first byte of the head.
async fn ask(bench: &InMemory, streamed: bool) -> (String, String, Duration) {
    let body = json!({"model": "chat", "stream": streamed, "messages": [{"role": "user", "content": "hi"}]});
    let began = Instant::now();
    let (response, bytes) = bench.ask(&body, &[]).await.unwrap();
    assert!(!bytes.is_empty());
    let header = |name| response.headers.get(name).map_or("", |value| value.to_str().unwrap());
    let by = header("x-router-deployment").to_owned();
    (by, header("x-router-attempts").to_owned(), began.elapsed())
}

async fn warmed(layout: &Layout) -> InMemory {
    let bench = bench(layout);
    for _ in 0..USUAL {
        assert_eq!(ask(&bench, true).await.0, "chat_ptu");
    }
    bench
}

#[tokio::test(start_paused = true)]
async fn the_quicker_of_two_answers_and_the_budget_ends_it() {
    let layout = Layout::pair().set("limits.hedge_quantile", 0.99).set("limits.hedge_ratio", 0.01);
    let bench = warmed(&layout).await;
    let before = bench.arrived().len();
    let (by, attempts, took) = ask(&bench, true).await;
    assert_eq!((by.as_str(), attempts.as_str()), ("chat_payg", "2"));
    assert!(took < Duration::from_secs(1), "{took:?}");
    let arrived = &bench.arrived()[before..];
    let silent = arrived[1].at - arrived[0].at;
    assert!((100..200).contains(&silent.as_millis()), "asked again after {silent:?}");
    // A budget of 1 % holds one second attempt and gathers slowly.
    let (by, attempts, took) = ask(&bench, true).await;
    assert_eq!((by.as_str(), attempts.as_str()), ("chat_ptu", "1"));
    assert!(took >= Duration::from_secs(10), "{took:?}");
    let text = prometheus::TextEncoder::new().encode_to_string(&bench.registry.gather()).unwrap();
    let lost = "deployment=\"chat_ptu\",outcome=\"outrun\"} 1";
    assert!(text.contains(lost), "{text}");
}

#[tokio::test(start_paused = true)]
async fn whole_answers_and_routers_without_the_key_wait() {
    let hedged = Layout::pair().set("limits.hedge_quantile", 0.99);
    for (layout, streamed) in [(Layout::pair(), true), (hedged, false)] {
        let bench = warmed(&layout).await;
        let (by, attempts, took) = ask(&bench, streamed).await;
        assert_eq!((by.as_str(), attempts.as_str()), ("chat_ptu", "1"));
        assert!(took >= Duration::from_secs(10), "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn where_the_second_fails_the_first_still_answers() {
    let layout = Layout::pair().set("limits.hedge_quantile", 0.99);
    let bench = InMemory::new(&layout, |attempt, number| {
        if attempt.deployment.name.as_str() == "chat_payg" {
            return Ok(Canned::of(500, "{}"));
        }
        let delay =
            if number >= USUAL { Duration::from_secs(3) } else { Duration::from_millis(100) };
        Ok(Canned { delay, ..Canned::good(attempt) })
    });
    for _ in 0..USUAL {
        ask(&bench, true).await;
    }
    let (by, attempts, took) = ask(&bench, true).await;
    assert_eq!((by.as_str(), attempts.as_str()), ("chat_ptu", "2"));
    assert!(took >= Duration::from_secs(3), "{took:?}");
}
