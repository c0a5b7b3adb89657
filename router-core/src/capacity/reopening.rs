//! Lets requests back into a pay-as-you-go deployment one by one after a 429.
//!
//! The wait of a 429 is often tens of milliseconds, and all who were held for it would enter in the same instant: all but one
//! would get the next 429. So the first enters when the wait is over, and the gap to each next one is half of the gap before,
//! until there is none. A further 429 starts again with its own wait.
//!
//! Not done here: the wait itself, which nothing may cut short (`cooldown.rs`).

use std::time::Duration;

use tokio::time::Instant;

/// The gaps lie between these bounds; below the first there is none.
const LEAST_GAP: Duration = Duration::from_millis(2);
const LONGEST_GAP: Duration = Duration::from_millis(100);

/// Decides when the next request may enter after a 429.
///
/// ```
/// use router_core::capacity::Reopening;
/// use std::time::Duration;
/// use tokio::time::Instant;
/// let (now, ms) = (Instant::now(), Duration::from_millis);
/// let mut reopening = Reopening::default();
/// reopening.throttled(now, ms(40));
/// assert_eq!(reopening.wait(now), ms(40));
/// reopening.entered(now + ms(40));
/// assert_eq!(reopening.wait(now + ms(40)), ms(20)); // half of it to the next one
/// reopening.entered(now + ms(60));
/// assert_eq!(reopening.wait(now + ms(60)), ms(10));
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reopening {
    /// The next request enters then; `None` if nothing restrains them.
    next: Option<Instant>,
    gap: Duration,
}

impl Reopening {
    /// A 429 requested this wait.
    pub fn throttled(&mut self, now: Instant, wait: Duration) {
        self.next = self.next.max(Some(now + wait));
        self.gap = (wait / 2).clamp(LEAST_GAP, LONGEST_GAP);
    }

    /// A 429 to another replica requested a wait until `until`. That replica goes first, and `turns` gaps later this one.
    pub(crate) fn throttled_elsewhere(&mut self, now: Instant, until: Instant, turns: f64) {
        let gap = (until.saturating_duration_since(now) / 2).clamp(LEAST_GAP, LONGEST_GAP);
        self.next = self.next.max(Some(until + gap.mul_f64(turns.max(0.0))));
        self.gap = gap;
    }

    /// Time until the next request may enter.
    pub fn wait(&self, now: Instant) -> Duration {
        self.next.map_or(Duration::ZERO, |next| next.saturating_duration_since(now))
    }

    /// A request enters.
    pub fn entered(&mut self, now: Instant) {
        if self.next.is_none() {
            return;
        }
        let open = self.gap < LEAST_GAP;
        self.next = (!open).then_some(now + self.gap);
        self.gap /= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_enters_within_a_fraction_of_a_second_and_never_at_once() {
        let start = Instant::now();
        let mut reopening = Reopening::default();
        reopening.throttled(start, Duration::from_secs(17));
        let mut now = start;
        let mut entered = Vec::new();
        for _ in 0..100 {
            now += reopening.wait(now);
            reopening.entered(now);
            entered.push(now - start);
        }
        assert_eq!(entered[0], Duration::from_secs(17));
        assert!(entered[1] >= entered[0] + LONGEST_GAP);
        assert!(entered[99] < entered[0] + Duration::from_millis(250), "{:?}", entered[99]);
        reopening.throttled(now, Duration::from_millis(43));
        assert_eq!(reopening.wait(now), Duration::from_millis(43));
    }

    #[test]
    fn a_replica_that_was_not_refused_itself_enters_after_the_one_that_was() {
        let (now, ms) = (Instant::now(), Duration::from_millis);
        let mut reopening = Reopening::default();
        reopening.throttled_elsewhere(now, now + ms(40), 1.0);
        assert_eq!(reopening.wait(now), ms(60));
        reopening.entered(now + ms(60));
        assert_eq!(reopening.wait(now + ms(60)), ms(20), "and its own requests one by one");
        // Its own longer wait stays.
        reopening.throttled(now, ms(500));
        reopening.throttled_elsewhere(now, now + ms(40), 1.0);
        assert_eq!(reopening.wait(now), ms(500));
    }
}
