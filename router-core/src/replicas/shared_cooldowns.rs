//! The cooldowns of deployments, shared by all replicas: each is a name and its end, and the later
//! end holds.
//!
//! Nothing is recorded while requests are served. Each sync compares the state with what the
//! exchange held after the sync before: a cooldown that is new here is written, one that is new
//! there is applied. A cooldown after faults that disappears on one side has ended early, because
//! the deployment answered well.

use std::collections::BTreeMap;

use tokio::time::Instant;

use crate::capacity::Ends;
use crate::state::CapacityState;

use super::cooldown_reason::CooldownReason;
use super::shared_clock::SharedClock;

/// The cooldowns that the exchange held after the last sync, by their names.
#[derive(Debug, Default)]
pub(super) struct SharedCooldowns {
    known: BTreeMap<Box<str>, Known>,
    /// The turns of other replicas before this one's after a 429 to another: all of them at once would be refused again.
    turns: f64,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    end: u64,
    /// True if the state of this process had it too.
    held: bool,
}

/// The cooldowns that a sync writes and removes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) cooldowns: Vec<(Box<str>, u64)>,
    pub(super) recovered: Vec<Box<str>>,
}

/// An end that is later by less than this is the same one, seen by another clock.
const SAME_MICROS: u64 = 50_000;

impl SharedCooldowns {
    /// The cooldowns that began here since the last sync, and those that ended early here.
    pub(super) fn changes(
        &self,
        state: &CapacityState,
        clock: &SharedClock,
        now: Instant,
    ) -> Written {
        let mut written = Written::default();
        let at = clock.micros(now);
        state.for_each(|deployment, known| {
            for (reason, end) in CooldownReason::all(known) {
                let (name, end) = (reason.name(deployment), clock.micros(end));
                let shared = self.known.get(&name).map_or(0, |known| known.end);
                if end > at && end > shared.saturating_add(SAME_MICROS) {
                    written.cooldowns.push((name, end));
                }
            }
        });
        for (name, known) in &self.known {
            if known.held && known.end > at && has_recovered(state, name) {
                written.recovered.push(name.clone());
            }
        }
        written
    }

    /// Sets this replica's turn among so many; `place` is a number of its own, 0 to 1. The one that was refused goes first.
    pub(super) fn take_turns(&mut self, replicas: usize, place: f64) {
        let others = u32::try_from(replicas.saturating_sub(2)).map_or(0.0, f64::from);
        self.turns = place.mul_add(others, 1.0);
    }

    /// Applies the cooldowns that the exchange holds now, after it has received `written`.
    pub(super) fn apply(
        &mut self,
        shared: &[(Box<str>, u64)],
        written: &Written,
        state: &CapacityState,
        clock: &SharedClock,
    ) {
        let now = Instant::now();
        for (name, end) in &written.cooldowns {
            self.known.insert(name.clone(), Known { end: *end, held: true });
        }
        for name in &written.recovered {
            self.known.remove(name);
        }
        let mut known = BTreeMap::new();
        for (name, end) in shared {
            let before = self.known.remove(name);
            let mut held = before.is_some_and(|before| before.held);
            if before.is_none_or(|before| before.end < *end)
                && let (Some((deployment, reason)), Some(until)) =
                    (CooldownReason::read(name), clock.local(*end))
            {
                state.change(&deployment, |state| {
                    reason.apply(state, until, self.turns, now);
                    held = CooldownReason::all(state).any(|(held, _)| held.is_same(reason));
                });
            }
            known.insert(name.clone(), Known { end: *end, held });
        }
        // The rest has ended early elsewhere, unless its time has passed.
        let at = clock.micros(now);
        for (name, gone) in std::mem::replace(&mut self.known, known) {
            if gone.held
                && gone.end > at
                && let Some((deployment, CooldownReason::Fault(_) | CooldownReason::Misconfigured)) =
                    CooldownReason::read(&name)
            {
                let newer = |end: Option<Instant>| {
                    end.is_some_and(|end| clock.micros(end) > gone.end + SAME_MICROS)
                };
                state.change(&deployment, |state| {
                    let Ends { fault, misconfigured, .. } = state.cooldown.ends();
                    if !newer(fault) && !newer(misconfigured) {
                        state.cooldown.recover(now);
                    }
                });
            }
        }
    }

    /// The exchange may have lost everything: whatever holds here is written again.
    pub(super) fn forget(&mut self) {
        self.known.clear();
    }
}

/// True if this process has seen the deployment answer well since the cooldown after faults began.
fn has_recovered(state: &CapacityState, name: &str) -> bool {
    let Some((deployment, reason)) = CooldownReason::read(name) else { return false };
    let mut recovered = false;
    state.change(&deployment, |state| {
        let Ends { fault, misconfigured, .. } = state.cooldown.ends();
        recovered = match reason {
            CooldownReason::Fault(_) => fault.is_none(),
            CooldownReason::Misconfigured => misconfigured.is_none(),
            CooldownReason::Throttled(_)
            | CooldownReason::Unavailable
            | CooldownReason::TooLarge(_)
            | CooldownReason::Full => false,
        };
    });
    recovered
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::capacity::Cause;
    use crate::capacity::Load;
    use crate::capacity::Settings;
    use crate::capacity::Timing;
    use crate::deployment::Catalog;
    use crate::deployment::sample;
    use crate::model::ServiceTier;
    use crate::state::Cooldowns;
    use crate::state::Event;

    const SECOND: Duration = Duration::from_secs(1);
    const ONE: &str = "payg";

    /// A replica: its state, what it knows of the exchange, and what the exchange holds for it and the others.
    struct Replica {
        state: CapacityState,
        shared: SharedCooldowns,
        clock: SharedClock,
    }

    impl Replica {
        fn new(now: Instant) -> Self {
            let catalog = Catalog::new([
                sample::pay_as_you_go(ONE, "gpt-4o"),
                sample::pay_as_you_go("other", "gpt-4o-mini"),
            ]);
            let cooldowns =
                Cooldowns { fault: SECOND, fault_max: 60 * SECOND, misconfigured: 60 * SECOND };
            let state = CapacityState::new(&catalog, cooldowns, &Settings::default(), now);
            let clock = SharedClock::new(now, 1_700_000_000_000_000);
            Self { state, shared: SharedCooldowns::default(), clock }
        }

        fn learn(&self, event: Event) {
            self.state.learn(&ONE.try_into().unwrap(), event, Instant::now());
        }

        /// A sync that succeeds; the number of names written and removed.
        fn sync(&mut self, exchange: &mut BTreeMap<Box<str>, u64>) -> (usize, usize) {
            let now = Instant::now();
            let written = self.shared.changes(&self.state, &self.clock, now);
            for (name, end) in &written.cooldowns {
                let held = exchange.entry(name.clone()).or_default();
                *held = (*held).max(*end);
            }
            exchange.retain(|name, end| {
                !written.recovered.contains(name) && *end > self.clock.micros(now)
            });
            let all: Vec<_> = exchange.iter().map(|(name, end)| (name.clone(), *end)).collect();
            self.shared.apply(&all, &written, &self.state, &self.clock);
            (written.cooldowns.len(), written.recovered.len())
        }

        fn cooling(&self, tier: ServiceTier) -> Option<(Cause, Instant)> {
            let mut cooling = None;
            self.state.change(&ONE.try_into().unwrap(), |state| {
                cooling = state.cooling_in(tier, Instant::now());
            });
            cooling
        }
    }

    fn served() -> Event {
        Event::Served(ServiceTier::Standard, Timing { first: SECOND, total: SECOND })
    }

    #[tokio::test(start_paused = true)]
    async fn each_cooldown_is_written_once_and_applied_elsewhere() {
        let now = Instant::now();
        let (mut here, mut there) = (Replica::new(now), Replica::new(now));
        let mut exchange = BTreeMap::new();
        here.learn(Event::Throttled(ServiceTier::Standard, 2 * SECOND));
        here.learn(Event::Throttled(ServiceTier::Flex, 9 * SECOND));
        here.learn(Event::Unavailable(SECOND));
        here.learn(Event::TooLarge(Load::default(), SECOND));
        assert_eq!(here.sync(&mut exchange), (4, 0));
        assert_eq!(here.sync(&mut exchange), (0, 0));
        assert_eq!(there.sync(&mut exchange), (0, 0), "what was read is not written again");
        assert_eq!(there.sync(&mut exchange), (0, 0));
        for tier in [ServiceTier::Standard, ServiceTier::Flex] {
            assert_eq!(there.cooling(tier), here.cooling(tier), "{tier:?}");
        }
        assert_eq!(there.cooling(ServiceTier::Flex).unwrap().1, now + 9 * SECOND);
        // A shorter wait elsewhere does not cut a longer one, and a longer one replaces it.
        there.learn(Event::Throttled(ServiceTier::Standard, SECOND));
        assert_eq!(there.sync(&mut exchange), (0, 0));
        there.learn(Event::Throttled(ServiceTier::Standard, 5 * SECOND));
        assert_eq!(there.sync(&mut exchange), (1, 0));
        here.sync(&mut exchange);
        assert_eq!(here.cooling(ServiceTier::Standard).unwrap().1, now + 5 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn faults_end_for_all_when_one_is_answered_and_waits_do_not() {
        let now = Instant::now();
        let (mut here, mut there) = (Replica::new(now), Replica::new(now));
        let mut exchange = BTreeMap::new();
        here.learn(Event::Failed);
        here.learn(Event::Failed);
        here.learn(Event::Throttled(ServiceTier::Standard, SECOND));
        here.sync(&mut exchange);
        there.sync(&mut exchange);
        there.state.change(&ONE.try_into().unwrap(), |state| {
            assert_eq!(state.cooldown.faults(), 2, "the next fault doubles the wait");
        });
        there.learn(served());
        assert_eq!(there.sync(&mut exchange).1, 1);
        here.sync(&mut exchange);
        let cause =
            |replica: &Replica| replica.cooling(ServiceTier::Standard).map(|(cause, _)| cause);
        assert_eq!([cause(&here), cause(&there)], [Some(Cause::Throttled); 2]);
        tokio::time::advance(SECOND).await;
        assert_eq!([cause(&here), cause(&there)], [None; 2]);
        // A fault after the recovery is a new one.
        here.learn(Event::Failed);
        here.sync(&mut exchange);
        there.sync(&mut exchange);
        assert_eq!([cause(&here), cause(&there)], [Some(Cause::Fault); 2]);
        // A cooldown whose time has passed is over, which is no recovery.
        tokio::time::advance(2 * SECOND).await;
        assert_eq!(here.sync(&mut exchange), (0, 0));
        assert!(exchange.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_replica_that_is_served_does_not_lift_the_refusal_of_another() {
        let now = Instant::now();
        let (mut here, mut there) = (Replica::new(now), Replica::new(now));
        let mut exchange = BTreeMap::new();
        there.learn(served());
        here.learn(Event::Misconfigured);
        here.sync(&mut exchange);
        assert_eq!(there.sync(&mut exchange), (0, 0));
        assert_eq!(there.cooling(ServiceTier::Standard), None);
        there.learn(served());
        assert_eq!(there.sync(&mut exchange), (0, 0));
        here.sync(&mut exchange);
        assert!(here.cooling(ServiceTier::Standard).is_some(), "its credential may be its own");
    }

    #[tokio::test(start_paused = true)]
    async fn an_exchange_that_lost_everything_is_filled_again() {
        let now = Instant::now();
        let (mut here, mut there) = (Replica::new(now), Replica::new(now));
        let mut exchange = BTreeMap::new();
        here.learn(Event::Throttled(ServiceTier::Standard, 9 * SECOND));
        here.sync(&mut exchange);
        exchange.clear();
        // Nobody noticed: the next sync but one writes it again.
        here.sync(&mut exchange);
        assert_eq!(here.sync(&mut exchange), (1, 0));
        here.learn(Event::Failed);
        here.sync(&mut exchange);
        exchange.clear();
        here.shared.forget();
        assert_eq!(here.sync(&mut exchange), (2, 0));
        there.sync(&mut exchange);
        assert_eq!(there.cooling(ServiceTier::Standard).unwrap().1, now + 9 * SECOND);
    }
}
