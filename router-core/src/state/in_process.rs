//! The state kept in this process.
//!
//! Each deployment has a lock of its own, held for a few instructions and never across an await.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::capacity::Affinity;
use crate::capacity::Asker;
use crate::capacity::DeploymentState;
use crate::capacity::Entry;
use crate::capacity::Load;
use crate::capacity::OutputLengths;
use crate::capacity::Quota;
use crate::capacity::Settings;
use crate::capacity::Size;
use crate::capacity::Snapshot;
use crate::capacity::Ticket;
use crate::capacity::TooLarge;
use crate::capacity::Twin;
use crate::deployment::Area;
use crate::deployment::Billing;
use crate::deployment::Catalog;
use crate::deployment::Deployment;
use crate::deployment::Provisioned;
use crate::model::ServiceTier;
use crate::task::Task;
use crate::units::DeploymentName;
use crate::units::ModelName;

use super::delta::ChangeLog;
use super::event::Cooldowns;
use super::event::Event;
use super::event::NoRoom;
use super::event::Turn;
use super::outgoing::Outbox;
use super::quota_pool::Locked;
use super::quota_pool::QuotaPools;
use super::quota_pool::SharedQuota;
use super::renewal::Kept;
use super::renewal::Renewal;

/// The state kept in this process.
#[derive(Debug)]
pub struct InProcess {
    pub(super) slots: Vec<Slot>,
    /// The names of the slots, in their order: shared by all snapshots.
    names: Arc<[DeploymentName]>,
    pools: QuotaPools,
    cooldowns: Cooldowns,
    ramp: Duration,
    pub(super) affinity: Affinity,
    habits: OutputLengths,
    /// Where what other replicas should know is put; `None` where there are none.
    pub(super) outbox: Option<Arc<Outbox>>,
}

#[derive(Debug)]
pub(super) struct Slot {
    pub(super) name: DeploymentName,
    /// Deployments of one model in one area draw on one pool; provisioned ones have room of their own.
    pool: Option<(ModelName, Area)>,
    /// As config says; what was learned of it lies in the standing.
    billing: Billing,
    /// The quota that it shares with other deployments.
    quota: Option<SharedQuota>,
    /// Shared by the configs in which the deployment stays.
    standing: Arc<Mutex<DeploymentState>>,
    /// Locked while the standing is, if at all.
    pub(super) chronicle: Arc<Mutex<ChangeLog>>,
}

impl Slot {
    fn new(deployment: &Deployment, pools: &QuotaPools, settings: &Settings, now: Instant) -> Self {
        let mut standing = DeploymentState::default();
        match &deployment.billing {
            Billing::Provisioned(provisioned) => {
                standing.twin = size(provisioned, settings).map(|size| Twin::new(size, now));
            }
            Billing::PayAsYouGo(budget) => standing.quota = Quota::new(*budget),
        }
        Self::over(deployment, pools, Arc::new(Mutex::new(standing)), Arc::default())
    }

    fn over(
        deployment: &Deployment,
        pools: &QuotaPools,
        standing: Arc<Mutex<DeploymentState>>,
        chronicle: Arc<Mutex<ChangeLog>>,
    ) -> Self {
        let pool = (deployment.model.name.clone(), deployment.area);
        Self {
            name: deployment.name.clone(),
            pool: (!deployment.billing.is_provisioned()).then_some(pool),
            billing: deployment.billing.clone(),
            quota: pools.of_deployment(deployment),
            standing,
            chronicle,
        }
    }

    /// The slot of the same deployment under a new config.
    fn renewed(
        &self,
        deployment: &Deployment,
        pools: &QuotaPools,
        kept: Kept,
        renewal: &Renewal<'_>,
    ) -> Self {
        let mut standing = self.lock();
        if kept == Kept::Mended {
            standing.cooldown.mend();
        }
        match &deployment.billing {
            Billing::Provisioned(provisioned) => {
                let size = size(provisioned, renewal.settings);
                standing.twin = size.map(|size| match standing.twin {
                    Some(twin) => twin.resized(size, renewal.now),
                    None => Twin::new(size, renewal.now),
                });
            }
            // What answers said of the quota holds until config says something else.
            Billing::PayAsYouGo(budget)
                if self.billing != deployment.billing && deployment.quota_pool.is_none() =>
            {
                standing.quota.set_budget(*budget);
            }
            Billing::PayAsYouGo(_) => {}
        }
        drop(standing);
        Self::over(deployment, pools, Arc::clone(&self.standing), Arc::clone(&self.chronicle))
    }

    pub(super) fn lock(&self) -> Locked<'_> {
        Locked::new(&self.standing, self.quota.as_ref())
    }

    /// True if both count against one quota.
    fn shares_quota(&self, other: &Self) -> bool {
        let quotas = self.quota.as_ref().zip(other.quota.as_ref());
        quotas.is_some_and(|(one, other)| Arc::ptr_eq(one, other))
    }
}

/// The bucket of a provisioned deployment; `None` where its model's figures are not known.
fn size(provisioned: &Provisioned, settings: &Settings) -> Option<Size> {
    let rate = provisioned.rate?;
    Some(Size {
        rate: provisioned.ptu * rate.input_tpm_per_ptu / 60.0,
        window: provisioned.window,
        output_ratio: rate.output_ratio,
        missing_output: settings.missing_output,
        cached_discount: settings.cached_discount,
    })
}

fn names_of(catalog: &Catalog) -> Arc<[DeploymentName]> {
    catalog.deployments().iter().map(|deployment| deployment.name.clone()).collect()
}

impl InProcess {
    /// Nothing learned yet about any deployment of the catalog.
    pub fn new(catalog: &Catalog, cooldowns: Cooldowns, settings: &Settings, now: Instant) -> Self {
        let pools = QuotaPools::of(catalog, &QuotaPools::default());
        let slots = catalog.deployments().iter();
        let slots = slots.map(|known| Slot::new(known, &pools, settings, now)).collect();
        let names = names_of(catalog);
        let (affinity, habits) = (Affinity::new(settings), OutputLengths::new(settings));
        Self { slots, pools, names, cooldowns, ramp: settings.ramp, affinity, habits, outbox: None }
    }

    /// The same, noting what other replicas should know.
    #[must_use]
    pub fn telling(self, outbox: Arc<Outbox>) -> Self {
        Self { outbox: Some(outbox), ..self }
    }

    /// The same under a new config: what is known of deployments that stay is shared with the old one.
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
        let (names, outbox) = (names_of(catalog), self.outbox.clone());
        Self { slots, pools, names, cooldowns, ramp: settings.ramp, affinity, habits, outbox }
    }

    pub(super) fn slot(&self, deployment: &DeploymentName) -> Option<&Slot> {
        let at = self.slots.binary_search_by(|slot| slot.name.cmp(deployment)).ok()?;
        self.slots.get(at)
    }

    /// Learns an event of one deployment, with all that it is of as well: a region without capacity for the model, or a shared
    /// quota that is used up.
    fn learn_together(&self, from: &Slot, event: Event, now: Instant) {
        let pool_exhausted = matches!(event, Event::PoolExhausted(..));
        // The flex tier has a capacity of its own.
        let quota_used_up = matches!(event, Event::Throttled(tier, _) if tier != ServiceTier::Flex);
        let same = |slot: &&Slot| {
            pool_exhausted && slot.pool.is_some() && slot.pool == from.pool
                || quota_used_up && slot.shares_quota(from)
        };
        for slot in self.slots.iter().filter(|slot| slot.name == from.name || same(slot)) {
            let mut standing = slot.lock();
            let before = self.before(&standing);
            standing.learn(event, self.cooldowns, now);
            self.note(slot, now, before.as_ref(), &standing);
        }
    }

    /// What to compare with after a change; none where there are no other replicas to be told.
    fn before(&self, standing: &DeploymentState) -> Option<DeploymentState> {
        self.outbox.as_ref().map(|_| *standing)
    }

    /// Notes for other replicas what has changed.
    fn note(
        &self,
        slot: &Slot,
        now: Instant,
        before: Option<&DeploymentState>,
        after: &DeploymentState,
    ) {
        if let Some((outbox, before)) = self.outbox.as_ref().zip(before) {
            let mut chronicle = slot.chronicle.lock().unwrap_or_else(PoisonError::into_inner);
            if chronicle.note(now, before, after) {
                outbox.ring();
            }
        }
    }
}

impl InProcess {
    /// Copies the state of all deployments, and what is known of a caller.
    pub fn snapshot(&self, asker: Asker, now: Instant) -> Snapshot {
        let standings = self.slots.iter().map(|slot| *slot.lock());
        let mut snapshot = Snapshot::of(Arc::clone(&self.names), standings);
        snapshot.key = asker.key;
        snapshot.conversation = asker.conversation.number();
        snapshot.home = self.affinity.home(asker.conversation, now);
        snapshot.reasoning = self.habits.expected(Task::Reasoning, asker.caller, asker.class);
        snapshot.chat = self.habits.expected(Task::Chat, asker.caller, asker.class);
        snapshot
    }

    /// Copies the state of one deployment; an unknown one has the state of a new one.
    pub fn standing(&self, deployment: &DeploymentName) -> DeploymentState {
        self.see(deployment, |standing| *standing)
    }

    /// Reads one value of a deployment's state without copying all of it. A lock is held meanwhile: `part` neither uses the
    /// state nor waits.
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

    /// Takes capacity for an attempt that is sent now. With `doubtful`, it probes a deployment that the twin believes full, if
    /// a probe is due.
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
        let mut standing = slot.lock();
        let before = self.before(&standing);
        let in_flight = standing.in_flight;
        if !(entry.insists || standing.cooldown.admits(now, in_flight, self.ramp)) {
            return Err(NoRoom::Recovering);
        }
        if entry.most.is_some_and(|most| in_flight >= most) {
            return Err(NoRoom::Busy);
        }
        let wait = standing.entry_wait(entry, now);
        let probe = doubtful;
        let doubtful = doubtful && standing.may_doubt(entry, now);
        let mut ticket = Ticket::default();
        if let Some(twin) = &mut standing.twin {
            if !(wait.is_zero() || doubtful && twin.doubts(now)) {
                return Err(NoRoom::Full(wait));
            }
            let Load { prompt, cached, cap, .. } = entry.load;
            ticket = twin.admit(now, twin.size().reserved(prompt, cached, cap));
            standing.entered(entry);
        } else if !entry.tier.is_special() {
            let closed = standing.throttled_wait(entry.tier, now);
            if !closed.is_zero() || !(wait.is_zero() || probe) {
                return Err(NoRoom::Full(wait));
            }
            standing.reopening.entered(now);
        }
        ticket.quota = standing.quota.take(now, &entry.load);
        standing.in_flight = standing.in_flight.saturating_add(1);
        self.note(slot, now, before.as_ref(), &standing);
        Ok(ticket)
    }

    /// Learns what happened. A deployment that is not known is ignored: config may have dropped it meanwhile.
    pub fn learn(&self, deployment: &DeploymentName, event: Event, now: Instant) {
        let Some(slot) = self.slot(deployment) else { return };
        self.learn_together(slot, event, now);
    }

    /// How often the state may change without an event in this process: requests that wait for capacity look again.
    pub fn changes_every(&self) -> Duration {
        self.outbox.as_ref().map_or(Duration::from_secs(1), |outbox| outbox.interval())
    }

    /// Learns how long an answer was, and which deployment has the prompt cache of its conversation.
    pub fn remember(&self, turn: &Turn, now: Instant) {
        let Asker { caller, class, .. } = turn.asker;
        self.habits.learn(turn.task, caller, class, turn.output);
        let conversation = turn.asker.conversation;
        let home = self.affinity.settle(conversation, &turn.home, now);
        if let Some(outbox) = &self.outbox {
            outbox.moved(conversation, home);
        }
    }
}

impl DeploymentState {
    fn learn(&mut self, event: Event, cooldowns: Cooldowns, now: Instant) {
        match event {
            Event::Ended { ticket, used } => {
                self.in_flight = self.in_flight.saturating_sub(1);
                match (&mut self.twin, used) {
                    (Some(twin), Some(used)) => twin.settle(now, ticket, used),
                    (Some(twin), None) => twin.withdraw(now, ticket),
                    (None, _) => {}
                }
            }
            Event::Admitted(ticket) => {
                if let Some(twin) = &mut self.twin {
                    twin.accepted(now, ticket);
                }
            }
            Event::Full { ticket, wait, utilization } => match &mut self.twin {
                Some(twin) => twin.refused(now, ticket, wait, utilization),
                None => self.cooldown.throttle(now, wait),
            },
            Event::Served(tier, timing) => {
                self.cooldown.serve(now);
                if !tier.is_special() {
                    self.latency.learn(now, timing);
                }
            }
            // An exhausted pool is told to each of its deployments.
            Event::Throttled(tier, wait) | Event::PoolExhausted(tier, wait) => {
                self.cooldown.throttle_in(tier, now, wait);
                if !tier.is_special() {
                    self.reopening.throttled(now, wait);
                }
            }
            Event::Unavailable(wait) => self.cooldown.suspend(now, wait),
            Event::ExceedsQuota { load, limit } => self.quota.refused(now, &load, limit),
            Event::TooLarge(load, wait) => {
                let from = load.prompt + load.cap.unwrap_or_default();
                let held = self.large.filter(|large| large.until > now);
                let from = held.map_or(from, |large| large.from.min(from));
                self.large = Some(TooLarge { from, until: now + wait });
            }
            Event::Utilization(ticket, utilization) => {
                if let Some(twin) = &mut self.twin {
                    twin.read(now, ticket, utilization);
                }
            }
            Event::Quota(answered, reading) => {
                if let Some(ticket) = answered {
                    self.quota.learn(now, ticket.quota, &reading);
                }
                self.quota.read(now, &reading);
            }
            Event::Failed => self.cooldown.fail(now, cooldowns.fault, cooldowns.fault_max),
            Event::Misconfigured => self.cooldown.misconfigure(now, cooldowns.misconfigured),
        }
    }
}
