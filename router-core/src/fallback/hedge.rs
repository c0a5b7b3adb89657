//! Sends a second attempt to another deployment if the first is slow to begin. Off by default: it
//! trades tokens for tail latency.
//!
//! Only streams are hedged, because only they show when they begin. Once a deployment has been
//! silent for longer than nearly all of its answers were, the next deployment of the plan is tried
//! too, and whichever shows content first is used. The other attempt is dropped, which cancels it
//! upstream; its prompt may be billed and is charged to the request. The budget is a share of all
//! requests, so that a deployment that is slow for everybody does not get twice the load.
//!
//! Not done here: the choice of deployments (the plan: no hedge leaves the residency), and attempts
//! after a fault (`walk`).

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::capacity::Admission;
use crate::capacity::DeploymentState;
use crate::chat::Usage;
use crate::deployment::Deployment;
use crate::upstream::Upstream;
use crate::waiting::ReservedCapacity;

use super::attempt_log::AttemptLog;
use super::step::Note;
use super::walk::{Declined, Dispatch, Fallback, Next, WalkEnd};

impl<U: Upstream> Fallback<U> {
    /// Makes an attempt, and a second one elsewhere where it is slow to begin and the budget allows.
    pub(super) async fn attempt(
        &self,
        reserved: ReservedCapacity,
        dispatch: &Dispatch<'_, '_>,
        log: &mut AttemptLog<'_>,
    ) -> Next {
        let deployment = &Arc::clone(reserved.deployment());
        let Some((silence, second)) = self.hedge(deployment, dispatch, log) else {
            return self.visit(reserved, dispatch, log).await;
        };
        let Some(beside) = log.hedge.take() else {
            return self.visit(reserved, dispatch, log).await;
        };
        let began = log.began;
        let mut first = Box::pin(self.visit(reserved, dispatch, log));
        if let Ok(next) = tokio::time::timeout(silence, &mut first).await {
            drop(first);
            log.hedge = Some(beside);
            return next;
        }
        let Some(reserved) = self.capacity_for_hedge(&second, &dispatch.admission) else {
            let next = first.await;
            log.hedge = Some(beside);
            return next;
        };
        let mut other = AttemptLog::new(began, beside, None);
        let mut hedge = Box::pin(self.visit(reserved, dispatch, &mut other));
        let (next, of_first) = tokio::select! {
            biased;
            next = &mut first => (next, true),
            next = &mut hedge => (next, false),
        };
        let (next, beside) = match (next, of_first) {
            // One has failed: what the other comes to counts.
            (Next::Continue(Declined::NoAnswer), true) => {
                drop(first);
                let next = hedge.await;
                log.join(other.history, matches!(next, Next::Break(WalkEnd::Answered(_))));
                (next, other.history)
            }
            // Its answer, or something that the request itself is to blame for: the other is given up.
            (next, true) => {
                drop((first, hedge));
                if other.history.outrun() {
                    log.note(outrun(&second, dispatch));
                }
                log.history.append(other.history);
                (next, other.history)
            }
            (next @ Next::Break(WalkEnd::Answered(_)), false) => {
                drop((first, hedge));
                if log.history.outrun() {
                    log.note(outrun(deployment, dispatch));
                }
                log.join(other.history, true);
                (next, other.history)
            }
            (_, false) => {
                drop(hedge);
                let next = first.await;
                log.join(other.history, false);
                (next, other.history)
            }
        };
        log.hedge = Some(beside);
        next
    }

    /// After which silence to ask whom else; `None` where a request is not hedged.
    fn hedge(
        &self,
        deployment: &Deployment,
        dispatch: &Dispatch<'_, '_>,
        log: &AttemptLog<'_>,
    ) -> Option<(Duration, Arc<Deployment>)> {
        let hedging = self.limits.hedging?;
        let streamed = dispatch.request.stream() && deployment.model.abilities.streaming;
        let within = |standing: &DeploymentState| standing.latency.first_within(hedging.quantile);
        let silence = self.waiting.state().see(&deployment.name, within).filter(|_| streamed)?;
        let bound = dispatch.readers.endpoint();
        let untried = |other: &&Arc<Deployment>| {
            // Elsewhere it would go without its encrypted items.
            if bound.is_some_and(|endpoint| *endpoint != other.endpoint) {
                return false;
            }
            let tried = log.attempts().iter().any(|step| step.deployment.name == other.name);
            other.name != deployment.name && !tried && !self.began_cooling(other, Instant::now())
        };
        Some((silence, dispatch.plan.iter().find(untried).cloned()?))
    }

    /// Reserves capacity at the second deployment if the budget allows a hedge.
    fn capacity_for_hedge(
        &self,
        second: &Arc<Deployment>,
        admission: &Admission,
    ) -> Option<ReservedCapacity> {
        let now = Instant::now();
        let entry = admission.entry(second);
        let budget = self.hedges.as_ref()?;
        let reserved = self.waiting.reserve(second, &entry, false, now).ok()?;
        budget.withdraw(now).then_some(reserved)
    }
}

/// An attempt that another outran may bill its prompt.
fn outrun(deployment: &Arc<Deployment>, dispatch: &Dispatch<'_, '_>) -> Note {
    let usage = Usage { prompt: dispatch.admission.load.prompt, ..Usage::default() };
    Note::Outrun { deployment: Arc::clone(deployment), usage }
}
