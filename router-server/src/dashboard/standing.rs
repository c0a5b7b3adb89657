//! The state of a deployment in one word, with the time until it changes.

use std::time::Duration;

use router_core::capacity::{Cause, DeploymentState};
use tokio::time::Instant;

/// The state of a deployment in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stands {
    /// `ready`, `full`, `cooling`, `recovering`, `misconfigured` or `disabled`.
    pub(super) word: &'static str,
    /// The cause of a cooldown.
    pub(super) cause: Option<&'static str>,
    /// The time until it changes.
    pub(super) time: Option<Duration>,
}

impl Stands {
    /// Switched off by the configuration; this outweighs everything else.
    pub(super) const DISABLED: Self = Self { word: "disabled", cause: None, time: None };

    /// The word for a state at a moment; `ramp` is the time over which a deployment recovers from faults.
    pub(super) fn of(standing: &DeploymentState, ramp: Duration, now: Instant) -> Self {
        if let Some((cause, until)) = standing.cooling(now) {
            let word = match cause {
                Cause::Misconfigured => "misconfigured",
                Cause::Throttled | Cause::Unavailable | Cause::Fault => "cooling",
            };
            let time = Some(until.saturating_duration_since(now));
            return Self { word, cause: Some(cause.as_str()), time };
        }
        let full = standing.twin.map_or(Duration::ZERO, |twin| twin.wait(now));
        if !full.is_zero() {
            return Self { word: "full", cause: None, time: Some(full) };
        }
        // A healthy deployment admits any number.
        let well = standing.cooldown.admits(now, u32::MAX, ramp);
        Self { word: if well { "ready" } else { "recovering" }, cause: None, time: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RAMP: Duration = Duration::from_secs(10);

    #[test]
    fn the_most_severe_word_wins_and_has_its_time() {
        let now = Instant::now();
        let second = Duration::from_secs(1);
        let mut standing = DeploymentState::default();
        let word = |standing: &DeploymentState, now| Stands::of(standing, RAMP, now).word;
        assert_eq!(word(&standing, now), "ready");
        standing.cooldown.fail(now, second, second);
        assert_eq!(
            Stands::of(&standing, RAMP, now),
            Stands { word: "cooling", cause: Some("fault"), time: Some(second) }
        );
        let after = now + second * 2;
        assert_eq!(word(&standing, after), "recovering");
        standing.cooldown.serve(after);
        assert_eq!(word(&standing, after + RAMP), "ready");
        standing.cooldown.misconfigure(now, second);
        assert_eq!(word(&standing, now), "misconfigured");
    }
}
