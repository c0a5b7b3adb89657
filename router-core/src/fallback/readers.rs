//! Tries the deployments that can read a request's encrypted items before all others, and waits for one of them as long
//! as the caller's wait budget allows.
//!
//! Elsewhere the request goes without these items, so its model has to think again. A short wait is better than that, also
//! for pay-as-you-go, for which no other request waits. The order of the plan already puts these deployments first.
//!
//! Not done here: leaving the items out (`visit`), and the deployments that follow (`walk`).

use tokio::time::Instant;

use crate::capacity::Admission;
use crate::capacity::Cause;
use crate::upstream::Upstream;

use super::journey::Journey;
use super::trail::{Ended, Note};
use super::walk::{Errand, FULL_TRIES, Fallback, Passed};

/// A request that is bound to the first deployments of its plan.
pub(super) struct Bound<'b, 'r, 'a> {
    pub(super) errand: &'b Errand<'r, 'a>,
    pub(super) admission: &'b Admission,
    /// How many of the plan's first deployments can read its encrypted items.
    pub(super) readers: usize,
}

impl<'b, 'r, 'a> Bound<'b, 'r, 'a> {
    pub(super) fn of(errand: &'b Errand<'r, 'a>, admission: &'b Admission) -> Self {
        let endpoint = errand.readers.endpoint();
        let plan = errand.plan.iter();
        let readers = plan.take_while(|deployment| Some(&deployment.endpoint) == endpoint).count();
        Self { errand, admission, readers }
    }

    /// Until when it is worth waiting for them.
    fn until(&self, journey: &Journey) -> Instant {
        let patient = journey.began.checked_add(self.admission.reader_patience);
        patient.unwrap_or(self.errand.deadline).min(self.errand.deadline)
    }
}

impl<U: Upstream> Fallback<U> {
    /// Tries them in order, and again after the shortest wait that they ask for; `Passed::Nobody` if none of them answers
    /// within the budget.
    pub(super) async fn readers(&self, bound: &Bound<'_, '_, '_>, journey: &mut Journey) -> Passed {
        let Bound { errand, admission, readers } = *bound;
        let until = bound.until(journey);
        for _ in 0..FULL_TRIES {
            for deployment in errand.plan.iter().take(readers) {
                let now = Instant::now();
                if self.began_cooling(deployment, now) || failed(journey, &deployment.name) {
                    continue;
                }
                if !self.may_go_on(&journey.trail, (now, errand.deadline)) {
                    return Passed::Nobody;
                }
                let over = self.stay(deployment, (errand, admission), until, journey).await;
                if !matches!(over, Passed::Nobody) {
                    return over;
                }
            }
            if !self.wait_for_reader(bound, until, journey).await {
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
        journey: &mut Journey,
    ) -> bool {
        let began = Instant::now();
        let asked = bound.errand.plan.iter().take(bound.readers).filter_map(|deployment| {
            let cooling = |standing: &crate::capacity::Standing| standing.cooling(began);
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
        journey.notes.push(Note::Held { deployment, took, entered: true });
        true
    }
}

/// True if the deployment ended an attempt of this request by anything but a wait.
fn failed(journey: &Journey, name: &crate::units::DeploymentName) -> bool {
    let other = |ended: Ended| !matches!(ended, Ended::Throttled(..));
    journey.trail.iter().any(|step| step.deployment.name == *name && other(step.ended))
}
