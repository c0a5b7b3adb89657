//! Applies a change of a provisioned deployment's size to our copy of its bucket.

use tokio::time::Instant;

use super::drift::Drift;
use super::size::Size;
use super::twin::{Baseline, Twin};

impl Twin {
    /// The bucket after its size was changed: as full as it was, as a share, and above its capacity by as many seconds of
    /// drain, so that a requested wait holds. The learned rate of the old size is forgotten. Running calls still return
    /// their reservations.
    #[must_use]
    pub(crate) fn resized(mut self, size: Size, now: Instant) -> Self {
        if self.size == size {
            return self;
        }
        self.drain(now);
        let share = self.level / self.capacity();
        let over = ((self.level - self.capacity()) / self.drift.rate()).max(0.0);
        self.size = size;
        self.drift = Drift::new(size.rate, size.window.as_secs_f64());
        self.level = self.capacity() * share.min(1.0) + over * size.rate;
        let above = (self.level - self.capacity()) / size.rate;
        let over = (self.level > 0.0).then_some(above);
        self.learned(Baseline { at: now, over, added: 0.0 });
        self
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::units::Tokens;

    fn size(ptu: f64) -> Size {
        Size {
            rate: ptu * 2_500.0 / 60.0,
            window: Duration::from_secs(10),
            output_ratio: 4.0,
            missing_output: Tokens(4_096),
            cached_discount: 1.0,
        }
    }

    #[test]
    fn it_is_as_full_as_it_was_and_calls_under_way_give_back() {
        let now = Instant::now();
        let mut twin = Twin::new(size(15.0), now);
        let (one, other) = (twin.admit(now, 2_500.0), twin.admit(now, 2_500.0));
        let mut twin = twin.resized(size(30.0), now);
        assert!((twin.utilization(now) - 0.8).abs() < 1e-9);
        assert!((twin.drift().rate_ratio() - 1.0).abs() < 1e-9);
        twin.accepted(now, one);
        twin.settle(now, one, 500.0);
        twin.settle(now, other, 500.0);
        assert!((twin.level(now) - 6_000.0).abs() < 1e-9, "{}", twin.level(now));
        assert_eq!(twin.resized(size(30.0), now), twin);
    }

    #[test]
    fn a_wait_that_was_asked_for_holds_under_any_size() {
        let now = Instant::now();
        let mut twin = Twin::new(size(15.0), now);
        let ticket = twin.admit(now, 100.0);
        twin.refused(now, ticket, Duration::from_secs(4), None);
        let (wait, unused) = (twin.wait(now), twin.unused(now));
        for ptu in [5.0, 10.0, 30.0, 300.0] {
            let resized = twin.resized(size(ptu), now);
            assert!(resized.wait(now).abs_diff(wait) < Duration::from_millis(1), "{ptu}");
            assert!(
                (resized.unused(now) - unused).abs() < 1e-9,
                "paid for and wasted is counted on"
            );
        }
    }
}
