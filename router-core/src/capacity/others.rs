//! Merges what other replicas added to a provisioned deployment, and the levels that it reported to
//! them, into our copy of its bucket.
//!
//! All replicas fill one bucket, so each addition counts for all, at the time when it was made; and
//! a level reported to one replica holds for all. Changes arrive late and out of order. Each one
//! carries its time, and one rule makes the order of arrival irrelevant: a reported level includes
//! everything added before the report, and nothing added after it.

use tokio::time::Instant;

use super::twin::{Baseline, LEAST_SECONDS, LevelReading, Twin};

impl Twin {
    /// Normalized tokens that this process has added in all, less what its calls returned.
    pub fn net(&self) -> f64 {
        self.net
    }

    /// The level that the deployment last reported, to us or to others.
    pub fn told(&self) -> Option<LevelReading> {
        self.told
    }

    /// Estimate of the tokens that this process's running calls will return. Other replicas remove them if this process dies.
    pub fn spare(&self) -> f64 {
        self.open.spare()
    }

    /// Another replica added `tokens` at `at`; below zero if its calls returned.
    pub fn absorb(&mut self, now: Instant, at: Instant, tokens: f64) {
        if self.told.is_some_and(|told| at <= told.at) {
            return;
        }
        let full = (self.level / self.drift.rate()).min(1e9);
        let empty = self.at + std::time::Duration::from_secs_f64(full.max(0.0));
        self.drain(now);
        // What drained away unused by our count, while these tokens were there, was them.
        let idle = now.saturating_duration_since(empty.max(at)).as_secs_f64();
        let gone = (self.drift.rate() * idle).min(tokens.max(0.0));
        self.unused = (self.unused - gone).max(0.0);
        self.put(tokens - gone);
    }

    /// Another replica received the level; `since` is what all replicas have added since, as far as known here.
    pub fn hear(&mut self, now: Instant, told: LevelReading, since: f64) {
        if self.told.is_some_and(|own| told.at <= own.at) {
            return;
        }
        self.drain(now);
        let LevelReading { at, over } = told;
        let elapsed = at.saturating_duration_since(self.known.at).as_secs_f64();
        let mut known = Baseline { at, over: Some(over), added: since };
        match self.known.over {
            Some(above) if elapsed >= LEAST_SECONDS => {
                self.drift.drained(self.known.added - since, over - above + elapsed);
            }
            Some(_) => known = self.known,
            None => {}
        }
        let age = now.saturating_duration_since(at).as_secs_f64();
        let level = (over - age).mul_add(self.drift.rate(), self.capacity()) + since;
        self.level = level.max(0.0);
        if let Ok(wait) = std::time::Duration::try_from_secs_f64(over - age) {
            self.doubt.told(now, wait);
        }
        self.learned(known);
        self.told = Some(told);
    }

    /// Another replica's copy holds so much at this moment, and ours knows less: it is new, or was cut off.
    pub fn adopt(&mut self, now: Instant, level: f64) {
        self.drain(now);
        if level > self.level {
            self.level = level;
            self.learned(Baseline { at: now, over: None, added: level });
        }
    }

    /// Seconds of drain to leave free for replicas whose turn comes before ours.
    pub fn leave(&mut self, seconds: f64) {
        self.spacing = seconds;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

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

    fn after(start: Instant, millis: u64) -> Instant {
        start + Duration::from_millis(millis)
    }

    #[test]
    fn what_was_added_before_the_deployment_told_is_in_what_it_told() {
        let start = Instant::now();
        let mut twin = Twin::new(SIZE, start);
        twin.absorb(after(start, 100), after(start, 50), 800.0);
        assert!((twin.level(after(start, 100)) - 795.0).abs() < 1e-6, "{twin:?}");
        let ticket = twin.admit(after(start, 200), 500.0);
        twin.refused(after(start, 300), ticket, Duration::from_secs(2), None);
        let told = twin.level(after(start, 300));
        // Another's call came before the refusal and after the news of it was written here.
        twin.absorb(after(start, 320), after(start, 290), 700.0);
        assert!((twin.level(after(start, 300)) - told).abs() < 1e-6);
        twin.absorb(after(start, 340), after(start, 310), 700.0);
        let expected = told + 700.0 - twin.drift().rate() * 0.04;
        assert!((twin.level(after(start, 340)) - expected).abs() < 1e-6, "{twin:?}");
    }

    #[test]
    fn what_drained_while_ours_was_empty_was_theirs() {
        let start = Instant::now();
        let mut twin = Twin::new(SIZE, start);
        // They added it a second ago; here the bucket has been empty all the while.
        twin.absorb(after(start, 2_000), after(start, 1_000), 300.0);
        assert!((twin.level(after(start, 2_000)) - 200.0).abs() < 1e-6, "{twin:?}");
        assert!((twin.unused(after(start, 2_000)) - 100.0).abs() < 1e-6, "{twin:?}");
        // Less than what drained: all of it is gone.
        let mut twin = Twin::new(SIZE, start);
        twin.absorb(after(start, 2_000), after(start, 1_000), 30.0);
        assert!(twin.level(after(start, 2_000)).abs() < 1e-6);
    }

    #[test]
    fn a_newcomer_takes_over_what_is_higher() {
        let start = Instant::now();
        let mut twin = Twin::new(SIZE, start);
        twin.adopt(start, 700.0);
        assert!((twin.level(start) - 700.0).abs() < 1e-6);
        twin.adopt(start, 300.0);
        assert!((twin.level(start) - 700.0).abs() < 1e-6);
    }

    proptest! {
        /// Three replicas' news of a bucket that does not run empty: in whatever order it comes, the level is the same.
        #[test]
        fn the_order_of_arrival_is_indifferent(
            added in prop::collection::vec((1u64..900, 0u32..400), 1..12),
            told in (1u64..900, 0u32..5),
            keys in prop::collection::vec(0u32..1_000, 13),
        ) {
            let start = Instant::now();
            let end = after(start, 1_000);
            let told = LevelReading { at: after(start, told.0), over: f64::from(told.1) };
            let level = |order: &[usize]| {
                let mut twin = Twin::new(SIZE, start);
                twin.absorb(start + Duration::from_micros(1), start + Duration::from_micros(1), 5_000.0);
                let mut heard: Vec<(Instant, f64)> = Vec::new();
                for at in order {
                    if let Some((at, tokens)) = added.get(*at) {
                        let (at, tokens) = (after(start, *at), f64::from(*tokens));
                        twin.absorb(end, at, tokens);
                        heard.push((at, tokens));
                    } else {
                        let since = heard.iter().filter(|(at, _)| *at > told.at);
                        twin.hear(end, told, since.map(|(_, tokens)| tokens).sum());
                    }
                }
                // Rate and window are learned by the way, and depend on what was known: not part of the rule.
                twin.level(end) - twin.capacity()
            };
            let straight: Vec<usize> = (0..=added.len()).collect();
            let mut mixed = straight.clone();
            mixed.sort_by_key(|at| keys[*at]);
            prop_assert!((level(&straight) - level(&mixed)).abs() < 1e-6);
        }
    }
}
