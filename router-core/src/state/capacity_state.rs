//! The state of all deployments in this process: snapshots to decide from, events to learn from.
//!
//! Every call is quick and never waits for anything outside the process. What other replicas learned is put in here
//! (`replicas`).

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::capacity::Affinity;
use crate::capacity::Asker;
use crate::capacity::DeploymentState;
use crate::capacity::Entry;
use crate::capacity::Load;
use crate::capacity::OutputLengths;
use crate::capacity::Settings;
use crate::capacity::Snapshot;
#[cfg(feature = "http-client")]
use crate::capacity::Taken;
use crate::capacity::Ticket;
use crate::deployment::Catalog;
use crate::deployment::Deployment;
use crate::model::ServiceTier;
use crate::units::DeploymentName;

use super::changes::Changes;
use super::event::Cooldowns;
use super::event::Event;
use super::event::NoRoom;
use super::event::Turn;
use super::quota_pool::QuotaPools;
use super::renewal::Renewal;
use super::slot::Slot;

/// The state of all deployments, shared by all requests.
#[derive(Debug)]
pub struct CapacityState {
    slots: Vec<Slot>,
    /// The names of the slots, in their order: shared by all snapshots.
    names: Arc<[DeploymentName]>,
    pools: QuotaPools,
    cooldowns: Cooldowns,
    ramp: Duration,
    affinity: Affinity,
    habits: OutputLengths,
    /// Changes for other replicas; `None` without replicas.
    changes: Option<Arc<Changes>>,
}

impl CapacityState {
    /// Nothing learned yet about any deployment of the catalog.
    pub fn new(catalog: &Catalog, cooldowns: Cooldowns, settings: &Settings, now: Instant) -> Self {
        let pools = QuotaPools::of(catalog, &QuotaPools::default());
        let slots = catalog.deployments().iter();
        let slots = slots.map(|known| Slot::new(known, &pools, settings, now)).collect();
        let names = names_of(catalog);
        let (affinity, habits) = (Affinity::new(settings), OutputLengths::new(settings));
        Self {
            slots,
            pools,
            names,
            cooldowns,
            ramp: settings.ramp,
            affinity,
            habits,
            changes: None,
        }
    }

    /// The same, recording changes for other replicas.
    #[must_use]
    pub fn sharing(self, changes: Arc<Changes>) -> Self {
        Self { changes: Some(changes), ..self }
    }

    /// The state under a new configuration. Deployments that stay share one state with the old one, so calls of the old
    /// configuration return what they reserved.
    #[must_use]
    pub fn renewed(&self, renewal: &Renewal<'_>) -> Self {
        let Renewal { catalog, cooldowns, settings, kept, now } = *renewal;
        let pools = QuotaPools::of(catalog, &self.pools);
        let slot = |deployment: &Arc<Deployment>| {
            let before = self.slot(&deployment.name).zip(kept.get(&deployment.name));
            before.map_or_else(
                || Slot::new(deployment, &pools, settings, now),
                |(slot, kept)| slot.renewed(deployment, &pools, *kept, renewal),
            )
        };
        let slots = catalog.deployments().iter().map(slot).collect();
        let (affinity, habits) = (self.affinity.renewed(settings), self.habits.renewed(settings));
        let (names, changes) = (names_of(catalog), self.changes.clone());
        Self { slots, pools, names, cooldowns, ramp: settings.ramp, affinity, habits, changes }
    }

    /// A copy of the state of all deployments, and of what is known about the caller.
    pub fn snapshot(&self, asker: Asker, now: Instant) -> Snapshot {
        let states = self.slots.iter().map(|slot| *slot.lock());
        let mut snapshot = Snapshot::of(Arc::clone(&self.names), states);
        snapshot.key = asker.key;
        snapshot.conversation = asker.conversation.number();
        snapshot.home = self.affinity.home(asker.conversation, now);
        let expected = self.habits.expected(asker.caller, asker.class);
        (snapshot.reasoning, snapshot.chat) = (expected.reasoning, expected.chat);
        snapshot
    }

    /// A copy of the state of one deployment; of an unknown one, that of a new one.
    pub fn standing(&self, deployment: &DeploymentName) -> DeploymentState {
        self.see(deployment, |state| *state)
    }

    /// Reads one value of a deployment's state without copying all of it. A lock is held meanwhile: `part` must not use this
    /// state.
    pub fn see<T>(
        &self,
        deployment: &DeploymentName,
        part: impl FnOnce(&DeploymentState) -> T,
    ) -> T {
        match self.slot(deployment) {
            Some(slot) => part(&slot.lock()),
            None => part(&DeploymentState::default()),
        }
    }

    /// Reserves capacity for an attempt that is sent now. With `doubtful` it may do so although the deployment seems full, if a
    /// probe is due.
    ///
    /// # Errors
    /// There is no capacity.
    pub fn enter(
        &self,
        deployment: &DeploymentName,
        entry: &Entry,
        doubtful: bool,
        now: Instant,
    ) -> Result<Ticket, NoRoom> {
        let Some(slot) = self.slot(deployment) else { return Ok(Ticket::default()) };
        let mut state = slot.lock();
        let in_flight = state.in_flight;
        if !(entry.insists || state.cooldown.admits(now, in_flight, self.ramp)) {
            return Err(NoRoom::Recovering);
        }
        if entry.most.is_some_and(|most| in_flight >= most) {
            return Err(NoRoom::Busy);
        }
        let wait = state.entry_wait(entry, now);
        let probe = doubtful;
        let doubtful = doubtful && state.may_doubt(entry, now);
        let mut ticket = Ticket::default();
        if let Some(twin) = &mut state.twin {
            if !(wait.is_zero() || doubtful && twin.doubts(now)) {
                return Err(NoRoom::Full(wait));
            }
            let Load { prompt, cached, cap, .. } = entry.load;
            ticket = twin.admit(now, twin.size().reserved(prompt, cached, cap));
            state.entered(entry);
        } else if !entry.tier.is_special() {
            let closed = state.throttled_wait(entry.tier, now);
            if !closed.is_zero() || !(wait.is_zero() || probe) {
                return Err(NoRoom::Full(wait));
            }
            state.reopening.entered(now);
        }
        ticket.quota = state.quota.take(now, &entry.load);
        state.in_flight = state.in_flight.saturating_add(1);
        Ok(ticket)
    }

    /// Learns what happened. An unknown deployment is ignored: the configuration may have dropped it meanwhile.
    pub fn learn(&self, deployment: &DeploymentName, event: Event, now: Instant) {
        let Some(slot) = self.slot(deployment) else { return };
        self.learn_together(slot, event, now);
    }

    /// Learns the length of an answer and the deployment that now holds its conversation's prompt cache.
    pub fn remember(&self, turn: &Turn, now: Instant) {
        let Asker { caller, class, .. } = turn.asker;
        self.habits.learn(turn.task, caller, class, turn.output);
        let conversation = turn.asker.conversation;
        let home = self.affinity.settle(conversation, &turn.home, now);
        if let Some(changes) = &self.changes {
            changes.moved(conversation, home);
        }
    }

    fn slot(&self, deployment: &DeploymentName) -> Option<&Slot> {
        let at = self.slots.binary_search_by(|slot| slot.name.cmp(deployment)).ok()?;
        self.slots.get(at)
    }

    /// Learns an event of one deployment, and of the others that it concerns: those of an exhausted pool, or of a used-up shared
    /// quota.
    fn learn_together(&self, from: &Slot, event: Event, now: Instant) {
        from.lock().learn(event, self.cooldowns, now);
        if !event.closes() {
            return;
        }
        let pool_exhausted = matches!(event, Event::PoolExhausted(..));
        // The flex tier has a capacity of its own.
        let quota_used_up = matches!(event, Event::Throttled(tier, _) if tier != ServiceTier::Flex);
        let same = |slot: &&Slot| {
            slot.name != from.name
                && (pool_exhausted && slot.pool.is_some() && slot.pool == from.pool
                    || quota_used_up && slot.shares_quota(from))
        };
        for slot in self.slots.iter().filter(same) {
            slot.lock().learn(event, self.cooldowns, now);
        }
        if let Some(changes) = &self.changes {
            changes.wake();
        }
    }
}

/// Access for the exchange with other replicas.
#[cfg(feature = "http-client")]
impl CapacityState {
    /// Shows each deployment's state in turn.
    pub(crate) fn for_each(&self, mut see: impl FnMut(&DeploymentName, &DeploymentState)) {
        for slot in &self.slots {
            see(&slot.name, &slot.lock());
        }
    }

    /// Changes the state of one deployment; an unknown one is ignored.
    pub(crate) fn change(
        &self,
        deployment: &DeploymentName,
        change: impl FnOnce(&mut DeploymentState),
    ) {
        if let Some(slot) = self.slot(deployment) {
            change(&mut slot.lock());
        }
    }

    /// The requests and tokens that this process has sent to each pay-as-you-go deployment. Deployments that share a quota
    /// have one count, under the first of their names.
    pub(crate) fn taken(&self) -> Vec<(DeploymentName, Taken)> {
        let counts = |(at, slot): (usize, &Slot)| {
            let earlier = self.slots.get(..at).unwrap_or_default();
            let counted = slot.billing.is_provisioned()
                || earlier.iter().any(|earlier| earlier.shares_quota(slot));
            (!counted).then(|| (slot.name.clone(), slot.lock().quota.taken()))
        };
        self.slots.iter().enumerate().filter_map(counts).collect()
    }

    /// The deployments that hold the prompt caches of conversations.
    pub(crate) fn affinity(&self) -> &Affinity {
        &self.affinity
    }
}

fn names_of(catalog: &Catalog) -> Arc<[DeploymentName]> {
    catalog.deployments().iter().map(|deployment| deployment.name.clone()).collect()
}
