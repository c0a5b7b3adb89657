//! Cooldowns: until when a deployment receives no requests, and why.
//!
//! A wait requested by an upstream is kept to the millisecond: no attempt before it has passed, and
//! one right after. Faults have no requested wait, so their cooldown is ours: short, and doubled by
//! each further fault in a row.

use std::time::Duration;

use tokio::time::Instant;

use crate::model::ServiceTier;

/// The reason why a deployment is in cooldown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// It answered 429.
    Throttled,
    /// It failed and requested a wait, as with a 503.
    Unavailable,
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
            Self::Unavailable => "unavailable",
            Self::Fault => "fault",
            Self::Misconfigured => "misconfigured",
        }
    }
}

/// Cooldowns of a deployment at a moment.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Cooldown {
    throttled: Option<Instant>,
    /// Requested waits in the service tiers `priority` and `flex` alone.
    tiers: [Option<Instant>; 2],
    unavailable: Option<Instant>,
    fault: Option<Instant>,
    misconfigured: Option<Instant>,
    faults: u32,
    recovery: Recovery,
    /// The time of its last successful answer to this process.
    served: Option<Instant>,
}

/// A process that was served this recently ignores another's report of a wrong configuration or missing permissions.
const OWN_WORD: Duration = Duration::from_secs(10);

/// The end of each cause, for other replicas to know.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ends {
    /// A requested wait.
    pub throttled: Option<Instant>,
    /// Requested waits in the service tiers `priority` and `flex` alone.
    pub tiers: [Option<Instant>; 2],
    /// A wait requested with a fault.
    pub unavailable: Option<Instant>,
    /// After faults.
    pub fault: Option<Instant>,
    /// After an answer that says that config or rights are wrong.
    pub misconfigured: Option<Instant>,
}

/// Progress of a deployment's recovery after faults.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
enum Recovery {
    /// It has not failed, or is back.
    #[default]
    Well,
    /// Nobody knows: one request may try.
    Unknown,
    /// It has answered again since then.
    Since(Instant),
}

/// Doublings of the number of concurrent requests during the recovery.
const DOUBLINGS: f64 = 7.0;

impl Cooldown {
    /// The cooldown that holds at `now`, with its end.
    ///
    /// A 429, a wait requested with a fault and a refusal forbid any attempt; a fault alone only discourages one. While one of
    /// the former holds it is returned, however long the latter lasts.
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
        let unavailable = holding(Cause::Unavailable, self.unavailable);
        let forbidden = misconfigured.into_iter().chain(throttled).chain(unavailable);
        let forbidden = forbidden.max_by_key(|(_, until)| *until);
        forbidden.or_else(|| holding(Cause::Fault, self.fault))
    }

    /// The same for requests in a service tier: each tier is throttled by itself, all else holds for all of them.
    pub(crate) fn holds_in(&self, tier: ServiceTier, now: Instant) -> Option<(Cause, Instant)> {
        let throttled =
            tier_index(tier).map_or(self.throttled, |at| self.tiers.get(at).copied()?);
        Self { throttled, ..*self }.holds(now)
    }

    /// Faults in a row.
    pub fn faults(&self) -> u32 {
        self.faults
    }

    /// The end of each cause.
    pub fn ends(&self) -> Ends {
        let Self { throttled, tiers, unavailable, fault, misconfigured, .. } = *self;
        Ends { throttled, tiers, unavailable, fault, misconfigured }
    }

    /// Merges what another replica learned: the later end of each cause holds. A fault seen there is not counted as one of
    /// ours.
    pub fn merge(&mut self, now: Instant, mut ends: Ends, faults: u32) {
        let served = self.served.map(|at| now.saturating_duration_since(at));
        if served.is_some_and(|ago| ago < OWN_WORD) {
            ends.misconfigured = None;
        }
        self.throttled = self.throttled.max(ends.throttled);
        for (own, other) in self.tiers.iter_mut().zip(ends.tiers) {
            *own = (*own).max(other);
        }
        self.unavailable = self.unavailable.max(ends.unavailable);
        if ends.fault > self.fault || ends.misconfigured > self.misconfigured {
            self.recovery = Recovery::Unknown;
        }
        self.fault = self.fault.max(ends.fault);
        self.misconfigured = self.misconfigured.max(ends.misconfigured);
        self.faults = self.faults.max(faults);
    }

    /// It answered another replica successfully: its faults are over.
    pub(crate) fn recover(&mut self, now: Instant) {
        if self.recovery == Recovery::Unknown {
            self.recovery = Recovery::Since(now);
        }
        self.fault = None;
        self.misconfigured = None;
        self.faults = 0;
    }

    /// True if it may get one more request in addition to those `in_flight`: after faults a single one until it is answered, then
    /// more and more over the time `ramp`.
    pub fn admits(&self, now: Instant, in_flight: u32, ramp: Duration) -> bool {
        match self.recovery {
            Recovery::Well => true,
            Recovery::Unknown => in_flight == 0,
            Recovery::Since(since) => {
                let elapsed = now.saturating_duration_since(since).as_secs_f64();
                let share = elapsed / ramp.as_secs_f64().max(1e-3);
                share >= 1.0 || f64::from(in_flight) < 2f64.powf(1.0 + DOUBLINGS * share)
            }
        }
    }

    /// It answered 429 and requested `wait`. A shorter wait does not cut a longer one: answers may overtake each other.
    pub fn throttle(&mut self, now: Instant, wait: Duration) {
        self.throttled = self.throttled.max(Some(now + wait));
    }

    /// The same of requests in a service tier.
    pub(crate) fn throttle_in(&mut self, tier: ServiceTier, now: Instant, wait: Duration) {
        match tier_index(tier).and_then(|at| self.tiers.get_mut(at)) {
            Some(until) => *until = (*until).max(Some(now + wait)),
            None => self.throttle(now, wait),
        }
    }

    /// It failed and requested `wait`.
    pub(crate) fn suspend(&mut self, now: Instant, wait: Duration) {
        self.unavailable = self.unavailable.max(Some(now + wait));
    }

    /// It failed; `first` is the cooldown of the first fault, doubled by each further one up to `longest`.
    pub fn fail(&mut self, now: Instant, first: Duration, longest: Duration) {
        let doubled = first.saturating_mul(1u32.checked_shl(self.faults).unwrap_or(u32::MAX));
        self.faults = self.faults.saturating_add(1);
        self.recovery = Recovery::Unknown;
        self.fault = self.fault.max(Some(now + doubled.min(longest)));
    }

    /// Its config or rights are wrong: it is in cooldown for `wait`.
    pub fn misconfigure(&mut self, now: Instant, wait: Duration) {
        self.recovery = Recovery::Unknown;
        self.misconfigured = Some(now + wait);
    }

    /// Its config or credential have changed: what they were to blame for is over.
    pub(crate) fn mend(&mut self) {
        self.misconfigured = None;
    }

    /// It answered successfully: its faults are over. A requested wait remains, because it applies to everybody.
    pub fn serve(&mut self, now: Instant) {
        self.served = Some(now);
        self.recover(now);
    }
}

/// The tiers that are throttled apart from the standard one.
fn tier_index(tier: ServiceTier) -> Option<usize> {
    match tier {
        ServiceTier::Priority => Some(0),
        ServiceTier::Flex => Some(1),
        ServiceTier::Standard | ServiceTier::Batch | ServiceTier::Other => None,
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
        cooldown.serve(now);
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
    fn a_wait_asked_for_with_a_fault_has_a_cause_of_its_own() {
        let now = Instant::now();
        let mut cooldown = Cooldown::default();
        cooldown.suspend(now, 2 * SECOND);
        cooldown.fail(now, 9 * SECOND, 9 * SECOND);
        cooldown.throttle(now, SECOND);
        assert_eq!(cooldown.holds(now), Some((Cause::Unavailable, now + 2 * SECOND)));
        assert_eq!(cooldown.holds(now + 2 * SECOND), Some((Cause::Fault, now + 9 * SECOND)));
    }

    #[test]
    fn an_answer_does_not_end_a_wait_that_was_asked_for() {
        let now = Instant::now();
        let mut cooldown = Cooldown::default();
        cooldown.throttle(now, 2 * SECOND);
        cooldown.throttle(now, SECOND);
        cooldown.serve(now);
        assert_eq!(cooldown.holds(now), Some((Cause::Throttled, now + 2 * SECOND)));
    }

    #[test]
    fn service_tiers_are_throttled_each_by_itself_and_fail_together() {
        use ServiceTier::{Flex, Priority, Standard};
        let now = Instant::now();
        let mut cooldown = Cooldown::default();
        cooldown.throttle_in(Flex, now, 9 * SECOND);
        let throttled = |wait| Some((Cause::Throttled, now + wait));
        let of = |cooldown: &Cooldown| {
            [Standard, Priority, Flex].map(|tier| cooldown.holds_in(tier, now))
        };
        assert_eq!(of(&cooldown), [None, None, throttled(9 * SECOND)]);
        cooldown.throttle_in(Standard, now, SECOND);
        assert_eq!(of(&cooldown), [throttled(SECOND), None, throttled(9 * SECOND)]);
        cooldown.misconfigure(now, 60 * SECOND);
        let all = Some((Cause::Misconfigured, now + 60 * SECOND));
        assert_eq!(of(&cooldown), [all, all, all]);
    }

    #[test]
    fn the_later_end_of_two_replicas_holds_in_each_tier() {
        let now = Instant::now();
        let (mut here, mut there) = (Cooldown::default(), Cooldown::default());
        here.throttle(now, 2 * SECOND);
        there.throttle(now, SECOND);
        there.throttle_in(ServiceTier::Flex, now, 9 * SECOND);
        there.fail(now, SECOND, SECOND);
        here.merge(now, there.ends(), there.faults());
        let throttled = |wait| Some((Cause::Throttled, now + wait));
        assert_eq!(here.holds(now), throttled(2 * SECOND));
        assert_eq!(here.holds_in(ServiceTier::Flex, now), throttled(9 * SECOND));
        assert_eq!(here.ends().tiers[0], None);
        assert!(here.faults() == 1 && !here.admits(now, 1, SECOND));
        here.recover(now);
        assert_eq!((here.ends().fault, here.faults()), (None, 0));
    }

    #[test]
    fn a_replica_that_was_just_served_does_not_believe_that_rights_are_wrong() {
        let (now, mut here) = (Instant::now(), Cooldown::default());
        let ends = Ends { misconfigured: Some(now + 60 * SECOND), ..Ends::default() };
        here.serve(now);
        here.merge(now + SECOND, ends, 0);
        assert_eq!(here.holds(now + SECOND), None);
        here.merge(now + OWN_WORD, ends, 0);
        let cause = here.holds(now + OWN_WORD).map(|(cause, _)| cause);
        assert_eq!(cause, Some(Cause::Misconfigured));
    }

    #[test]
    fn after_faults_one_request_tries_and_then_more_and_more_follow() {
        let now = Instant::now();
        let mut cooldown = Cooldown::default();
        assert!(cooldown.admits(now, 1_000, SECOND));
        cooldown.fail(now, SECOND, SECOND);
        assert!(cooldown.admits(now, 0, SECOND) && !cooldown.admits(now, 1, SECOND));
        cooldown.serve(now);
        assert!(cooldown.admits(now, 1, SECOND) && !cooldown.admits(now, 2, SECOND));
        assert!(cooldown.admits(now + SECOND / 2, 20, SECOND));
        assert!(!cooldown.admits(now + SECOND / 2, 30, SECOND));
        assert!(cooldown.admits(now + SECOND, 1_000, SECOND));
    }
}
