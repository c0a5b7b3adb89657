//! The routing of a call as its log line reports it: of a request from its record, of a stored response's call from its attempts.

use std::sync::Arc;
use std::time::Duration;

use crate::deployment::Deployment;
use crate::deployment::Residency;
use crate::error_kind::Kind;
use crate::fallback::Ended;
use crate::fallback::Step;
use crate::record::RequestEnd;
use crate::record::RequestRecord;
use crate::task::Score;
use crate::task::Task;
use crate::units::Usd;

use super::background::SettledCost;

/// The routing of a call that has ended.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Routing {
    /// The task for which the model was chosen.
    pub task: Option<Task>,
    /// The score, if the request was scored.
    pub score: Option<Score>,
    /// The deployment that answered; on a failure, the one of the last attempt.
    pub deployment: Option<Arc<Deployment>>,
    /// True if Azure's own spillover answered in that deployment's place.
    pub spilled_over: bool,
    /// The number of attempts; `None` if the call ended before a decision.
    pub attempts: Option<usize>,
    /// The reason why the preferred deployment did not answer.
    pub fallback: Option<&'static str>,
    /// The fields that were changed or removed for the model.
    pub adapted: Vec<&'static str>,
    /// The area in which the request may be processed.
    pub residency: Option<Residency>,
    /// The cost of the answer.
    pub cost: Option<Usd>,
    /// True if that cost is a lower bound.
    pub cost_at_least: bool,
    /// The router's own time.
    pub overhead: Option<Duration>,
    /// The error that the caller got, if only as the last event of a stream.
    pub error: Option<Kind>,
}

impl Routing {
    /// The routing of a request that has ended.
    pub(super) fn of(record: RequestRecord) -> Self {
        let attempts = record.decided.as_ref().map(|_| record.attempts.len());
        let fell_back = record.fallback_cause();
        let spilled_over = record.answer.as_ref().is_some_and(|answer| answer.spilled_over);
        let (cost, cost_at_least) = match &record.answer {
            Some(answer) if answer.usage.is_some() => (answer.cost, answer.cost_at_least),
            Some(_) | None => (None, false),
        };
        let error = match record.ended {
            RequestEnd::Refused(kind) => Some(kind),
            RequestEnd::Interrupted => Some(Kind::StreamInterrupted),
            RequestEnd::Served | RequestEnd::Rejected | RequestEnd::HungUp => None,
        };
        let answered = record.answer.map(|answer| answer.deployment);
        Self {
            task: record.decided.as_ref().and_then(|decided| decided.task),
            score: record.decided.as_ref().and_then(|decided| Some(decided.verdict?.score)),
            deployment: answered.or_else(|| last(&record.attempts).cloned()),
            spilled_over,
            attempts,
            fallback: if spilled_over { Some("spillover") } else { fell_back },
            adapted: record.adapted,
            residency: record.decided.map(|decided| decided.residency),
            cost,
            cost_at_least,
            overhead: record.overhead,
            error,
        }
    }

    /// The routing of a call of a stored response, which has no record; `residency` if the router refused it.
    pub(super) fn of_stored(
        attempts: &[Step],
        settled: Option<SettledCost>,
        residency: Option<Residency>,
    ) -> Self {
        Self {
            deployment: last(attempts).cloned(),
            attempts: Some(attempts.len()),
            residency,
            cost: settled.and_then(|settled| settled.cost),
            cost_at_least: settled.is_some_and(|settled| settled.at_least),
            ..Self::default()
        }
    }

    /// The billing of the deployment that answered.
    pub fn billing(&self) -> Option<&'static str> {
        let deployment = self.deployment.as_ref()?;
        Some(if self.spilled_over { "pay_as_you_go" } else { deployment.billing.as_str() })
    }
}

/// The deployment of the last attempt, unless it concerns nobody but the operator.
fn last(attempts: &[Step]) -> Option<&Arc<Deployment>> {
    attempts.last().filter(|_| !is_private(attempts)).map(|step| &step.deployment)
}

/// True if the attempts concern nobody but the operator: every deployment refuses the router.
pub(super) fn is_private(attempts: &[Step]) -> bool {
    attempts.iter().all(|step| matches!(step.ended, Ended::Misconfigured(_)))
}
