//! Until when does a deployment ask to be left alone, and why?
//!
//! A wait that an upstream asked for is kept to the millisecond: no attempt before it has passed, one straight after.
//! Faults have no such word, so their cooldown is ours: short, and doubled by each further fault in a row.

use std::time::Duration;

use tokio::time::Instant;

/// Why a deployment is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// It answered 429.
    Throttled,
    /// It could not be reached, broke off or answered 5xx.
    Fault,
    /// It answered 401, 403, 404 or 410: config or rights are wrong, or the model has retired.
    Misconfigured,
}

impl Cause {
    /// The word used in explanations and labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Throttled => "throttled",
            Self::Fault => "fault",
            Self::Misconfigured => "misconfigured",
        }
    }
}

/// What a deployment's cooldowns are at a moment.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Cooldown {
    throttled: Option<Instant>,
    fault: Option<Instant>,
    misconfigured: Option<Instant>,
    faults: u32,
}

impl Cooldown {
    /// What holds at `now`, with its end; `None` while nothing does.
    ///
    /// A 429 and a refusal forbid any attempt, a fault only discourages one: while the former hold they are told, however
    /// long the latter lasts.
    ///
    /// ```
    /// use std::time::Duration;
    /// use router_core::capacity::{Cause, Cooldown};
    /// use tokio::time::Instant;
    /// let now = Instant::now();
    /// let mut cooldown = Cooldown::default();
    /// cooldown.throttle(now, Duration::from_millis(40));
    /// let before = now + Duration::from_millis(39);
    /// assert_eq!(cooldown.holds(before).map(|(cause, _)| cause), Some(Cause::Throttled));
    /// assert_eq!(cooldown.holds(now + Duration::from_millis(40)), None);
    /// ```
    pub fn holds(&self, now: Instant) -> Option<(Cause, Instant)> {
        let holding = |cause, until: Option<Instant>| {
            until.filter(|until| *until > now).map(|until| (cause, until))
        };
        let misconfigured = holding(Cause::Misconfigured, self.misconfigured);
        let throttled = holding(Cause::Throttled, self.throttled);
        let forbidden = misconfigured.into_iter().chain(throttled).max_by_key(|(_, until)| *until);
        forbidden.or_else(|| holding(Cause::Fault, self.fault))
    }

    /// How many faults came in a row.
    pub fn faults(&self) -> u32 {
        self.faults
    }

    /// It asked to be left alone for `wait`. A shorter wait does not cut a longer one: answers may overtake each other.
    pub fn throttle(&mut self, now: Instant, wait: Duration) {
        self.throttled = self.throttled.max(Some(now + wait));
    }

    /// It failed; `first` is the cooldown of the first fault, doubled by each further one up to `longest`.
    pub fn fail(&mut self, now: Instant, first: Duration, longest: Duration) {
        let doubled = first.saturating_mul(1u32.checked_shl(self.faults).unwrap_or(u32::MAX));
        self.faults = self.faults.saturating_add(1);
        self.fault = self.fault.max(Some(now + doubled.min(longest)));
    }

    /// Its config or rights are wrong: it is left alone for `wait`.
    pub fn misconfigure(&mut self, now: Instant, wait: Duration) {
        self.misconfigured = Some(now + wait);
    }

    /// It answered well: faults are over. A wait that it asked for stands, because it was asked of everybody.
    pub fn serve(&mut self) {
        self.fault = None;
        self.misconfigured = None;
        self.faults = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn faults_double_up_to_the_longest_and_end_with_an_answer() {
        let now = Instant::now();
        let mut cooldown = Cooldown::default();
        for expected in [1, 2, 4, 8, 10, 10] {
            cooldown.fail(now, SECOND, 10 * SECOND);
            let end = cooldown.holds(now).map(|(_, until)| until - now);
            assert_eq!(end, Some(expected * SECOND));
        }
        for _ in 0..100 {
            cooldown.fail(now, SECOND, 10 * SECOND);
        }
        assert_eq!(cooldown.holds(now).map(|(_, until)| until - now), Some(10 * SECOND));
        cooldown.serve();
        assert_eq!(cooldown.holds(now), None);
        assert_eq!(cooldown.faults(), 0);
    }

    #[test]
    fn a_fault_does_not_hide_a_wait_that_was_asked_for() {
        let now = Instant::now();
        let mut cooldown = Cooldown::default();
        cooldown.throttle(now, SECOND);
        cooldown.fail(now, 9 * SECOND, 10 * SECOND);
        assert_eq!(cooldown.holds(now), Some((Cause::Throttled, now + SECOND)));
        assert_eq!(cooldown.holds(now + SECOND), Some((Cause::Fault, now + 9 * SECOND)));
    }

    #[test]
    fn an_answer_does_not_end_a_wait_that_was_asked_for() {
        let now = Instant::now();
        let mut cooldown = Cooldown::default();
        cooldown.throttle(now, 2 * SECOND);
        cooldown.throttle(now, SECOND);
        cooldown.serve();
        assert_eq!(cooldown.holds(now), Some((Cause::Throttled, now + 2 * SECOND)));
    }
}
