//! How does a deployment stand? One word for what the state knows, with the time until it changes.

use std::time::Duration;

use router_core::capacity::{Cause, DeploymentState};
use tokio::time::Instant;

/// How a deployment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stands {
    /// `ready`, `full`, `cooling`, `recovering`, `misconfigured`, `disabled` or `removed`.
    pub(super) word: &'static str,
    /// Why it is left alone.
    pub(super) cause: Option<&'static str>,
    /// For how much longer.
    pub(super) time: Option<Duration>,
}

impl Stands {
    /// No longer in the configuration.
    pub(super) const REMOVED: Self = Self { word: "removed", cause: None, time: None };

    /// Switched off by the configuration, whatever else is known of it.
    pub(super) const DISABLED: Self = Self { word: "disabled", cause: None, time: None };

    /// What the state says at this moment; `ramp` is how long a deployment takes to come back after faults.
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
        // One that is well admits any number.
        let well = standing.cooldown.admits(now, u32::MAX, ramp);
        Self { word: if well { "ready" } else { "recovering" }, cause: None, time: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RAMP: Duration = Duration::from_secs(10);

    #[test]
    fn the_gravest_word_is_told_with_its_time() {
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
