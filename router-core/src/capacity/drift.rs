//! Learns the actual drain rate and window of a provisioned deployment from its responses.
//!
//! Between two refusals the bucket is never known to be empty. The tokens added in between and the
//! elapsed drain time give the rate at which *our* tokens drain: the true rate minus the use of
//! others. From an empty bucket to the first refusal, the tokens give the window. Samples fade, so
//! a deployment that was resized, or whose other users left, is learned again. Learned values stay
//! within a factor of four of the configured ones: beyond that the configuration is wrong, and the
//! metrics show it.

/// Weight of the configured rate, in squared seconds of drain.
const PRIOR: f64 = 10.0;

/// After so much observed drain time a sample weighs half.
const HALF_LIFE_SECONDS: f64 = 40.0;

/// Learned figures stay within this factor of config's.
const FACTOR: f64 = 4.0;

/// Share of the distance to an observed window by which the learned window moves.
const WINDOW_GAIN: f64 = 0.4;

/// The rate and the window, learned.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Drift {
    configured_rate: f64,
    configured_window: f64,
    rate: f64,
    window: f64,
    /// Sums of least squares through the origin, tokens over seconds: long spans, in which rounding is small, weigh most.
    moments: f64,
    squares: f64,
}

impl Drift {
    /// Starts from the configured values.
    pub(crate) fn new(rate: f64, window: f64) -> Self {
        let (configured_rate, configured_window) = (rate, window);
        Self { configured_rate, configured_window, rate, window, moments: 0.0, squares: 0.0 }
    }

    /// Normalized tokens of ours that drain in a second.
    pub(crate) fn rate(&self) -> f64 {
        self.rate
    }

    /// Seconds of drain between an empty and a full bucket.
    pub(crate) fn window(&self) -> f64 {
        self.window
    }

    /// The learned rate as a share of config's: 0.7 where others use 30 %.
    pub(crate) fn rate_ratio(&self) -> f64 {
        self.rate / self.configured_rate
    }

    /// `tokens` of ours took `seconds` to drain.
    pub(crate) fn drained(&mut self, tokens: f64, seconds: f64) {
        let kept = 0.5f64.powf(seconds.abs() / HALF_LIFE_SECONDS);
        self.moments = self.moments * kept + tokens * seconds;
        self.squares = self.squares * kept + seconds * seconds;
        let learned = (self.configured_rate * PRIOR + self.moments) / (PRIOR + self.squares);
        self.rate = within(learned, self.configured_rate);
    }

    /// From empty to full were `seconds` of drain.
    pub(crate) fn filled(&mut self, seconds: f64) {
        let moved = self.window + WINDOW_GAIN * (seconds - self.window);
        self.window = within(moved, self.configured_window);
    }
}

fn within(value: f64, configured: f64) -> f64 {
    value.clamp(configured / FACTOR, configured * FACTOR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_outweigh_config_and_stay_within_the_factor() {
        let mut drift = Drift::new(100.0, 10.0);
        for _ in 0..20 {
            drift.drained(700.0, 10.0);
        }
        assert!((70.0..80.0).contains(&drift.rate()), "{drift:?}");
        for _ in 0..100 {
            drift.drained(9_000.0, 10.0);
            drift.filled(0.1);
        }
        assert!((drift.rate() - 400.0).abs() < 1e-9 && (drift.window() - 2.5).abs() < 1e-9);
    }

    #[test]
    fn other_users_that_leave_are_noticed() {
        let mut drift = Drift::new(100.0, 10.0);
        for _ in 0..20 {
            drift.drained(500.0, 10.0);
        }
        assert!(drift.rate_ratio() < 0.6);
        for _ in 0..20 {
            drift.drained(1_000.0, 10.0);
        }
        assert!(drift.rate_ratio() > 0.95, "{drift:?}");
    }
}
