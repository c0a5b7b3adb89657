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
use crate::trace::SpanId;
use crate::upstream::Upstream;
use crate::waiting::ReservedCapacity;

use super::attempt_log::AttemptLog;
use super::step::{Note, Step};
use super::walk::{Dispatch, Fallback, Next};

impl<U: Upstream> Fallback<U> {
    /// Makes an attempt, and a second one elsewhere where it is slow to begin and the budget allows.
    pub(super) async fn attempt(
        &self,
        reserved: ReservedCapacity,
        (dispatch, admission): (&Dispatch<'_, '_>, &Admission),
        log: &mut AttemptLog,
    ) -> Next {
        let deployment = &Arc::clone(reserved.deployment());
        let Some((silence, second)) = self.hedge(deployment, dispatch, log) else {
            return self.visit(reserved, (dispatch, admission), log).await;
        };
        let began = Instant::now();
        let mut other = AttemptLog::new(log.began);
        let mut first = Box::pin(self.visit(reserved, (dispatch, admission), log));
        if let Ok(next) = tokio::time::timeout(silence, &mut first).await {
            return next;
        }
        let Some(reserved) = self.capacity_for_hedge(&second, admission) else {
            return first.await;
        };
        let asked = Instant::now();
        let mut hedge = Box::pin(self.visit(reserved, (dispatch, admission), &mut other));
        let (next, of_first) = tokio::select! {
            biased;
            next = &mut first => (next, true),
            next = &mut hedge => (next, false),
        };
        let outrun = |deployment: &Arc<Deployment>, began: Instant, span: Option<SpanId>| {
            let usage = Usage { prompt: admission.load.prompt, ..Usage::default() };
            let deployment = Arc::clone(deployment);
            (Step::outrun(&deployment, began, span), Note::Outrun { deployment, usage })
        };
        match (next, of_first) {
            // Its answer, or something that the request itself is to blame for: the other is given up.
            (
                next @ (Next::Answer(_)
                | Next::Again
                | Next::LargerWindow(_)
                | Next::LargerQuota(_)
                | Next::Unsupported(_)),
                true,
            ) => {
                drop((first, hedge));
                log.lost(outrun(&second, asked, other.under_way));
                next
            }
            (next @ Next::Answer(_), false) => {
                drop((first, hedge));
                log.lost(outrun(deployment, began, log.under_way));
                log.join(other, true);
                next
            }
            // One has failed: what the other comes to counts.
            (Next::Deployment, true) => {
                drop(first);
                let next = hedge.await;
                log.join(other, matches!(next, Next::Answer(_)));
                next
            }
            (_, false) => {
                drop(hedge);
                let next = first.await;
                log.join(other, false);
                next
            }
        }
    }

    /// After which silence to ask whom else; `None` where a request is not hedged.
    fn hedge(
        &self,
        deployment: &Deployment,
        dispatch: &Dispatch<'_, '_>,
        log: &AttemptLog,
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
            let tried = log.trail.iter().any(|step| step.deployment.name == other.name);
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
