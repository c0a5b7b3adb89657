//! Tries the deployments that can decrypt a request's encrypted items first, and waits for one of
//! them within the caller's wait budget.
//!
//! At other deployments the request goes without these items, and its model has to reason again. A
//! short wait is better, also for pay-as-you-go, for which no other request waits. The plan already
//! lists these deployments first.
//!
//! Not done here: removing the items (`try_deployment`), and the deployments that follow (`walk`).

use std::ops::ControlFlow;
use std::time::Duration;

use tokio::time::Instant;

use crate::capacity::Cause;
use crate::upstream::Upstream;

use super::attempt_log::AttemptLog;
use super::step::{Ended, Note};
use super::walk::{Dispatch, FULL_TRIES, Fallback, Passed};

impl Dispatch<'_, '_> {
    /// The number of the plan's first deployments that can decrypt its items.
    pub(super) fn bound_readers(&self) -> usize {
        let endpoint = self.readers.endpoint();
        self.plan.iter().take_while(|deployment| Some(&deployment.endpoint) == endpoint).count()
    }
}

impl<U: Upstream> Fallback<U> {
    /// Tries them in order, and again after the shortest wait that they ask for; goes on if none of them answers within the
    /// budget.
    pub(super) async fn readers(
        &self,
        dispatch: &Dispatch<'_, '_>,
        log: &mut AttemptLog<'_>,
    ) -> Passed {
        // Until when it is worth waiting for them.
        let patient = log.began.checked_add(dispatch.admission.reader_patience);
        let until = patient.unwrap_or(dispatch.deadline).min(dispatch.deadline);
        for _ in 0..FULL_TRIES {
            for deployment in dispatch.plan.iter().take(dispatch.bound_readers()) {
                if self.began_cooling(deployment, Instant::now()) || failed(log, &deployment.name) {
                    continue;
                }
                if !self.may_go_on(log, dispatch.deadline) {
                    return ControlFlow::Continue(());
                }
                self.stay(deployment, dispatch, until, log).await?;
            }
            if !self.wait_for_reader(dispatch, until, log).await {
                break;
            }
        }
        ControlFlow::Continue(())
    }

    /// Waits until the first of them may be asked again; false if that is too late, or none asked for a wait.
    async fn wait_for_reader(
        &self,
        dispatch: &Dispatch<'_, '_>,
        until: Instant,
        log: &mut AttemptLog<'_>,
    ) -> bool {
        let began = Instant::now();
        let readers = dispatch.plan.iter().take(dispatch.bound_readers());
        let asked = readers.filter_map(|deployment| {
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
        let (deployment, took) = (std::sync::Arc::clone(deployment), Duration::ZERO);
        log.note(Note::Held { deployment, since: began, took, entered: false });
        tokio::time::sleep_until(end).await;
        log.entered(began);
        true
    }
}

/// True if the deployment ended an attempt of this request by anything but a wait.
fn failed(log: &AttemptLog<'_>, name: &crate::units::DeploymentName) -> bool {
    let other = |ended: Ended| !matches!(ended, Ended::Throttled(..));
    log.attempts().iter().any(|step| step.deployment.name == *name && other(step.ended))
}
