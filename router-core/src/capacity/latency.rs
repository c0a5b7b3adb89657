//! How quick is a deployment? Time-decayed means of the time to the first byte and of the whole answer.
//!
//! An old reading fades with time and not with the number of later ones: a deployment that nobody used for a while is
//! no longer known to be quick.

use std::time::Duration;

use tokio::time::Instant;

/// What one answer took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// From sending to the first content, or to the whole answer where it is not streamed.
    pub first: Duration,
    /// From sending to the end.
    pub total: Duration,
}

/// After this time a reading weighs half.
const HALF_LIFE: Duration = Duration::from_secs(60);

/// With less learned than this many readings nothing is said of their spread.
const LEAST_WEIGHT: f64 = 20.0;

/// Time-decayed means; empty until the first answer.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Latency {
    last: Option<Instant>,
    weight: f64,
    first: f64,
    total: f64,
    /// Mean of the squares of the first times, for their spread.
    squares: f64,
}

impl Latency {
    /// Learns what an answer took.
    pub fn learn(&mut self, now: Instant, timing: Timing) {
        let age = self.last.map_or(Duration::ZERO, |last| now.saturating_duration_since(last));
        let kept = self.weight * 0.5f64.powf(age.as_secs_f64() / HALF_LIFE.as_secs_f64());
        let blend = |mean: f64, new: Duration| (mean * kept + new.as_secs_f64()) / (kept + 1.0);
        self.first = blend(self.first, timing.first);
        self.total = blend(self.total, timing.total);
        let first = timing.first.as_secs_f64();
        self.squares = (self.squares * kept + first * first) / (kept + 1.0);
        self.weight = kept + 1.0;
        self.last = Some(now);
    }

    /// The mean time to the first content; `None` until something was learned.
    pub fn first(&self) -> Option<Duration> {
        self.last.map(|_| Duration::from_secs_f64(self.first))
    }

    /// The time within which nearly the share `quantile` of answers began, were the times spread as a normal distribution is;
    /// `None` until enough was learned to speak of a spread.
    pub fn first_within(&self, quantile: f64) -> Option<Duration> {
        let spread = (self.squares - self.first * self.first).max(0.0).sqrt();
        // The logistic curve is within 2 % of the normal one and can be turned round.
        let quantile = quantile.clamp(0.5, 0.9999);
        let deviations = (quantile / (1.0 - quantile)).ln() / 1.702;
        (self.weight >= LEAST_WEIGHT)
            .then(|| Duration::from_secs_f64(self.first + deviations * spread))
    }

    /// The mean time of whole answers; `None` until something was learned.
    pub fn total(&self) -> Option<Duration> {
        self.last.map(|_| Duration::from_secs_f64(self.total))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_readings_outweigh_old_ones() {
        let now = Instant::now();
        let timing = |millis| Timing {
            first: Duration::from_millis(millis),
            total: Duration::from_millis(2 * millis),
        };
        let mut latency = Latency::default();
        assert_eq!(latency.first(), None);
        for _ in 0..50 {
            latency.learn(now, timing(1_000));
        }
        latency.learn(now + 20 * HALF_LIFE, timing(100));
        let first = latency.first().unwrap();
        assert!((100..101).contains(&first.as_millis()), "{first:?}");
        assert_eq!(latency.total().unwrap().as_millis() / 2, first.as_millis());
    }
}
