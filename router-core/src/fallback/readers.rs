//! Tries the deployments that can decrypt a request's encrypted items first, and waits for one of
//! them within the caller's wait budget.
//!
//! At other deployments the request goes without these items, and its model has to reason again. A
//! short wait is better, also for pay-as-you-go, for which no other request waits. The plan already
//! lists these deployments first.
//!
//! Not done here: removing the items (`try_deployment`), and the deployments that follow (`walk`).

use tokio::time::Instant;

use crate::capacity::Admission;
use crate::capacity::Cause;
use crate::upstream::Upstream;

use super::attempt_log::AttemptLog;
use super::step::{Ended, Note};
use super::walk::{Dispatch, FULL_TRIES, Fallback, Passed};

/// A request that is bound to the first deployments of its plan.
pub(super) struct Bound<'b, 'r, 'a> {
    pub(super) dispatch: &'b Dispatch<'r, 'a>,
    pub(super) admission: &'b Admission,
    /// How many of the plan's first deployments can read its encrypted items.
    pub(super) readers: usize,
}

impl<'b, 'r, 'a> Bound<'b, 'r, 'a> {
    pub(super) fn of(dispatch: &'b Dispatch<'r, 'a>, admission: &'b Admission) -> Self {
        let endpoint = dispatch.readers.endpoint();
        let plan = dispatch.plan.iter();
        let readers = plan.take_while(|deployment| Some(&deployment.endpoint) == endpoint).count();
        Self { dispatch, admission, readers }
    }

    /// Until when it is worth waiting for them.
    fn until(&self, log: &AttemptLog) -> Instant {
        let patient = log.began.checked_add(self.admission.reader_patience);
        patient.unwrap_or(self.dispatch.deadline).min(self.dispatch.deadline)
    }
}

impl<U: Upstream> Fallback<U> {
    /// Tries them in order, and again after the shortest wait that they ask for; `Passed::Nobody` if none of them answers
    /// within the budget.
    pub(super) async fn readers(&self, bound: &Bound<'_, '_, '_>, log: &mut AttemptLog) -> Passed {
        let Bound { dispatch, admission, readers } = *bound;
        let until = bound.until(log);
        for _ in 0..FULL_TRIES {
            for deployment in dispatch.plan.iter().take(readers) {
                let now = Instant::now();
                if self.began_cooling(deployment, now) || failed(log, &deployment.name) {
                    continue;
                }
                if !self.may_go_on(&log.trail, (now, dispatch.deadline)) {
                    return Passed::Nobody;
                }
                let over = self.stay(deployment, (dispatch, admission), until, log).await;
                if !matches!(over, Passed::Nobody) {
                    return over;
                }
            }
            if !self.wait_for_reader(bound, until, log).await {
                break;
            }
        }
        Passed::Nobody
    }

    /// Waits until the first of them may be asked again; false if that is too late, or none asked for a wait.
    async fn wait_for_reader(
        &self,
        bound: &Bound<'_, '_, '_>,
        until: Instant,
        log: &mut AttemptLog,
    ) -> bool {
        let began = Instant::now();
        let asked = bound.dispatch.plan.iter().take(bound.readers).filter_map(|deployment| {
            let cooling = |standing: &crate::capacity::DeploymentState| {
                standing.cooling_in(deployment.tier(), began)
            };
            match self.waiting.state().see(&deployment.name, cooling)? {
                (Cause::Throttled, end) => Some((end, deployment)),
                (Cause::Unavailable | Cause::Fault | Cause::Misconfigured, _) => None,
            }
        });
        let Some((end, deployment)) = asked.min_by_key(|(end, _)| *end) else { return false };
        if end > until {
            return false;
        }
        tokio::time::sleep_until(end).await;
        let (deployment, took) = (std::sync::Arc::clone(deployment), began.elapsed());
        log.notes.push(Note::Held { deployment, took, entered: true });
        true
    }
}

/// True if the deployment ended an attempt of this request by anything but a wait.
fn failed(log: &AttemptLog, name: &crate::units::DeploymentName) -> bool {
    let other = |ended: Ended| !matches!(ended, Ended::Throttled(..));
    log.trail.iter().any(|step| step.deployment.name == *name && other(step.ended))
}
