//! Applies to our copy of a bucket what the deployment answered to another replica.
//!
//! Each replica keeps a copy of its own, and none knows what the others add. A 429 holds for all of
//! them: until its wait has passed, the level is above the capacity.

use tokio::time::Instant;

use super::twin::{Baseline, Twin};

impl Twin {
    /// The end of the wait that the deployment last requested in a 429; `None` before the first.
    pub(crate) fn refused_until(&self) -> Option<Instant> {
        self.refused_until
    }

    /// The deployment refused another replica and requested a wait until `until`. A higher level stays.
    ///
    /// Replicas that share a wait would all send when it has passed, and all but one would be refused again. The one that was
    /// refused goes first; `turns` calls of replicas, the usual ones, go before those of this one.
    pub(crate) fn refused_elsewhere(&mut self, now: Instant, until: Instant, turns: f64) {
        self.refused_until = self.refused_until.max(Some(until));
        self.drain(now);
        let wait = until.saturating_duration_since(now);
        let over = wait.as_secs_f64();
        let level = turns.mul_add(self.turn(), over).mul_add(self.drift.rate(), self.capacity());
        if wait.is_zero() || self.level >= level {
            return;
        }
        self.level = level;
        self.learned(Baseline { at: now, over: Some(over), added: 0.0 });
        self.doubt.told(now, wait);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::capacity::Size;
    use crate::units::Tokens;

    const SIZE: Size = Size {
        rate: 100.0,
        window: Duration::from_secs(10),
        output_ratio: 4.0,
        missing_output: Tokens(100),
        cached_discount: 1.0,
    };
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_refusal_elsewhere_raises_the_level_and_never_lowers_it() {
        let now = Instant::now();
        let mut twin = Twin::new(SIZE, now);
        twin.refused_elsewhere(now, now + 2 * SECOND, 1.0);
        assert!(twin.wait(now).abs_diff(2 * SECOND) < Duration::from_millis(1), "{twin:?}");
        twin.refused_elsewhere(now, now + SECOND, 1.0);
        assert!(twin.wait(now).abs_diff(2 * SECOND) < Duration::from_millis(1), "{twin:?}");
        assert_eq!(twin.refused_until(), Some(now + 2 * SECOND));
        // A wait that is over says nothing any more.
        let before = twin.level(now + 3 * SECOND);
        twin.refused_elsewhere(now + 3 * SECOND, now + SECOND, 1.0);
        assert!((twin.level(now + 3 * SECOND) - before).abs() < 1e-9);
    }

    #[test]
    fn a_replica_that_was_not_refused_itself_enters_a_turn_later() {
        let now = Instant::now();
        let mut twin = Twin::new(SIZE, now);
        let ticket = twin.admit(now, 50.0);
        twin.settle(now, ticket, 50.0);
        for turns in 0..3_u32 {
            let mut twin = twin;
            twin.refused_elsewhere(now, now + SECOND, f64::from(turns));
            let expected = SECOND + turns * SECOND / 2;
            assert!(twin.wait(now).abs_diff(expected) < Duration::from_millis(1), "{turns}");
        }
    }
}
