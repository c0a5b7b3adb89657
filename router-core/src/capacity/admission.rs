//! The terms on which a request enters a deployment: its size, its longest wait, and whether it could
//! go elsewhere.

use std::time::Duration;

use crate::deployment::Deployment;
use crate::policy::Priority;
use crate::units::DeploymentName;
use crate::units::Tokens;

use super::reservation::{Expected, Load};
use super::snapshot::Entry;

/// The terms of one request.
#[derive(Debug, Clone, PartialEq)]
pub struct Admission {
    /// Size of the request, with the caller's own cap.
    pub load: Load,
    /// A tighter cap, learned; to be sent to provisioned deployments in place of the caller's.
    pub tight: Option<Tokens>,
    /// Prediction for the answer.
    pub expected: Option<Expected>,
    /// The deployment whose cache holds the first part of the prompt.
    pub home: Option<DeploymentName>,
    /// Queue priority.
    pub priority: Priority,
    /// Share of a provisioned deployment that the request may use, 0 to 1.
    pub limit: f64,
    /// Longest wait for a provisioned deployment.
    pub patience: Duration,
    /// Longest wait for an endpoint that can decrypt the request's items, before it goes elsewhere without them.
    pub(crate) reader_patience: Duration,
    /// True if no pay-as-you-go deployment may serve it.
    pub bound: bool,
    /// A number that identifies its key.
    pub key: u64,
    /// Longest stay in a standing queue; `None` if the request has another deployment to go to.
    pub standing_wait: Option<Duration>,
    /// True if every other deployment was tried before.
    pub insists: bool,
}

impl Admission {
    /// Terms on which the request would enter a deployment.
    pub fn entry(&self, deployment: &Deployment) -> Entry {
        let at_home = self.home.as_ref() == Some(&deployment.name);
        let cached = if at_home { self.load.cached } else { Tokens::ZERO };
        let tight = self.tight.filter(|_| deployment.billing.is_provisioned());
        let load = Load { cached, cap: tight.or(self.load.cap), ..self.load };
        let Self { priority, limit, bound, insists, key, standing_wait, .. } = *self;
        let learned = self.expected.map(|expected| expected.most);
        let likely_cap =
            load.cap.map_or(learned, |cap| Some(learned.map_or(cap, |most| most.min(cap))));
        let answer = self.expected.filter(|_| !bound).map(|expected| expected.mean);
        let most = deployment.max_in_flight;
        let tier = deployment.tier();
        Entry { load, priority, limit, answer, insists, most, key, likely_cap, standing_wait, tier }
    }

    /// The same with the caller's own cap, after a tighter one cut the answer off. It has waited once: the queue serves it by
    /// its age and does not shed it.
    #[must_use]
    pub(crate) fn with_own_cap(&self) -> Self {
        Self { tight: None, standing_wait: None, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deployment::sample;

    #[test]
    fn a_learned_length_orders_a_stream_and_is_not_its_cap() {
        let expected = Expected { mean: 50.0, most: Tokens(200), sure: true };
        // A stream has no tight cap.
        let mut admission = Admission {
            load: Load { prompt: Tokens(100), ..Load::default() },
            tight: None,
            expected: Some(expected),
            home: None,
            priority: Priority::Interactive,
            limit: 1.0,
            patience: Duration::from_secs(10),
            reader_patience: Duration::ZERO,
            bound: true,
            key: 1,
            standing_wait: Some(Duration::from_secs(1)),
            insists: false,
        };
        let ptu = sample::provisioned("ptu", "gpt-4o", 50.0);
        let entry = admission.entry(&ptu);
        assert_eq!((entry.load.cap, entry.likely_cap), (None, Some(Tokens(200))));
        admission.load.cap = Some(Tokens(60));
        assert_eq!(admission.entry(&ptu).likely_cap, Some(Tokens(60)), "its own is tighter");
        admission.tight = Some(Tokens(40));
        let again = admission.with_own_cap();
        assert_eq!(admission.entry(&ptu).load.cap, Some(Tokens(40)));
        assert_eq!((again.entry(&ptu).load.cap, again.standing_wait), (Some(Tokens(60)), None));
    }
}
