//! A running attempt: what the state learns from it, and how much of its reserved capacity it has
//! used.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use tokio::time::Instant;

use crate::capacity::Asker;
use crate::capacity::CacheAffinity;
use crate::capacity::DeploymentState;
use crate::capacity::Load;
use crate::capacity::QuotaReading;
use crate::capacity::Ticket;
use crate::capacity::Timing;
use crate::chat::Usage;
use crate::deployment::Deployment;
use crate::state::CapacityState;
use crate::state::Event;
use crate::state::Turn;
use crate::task::Task;
use crate::units::Tokens;
use crate::upstream::Meters;
use crate::waiting::ReservedCapacity;

/// The result of an attempt when it is over.
#[derive(Debug, Clone)]
pub(super) struct Footing {
    pub(super) asker: Asker,
    pub(super) task: Task,
    pub(super) prompt: Tokens,
    /// True where a provisioned deployment was full.
    pub(super) spilled: bool,
}

/// An attempt while it lasts, streams to their end.
#[derive(Debug)]
pub(super) struct ActiveAttempt {
    capacity: ReservedCapacity,
    pub(super) footing: Footing,
    /// Answered, but by Azure's own spillover.
    elsewhere: bool,
}

impl ActiveAttempt {
    pub(super) fn start(capacity: ReservedCapacity, footing: Footing) -> Self {
        let mut active = Self { capacity, footing, elsewhere: false };
        // A caller that hangs up has cost at least the prompt.
        active.uses(&Usage { prompt: active.footing.prompt, ..Usage::default() });
        active
    }

    pub(super) fn deployment(&self) -> &Deployment {
        self.capacity.deployment()
    }

    pub(super) fn ticket(&self) -> Ticket {
        self.capacity.ticket()
    }

    /// The deployment refused or failed it: nothing was used.
    pub(super) fn uses_nothing(&mut self) {
        self.capacity.set_used(None);
    }

    fn state(&self) -> &Arc<CapacityState> {
        self.capacity.waiting().state()
    }

    /// Learns what happened, now.
    pub(super) fn learn(&self, event: Event) {
        self.learn_at(event, Instant::now());
    }

    /// Learns what happened at a moment that is known.
    pub(super) fn learn_at(&self, event: Event, now: Instant) {
        self.capacity.waiting().learn(&self.deployment().name, event, now);
    }

    /// Azure answered from elsewhere, because this one is full: as good as a 429 without a wait, and nothing is used here.
    pub(super) fn spilled_over(&mut self, wait: Duration) {
        self.learn(Event::Full { ticket: self.ticket(), wait, utilization: None });
        self.uses_nothing();
        self.elsewhere = true;
    }

    pub(super) fn uses(&mut self, usage: &Usage) {
        if self.elsewhere {
            return;
        }
        let used =
            |standing: &DeploymentState| standing.twin.as_ref().map(|twin| twin.size().used(usage));
        let used = self.state().see(&self.deployment().name, used);
        self.capacity.set_used(Some(used.unwrap_or_default()));
    }

    /// True if a request of this load counts more than the whole quota, as far as it is known.
    pub(super) fn exceeds_quota(&self, load: &Load) -> bool {
        let now = Instant::now();
        let exceeded = |standing: &DeploymentState| standing.quota.is_exceeded_by(load, now);
        self.state().see(&self.deployment().name, exceeded)
    }

    /// The head of an answer has come; gives how full the deployment says that it is.
    pub(super) fn read(&self, headers: &HeaderMap, answered: bool) -> Option<f64> {
        let Meters { utilization, quota } = Meters::read(headers);
        if quota != QuotaReading::default() {
            self.learn(Event::Quota(answered.then(|| self.ticket()), quota));
        }
        utilization
    }

    /// A whole answer has ended at `now`: what it used, where its conversation is at home, and how long such answers are.
    pub(super) fn served(
        &mut self,
        timing: Timing,
        now: Instant,
        usage: Option<Usage>,
        cut_by_us: bool,
    ) {
        self.learn_at(Event::Served(self.deployment().tier(), timing), now);
        let Some(usage) = usage else { return };
        self.uses(&usage);
        // An operation without text, such as embeddings, teaches nothing about the length of answers.
        if cut_by_us || usage.completion == Tokens::ZERO {
            return;
        }
        let Footing { asker, task, spilled, .. } = self.footing;
        let deployment = self.deployment().name.clone();
        let prefix = usage.prompt + usage.completion;
        let home = CacheAffinity { deployment, until: now, prefix, spilled };
        self.state().remember(&Turn { asker, task, output: usage.completion, home }, now);
    }
}
