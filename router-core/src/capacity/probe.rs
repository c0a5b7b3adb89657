//! Decides when to probe a deployment that the twin believes full, and how much headroom to keep
//! after an unexpected 429.
//!
//! A twin that is too pessimistic would never learn: nothing is sent, so nothing is answered. It is
//! therefore probed now and then, rarely if it was right and often if it was wrong. A twin that is
//! too optimistic learns at once, by a refusal; a little headroom is then kept for a while.

use std::time::Duration;

use tokio::time::Instant;

/// Decides when to try a deployment that the twin believes full.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Probe {
    next: Instant,
    gap: Duration,
    /// Successful probes in a row.
    right: u8,
}

const LEAST_GAP: Duration = Duration::from_secs(1);
const LONGEST_GAP: Duration = Duration::from_secs(120);

/// Streaks are not counted further.
const LONGEST_STREAK: u8 = 10;

impl Probe {
    /// None so far.
    pub(crate) fn new(now: Instant) -> Self {
        Self { next: now + LEAST_GAP, gap: LEAST_GAP, right: 0 }
    }

    /// True if it is time for a probe.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        now >= self.next
    }

    /// Records a probe; the next one follows after a gap.
    pub(crate) fn asked(&mut self, now: Instant) {
        self.next = now + self.gap;
    }

    /// There was capacity. Returns how often in a row this was the case before.
    pub(crate) fn was_right(&mut self, now: Instant) -> u8 {
        let before = self.right;
        let right = before.saturating_add(1).min(LONGEST_STREAK);
        *self = Self { next: now + LEAST_GAP, gap: LEAST_GAP, right };
        before
    }

    /// It was full indeed.
    pub(crate) fn was_wrong(&mut self, now: Instant) {
        let gap = (self.gap * 2).min(LONGEST_GAP);
        *self = Self { next: now + gap, gap, right: 0 };
    }

    /// It said for how long it will be full, which is not doubted before that time.
    pub(crate) fn told(&mut self, now: Instant, wait: Duration) {
        self.right = 0;
        self.next = self.next.max(now + wait + self.gap);
    }
}

/// Seconds of drain that are kept free; fading.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Headroom {
    seconds: f64,
    at: Instant,
}

/// The most that is kept free, and after how long half of it is given up.
const MOST_SECONDS: f64 = 0.5;
const HALF_LIFE_SECONDS: f64 = 30.0;

impl Headroom {
    /// Nothing.
    pub(crate) fn new(now: Instant) -> Self {
        Self { seconds: 0.0, at: now }
    }

    /// The headroom to keep if we added `added` seconds of drain since the last reported level. A reported wait is
    /// kept to the millisecond, neither more nor less.
    pub(crate) fn seconds(&self, now: Instant, added: f64) -> f64 {
        if self.seconds <= 0.0 {
            return 0.0;
        }
        let age = now.saturating_duration_since(self.at).as_secs_f64();
        self.seconds * 0.5f64.powf(age / HALF_LIFE_SECONDS) * (added.abs() / MOST_SECONDS).min(1.0)
    }

    /// It was refused although there seemed to be capacity, by this much.
    pub(crate) fn refused(&mut self, now: Instant, seconds: f64) {
        let kept = self.seconds(now, MOST_SECONDS);
        self.seconds = (kept + seconds.clamp(0.01, 0.1)).min(MOST_SECONDS);
        self.at = self.at.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_wrong_are_heard_ever_more_rarely() {
        let mut now = Instant::now();
        let mut doubt = Probe::new(now);
        for gap in [1, 2, 4, 8, 16, 32, 64, 120, 120] {
            assert!(!doubt.is_due(now) && doubt.is_due(now + gap * SECOND), "{gap}: {doubt:?}");
            now += gap * SECOND;
            doubt.asked(now);
            doubt.was_wrong(now);
        }
        assert_eq!([doubt.was_right(now), doubt.was_right(now)], [0, 1]);
        assert!(doubt.is_due(now + SECOND));
        doubt.told(now, 60 * SECOND);
        assert!(!doubt.is_due(now + 60 * SECOND) && doubt.is_due(now + 61 * SECOND));
    }

    #[test]
    fn what_is_kept_free_fades_and_is_only_for_what_we_added() {
        let now = Instant::now();
        let mut guard = Headroom::new(now);
        for _ in 0..20 {
            guard.refused(now, 9.0);
        }
        assert!((guard.seconds(now, 10.0) - 0.5).abs() < 1e-9);
        assert!(guard.seconds(now, 0.0).abs() < 1e-9);
        assert!((guard.seconds(now + 30 * SECOND, 10.0) - 0.25).abs() < 1e-9);
    }
}
