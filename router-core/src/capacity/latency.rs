//! Time-decayed means of a deployment's time to first byte and time to the complete answer, and the
//! tail of the time to a stream's first token.
//!
//! A reading fades with time, not with the number of later readings: an unused deployment
//! for a while is no longer known to be fast.

use std::time::Duration;

use tokio::time::Instant;

/// Durations of one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// From sending to the first content, or to the whole answer if it is not streamed.
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
    tail: Tail,
}

/// The share of streams that begin within the tail.
const TAIL: f64 = 0.9;

/// With less learned than this many readings the tail is not known.
const LEAST_TAIL_WEIGHT: f64 = 5.0;

/// The least factor by which one reading moves the tail: enough to follow a change within some twenty readings.
const LEAST_TAIL_STEP: f64 = 0.1;

/// The 90th percentile of the time to a stream's first token. Each reading moves it by a step: up by nine parts if the
/// reading lies above it, down by one part if it does not, so that it comes to rest where one in ten lies above.
///
/// **Source:** Robbins and Monro, "A Stochastic Approximation Method", 1951, on the logarithm of the time.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Tail {
    last: Option<Instant>,
    weight: f64,
    seconds: f64,
}

impl Tail {
    fn weight(&self, now: Instant) -> f64 {
        self.last.map_or(0.0, |last| faded(self.weight, now.saturating_duration_since(last)))
    }

    fn learn(&mut self, now: Instant, first: Duration) {
        let (kept, first) = (self.weight(now), first.as_secs_f64().max(1e-3));
        if kept < 1.0 {
            self.seconds = first;
        } else {
            let step = (2.0 / (kept + 1.0)).max(LEAST_TAIL_STEP);
            let part = if first > self.seconds { TAIL } else { TAIL - 1.0 };
            self.seconds *= (step * part).exp();
        }
        self.weight = kept + 1.0;
        self.last = Some(now);
    }
}

/// A weight after `age`: it halves every `HALF_LIFE`.
fn faded(weight: f64, age: Duration) -> f64 {
    weight * 0.5f64.powf(age.as_secs_f64() / HALF_LIFE.as_secs_f64())
}

impl Latency {
    /// Learns what an answer took.
    pub fn learn(&mut self, now: Instant, timing: Timing) {
        let age = self.last.map_or(Duration::ZERO, |last| now.saturating_duration_since(last));
        let kept = faded(self.weight, age);
        let blend = |mean: f64, new: Duration| (mean * kept + new.as_secs_f64()) / (kept + 1.0);
        self.first = blend(self.first, timing.first);
        self.total = blend(self.total, timing.total);
        let first = timing.first.as_secs_f64();
        self.squares = (self.squares * kept + first * first) / (kept + 1.0);
        self.weight = kept + 1.0;
        self.last = Some(now);
        // A whole answer begins when it ends, which says nothing about a stream.
        if timing.first < timing.total {
            self.tail.learn(now, timing.first);
        }
    }

    /// The time within which nine in ten streams began lately; `None` until enough were seen, and once that is too long ago.
    pub(crate) fn first_tail(&self, now: Instant) -> Option<Duration> {
        let known = self.tail.weight(now) >= LEAST_TAIL_WEIGHT;
        known.then(|| Duration::from_secs_f64(self.tail.seconds))
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
    fn the_tail_lies_where_one_in_ten_is_slower_and_is_forgotten() {
        let mut now = Instant::now();
        let mut latency = Latency::default();
        let mut learn = |latency: &mut Latency, round: u64, slower: u64| {
            now += Duration::from_millis(100);
            // One in eight takes two seconds, the others 200 to 300 ms.
            let first = if round.is_multiple_of(8) { 2_000 } else { 200 + round * 37 % 100 };
            let first = Duration::from_millis(first * slower);
            latency.learn(now, Timing { first, total: 2 * first });
            now
        };
        for round in 0..400 {
            learn(&mut latency, round, 1);
        }
        let now = learn(&mut latency, 1, 1);
        let tail = latency.first_tail(now).unwrap().as_millis();
        assert!((250..2_100).contains(&tail), "{tail}");
        for round in 0..60 {
            learn(&mut latency, round, 10);
        }
        let now = learn(&mut latency, 1, 10);
        let slower = latency.first_tail(now).unwrap().as_millis();
        assert!(slower > 2_000 && slower > 3 * tail, "{tail} {slower}");
        assert_eq!(latency.first_tail(now + 10 * HALF_LIFE), None);
        let total = Duration::from_secs(1);
        let mut whole = Latency::default();
        (0..50).for_each(|_| whole.learn(now, Timing { first: total, total }));
        assert_eq!(whole.first_tail(now), None, "no stream was seen");
    }

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
