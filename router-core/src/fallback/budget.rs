//! The retry budget of the whole router, which keeps an outage from becoming a retry storm.
//!
//! Each request adds a fraction of a token, time adds a few more, and each further attempt after a
//! fault takes one. While faults are rare, the budget has no effect; if every upstream is down, it
//! limits the extra load to that fraction. A 429 that moves on does not use it: the plan and the
//! deadline bound it.
//!
//! **Source:** Finagle's retry budget, as in tower's `retry::budget`.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use super::limits::RetryBudget;

/// The seconds of tokens that may gather.
const HELD_SECONDS: f64 = 10.0;

/// A bucket of further attempts.
#[derive(Debug, Clone)]
pub(crate) struct RetryTokens {
    budget: RetryBudget,
    /// Shared by the configs of one router.
    level: Arc<Mutex<(f64, Instant)>>,
}

impl RetryTokens {
    /// A full bucket.
    pub(crate) fn new(budget: RetryBudget, now: Instant) -> Self {
        Self { budget, level: Arc::new(Mutex::new((most(budget), now))) }
    }

    /// The same bucket, filled by a new budget: a change of config buys no further attempts.
    #[must_use]
    pub(crate) fn renewed(&self, budget: RetryBudget) -> Self {
        Self { budget, level: Arc::clone(&self.level) }
    }

    /// A request has come.
    pub(crate) fn deposit(&self, now: Instant) {
        self.with(now, |level| *level += self.budget.ratio);
    }

    /// Takes a token for one further attempt; false where none is left.
    pub(crate) fn withdraw(&self, now: Instant) -> bool {
        self.with(now, |level| {
            let enough = *level >= 1.0;
            if enough {
                *level -= 1.0;
            }
            enough
        })
    }

    /// Further attempts that may be made now.
    pub(crate) fn level(&self, now: Instant) -> f64 {
        self.with(now, |level| *level).min(self.most())
    }

    /// Further attempts that gather at most.
    pub(crate) fn most(&self) -> f64 {
        most(self.budget)
    }

    fn with<T>(&self, now: Instant, change: impl FnOnce(&mut f64) -> T) -> T {
        let mut guard = self.level.lock().unwrap_or_else(PoisonError::into_inner);
        let (level, then) = &mut *guard;
        *level += now.saturating_duration_since(*then).as_secs_f64() * self.budget.per_second;
        *then = now.max(*then);
        let out = change(level);
        *level = level.min(most(self.budget));
        out
    }
}

/// The most that gathers: some seconds of time's share, and enough for a burst of requests' share.
fn most(budget: RetryBudget) -> f64 {
    (budget.per_second * HELD_SECONDS).max(budget.ratio * 100.0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_outage_is_held_at_the_share() {
        let start = Instant::now();
        let tokens = RetryTokens::new(RetryBudget { ratio: 0.2, per_second: 1.0 }, start);
        let mut retries = 0;
        for request in 0..10_000u32 {
            // 100 requests a second, each of which would like one further attempt.
            let now = start + Duration::from_millis(10) * request;
            tokens.deposit(now);
            retries += u32::from(tokens.withdraw(now));
        }
        // A fifth of the requests, one a second, and what had gathered before.
        assert!((2_000..=2_000 + 100 + 20 + 1).contains(&retries), "{retries}");
    }
}
