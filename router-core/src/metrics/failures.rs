//! Decided requests that end without an answer: for which deployment's sake, why, and how long that took.
//!
//! Not done here: answers (`recorder.rs`), those broken off included, and requests that could not be understood.

use std::time::Duration;

use tokio::time::Instant;

use crate::chat::Operation;
use crate::decision::Decision;
use crate::deployment::Deployment;
use crate::record::RequestEnd;

use super::recorder::Metrics;

/// A decided request until it has an answer. Dropped before that, its caller has gone: it counts as that.
#[derive(Debug)]
pub(crate) struct Unanswered<'m> {
    metrics: &'m Metrics,
    operation: Operation,
    decision: &'m Decision,
    began: Instant,
    /// Holds until something else has come of it; `None` once there is an answer.
    ended: Option<RequestEnd>,
}

impl Unanswered<'_> {
    /// There is an answer, which is counted when it ends; or none will come, for this reason.
    pub(crate) fn ended(mut self, ended: Option<RequestEnd>) {
        self.ended = ended;
    }
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if let Some(ended) = self.ended {
            let took = self.began.elapsed();
            self.metrics.failed((self.operation, self.decision), None, ended, took);
        }
    }
}

impl Metrics {
    /// A request was decided; the guard counts it unless it gets an answer.
    pub(crate) fn unanswered<'m>(
        &'m self,
        operation: Operation,
        decision: &'m Decision,
        began: Instant,
    ) -> Unanswered<'m> {
        Unanswered { metrics: self, operation, decision, began, ended: Some(RequestEnd::HungUp) }
    }

    /// A decided request has ended without an answer of a model. `by` is who refused it; else it counts for the deployment
    /// that it would have gone to first.
    pub(crate) fn failed(
        &self,
        (operation, decision): (Operation, &Decision),
        by: Option<&Deployment>,
        ended: RequestEnd,
        took: Duration,
    ) {
        let wished = &decision.choice.models;
        let planned = decision.plan.as_ref().ok().map(|plan| &*plan.first);
        let of_wished = || {
            let mut all = decision.candidates.iter().map(|candidate| &*candidate.deployment);
            all.find(|deployment| wished.contains(&deployment.model.name))
        };
        let at = by.or(planned).or_else(of_wished);
        let provider = at.map_or("none", |deployment| deployment.api.provider());
        let model = at.map(|deployment| &deployment.model.name).or(wished.first());
        let model = model.map_or("none", |name| name.as_str());
        let error = ended.error().unwrap_or_default();
        let (name, billing) = at.map_or(("none", "none"), |deployment| {
            (deployment.name.as_str(), deployment.billing.as_str())
        });
        let labels = [operation.as_str(), provider, model, name, billing, error];
        self.gen_ai.duration.with_label_values(&labels).observe(took.as_secs_f64());
    }
}
