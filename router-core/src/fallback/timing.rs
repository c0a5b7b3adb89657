//! Calculates when an attempt can start: the earliest capacity, and the latest useful moment. Sends nothing.

use std::sync::Arc;

use tokio::time::Instant;

use crate::capacity::DeploymentState;
use crate::deployment::Deployment;
use crate::upstream::Upstream;

use super::step::{Ended, Step};
use super::walk::{Dispatch, Fallback};

impl<U: Upstream> Fallback<U> {
    /// The latest start of an attempt whose answer is to come in time. A request that has nowhere else to go is not
    /// sent later: its answer would be paid for and not read.
    pub(super) fn latest_start(&self, dispatch: &Dispatch<'_, '_>) -> Instant {
        let first = &dispatch.plan.first.name;
        let usual = self.waiting.state().see(first, |standing| standing.latency.total());
        let usual = usual.filter(|_| dispatch.admission.bound).unwrap_or_default();
        dispatch.deadline.checked_sub(usual).unwrap_or(dispatch.deadline)
    }

    /// The deployment of the plan that will have room first, of those that did not fail this request.
    pub(super) fn soonest(
        &self,
        dispatch: &Dispatch<'_, '_>,
        trail: &[Step],
    ) -> Option<Arc<Deployment>> {
        let now = Instant::now();
        let failed = |deployment: &Deployment| {
            trail.iter().any(|step| {
                let full = matches!(step.ended, Ended::Throttled(..));
                !full && step.deployment.name == deployment.name
            })
        };
        let usable = dispatch.plan.iter();
        let usable = usable
            .filter(|deployment| !(self.began_cooling(deployment, now) || failed(deployment)));
        let wait = |deployment: &&Arc<Deployment>| {
            let entry = dispatch.admission.entry(deployment);
            let wait = |standing: &DeploymentState| standing.expected_wait(&entry, 0.0, now);
            self.waiting.state().see(&deployment.name, wait)
        };
        usable.min_by_key(wait).cloned()
    }
}
