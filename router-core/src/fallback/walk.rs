//! Walks a plan: one attempt after another until one answers, within one deadline.
//!
//! What moves on and what goes back to the caller is the table of the design: a 429 and every fault before the first
//! content byte move on, what the request itself is to blame for goes back as it came. The residency needs no check
//! here because the plan holds nothing outside it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use tokio::time::Instant;

use crate::capacity::Cause;
use crate::chat::Adapted;
use crate::chat::ChatRequest;
use crate::chat::adapt;
use crate::decision::Plan;
use crate::deployment::Api;
use crate::deployment::Deployment;
use crate::model::Effort;
use crate::state::CapacityState;
use crate::units::DeploymentName;
use crate::units::Tokens;
use crate::upstream::Attempt;
use crate::upstream::Call;
use crate::upstream::ReplyBody;
use crate::upstream::Unreachable;
use crate::upstream::Upstream;

use super::budget::RetryTokens;
use super::limits::Limits;
use super::sending::{Delivery, Sending, Sent, read};
use super::trail::{Ended, SendingFault, Step};

/// A request on its way, with the plan for it.
#[derive(Debug)]
pub struct Errand<'r, 'a> {
    /// The request.
    pub request: &'r ChatRequest<'a>,
    /// What is called at each deployment.
    pub call: Call,
    /// The deployments to try.
    pub plan: &'r Plan,
    /// The effort wished of a model whose own default is none.
    pub effort: Option<Effort>,
    /// True where a request that would need adapting is refused.
    pub reject_unsupported: bool,
    /// How long each attempt may take to its first byte.
    pub first_byte: Duration,
    /// No attempt starts after this moment, and none waits for its first byte beyond it.
    pub deadline: Instant,
    /// Headers of tracing that pass on.
    pub trace: Vec<(HeaderName, HeaderValue)>,
}

/// An answer and how it was come by.
#[derive(Debug)]
pub struct Answered {
    /// Who answered.
    pub deployment: Arc<Deployment>,
    /// The answer.
    pub delivery: Delivery,
    /// The fields that were changed or left out.
    pub adapted: Vec<&'static str>,
    /// True where the whole answer must be streamed on to the caller.
    pub restream: bool,
    /// All attempts, this one last.
    pub trail: Vec<Step>,
}

/// No deployment of the plan answered.
#[derive(Debug)]
pub struct NoAnswer {
    /// Why.
    pub fault: SendingFault,
    /// All attempts.
    pub trail: Vec<Step>,
}

/// Sends requests by their plans.
#[derive(Debug)]
pub struct Fallback<U> {
    upstream: U,
    state: Arc<dyn CapacityState>,
    limits: Limits,
    retries: RetryTokens,
    /// Fields that deployments refused against their records.
    refused: Mutex<BTreeMap<DeploymentName, Vec<&'static str>>>,
}

/// What to do after an attempt.
enum Next {
    /// The walk is over.
    Answer(Box<Answered>),
    /// The next deployment.
    Deployment,
    /// The next deployment with a larger window, else this answer.
    LargerWindow(Box<Answered>),
    /// The request must not be changed, and unchanged it cannot be sent.
    Unsupported(SendingFault),
}

impl<U: Upstream> Fallback<U> {
    /// Sends over `upstream` and learns into `state`.
    pub fn new(upstream: U, state: Arc<dyn CapacityState>, limits: Limits) -> Self {
        let retries = RetryTokens::new(limits.retry_budget, Instant::now());
        Self { upstream, state, limits, retries, refused: Mutex::default() }
    }

    /// What it sends over, for calls that are not decided.
    pub(crate) fn upstream(&self) -> &U {
        &self.upstream
    }

    /// The whole of an answer, within the limits.
    ///
    /// # Errors
    /// It broke off, fell silent or is too long.
    pub(crate) async fn whole(&self, body: ReplyBody) -> Result<Bytes, Unreachable> {
        read(body, self.limits.max_answer_bytes, self.limits.idle_timeout).await
    }

    /// The limits it keeps.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Tries the deployments of the plan in order until one answers.
    ///
    /// # Errors
    /// None answered; the attempts are told.
    pub async fn walk(&self, errand: Errand<'_, '_>) -> Result<Answered, NoAnswer> {
        self.retries.deposit(Instant::now());
        let mut trail: Vec<Step> = Vec::new();
        let mut too_long: Option<(Tokens, Box<Answered>)> = None;
        for deployment in errand.plan.iter() {
            let small = too_long
                .as_ref()
                .is_some_and(|(window, _)| deployment.model.context_window <= *window);
            if small || self.began_cooling(deployment) {
                continue;
            }
            if !self.may_go_on(&trail, errand.deadline) {
                break;
            }
            match self.visit(deployment, &errand, &mut trail).await {
                Next::Answer(answered) => return Ok(done(*answered, trail)),
                Next::Deployment => {}
                Next::LargerWindow(answered) => {
                    too_long = Some((deployment.model.context_window, answered));
                }
                Next::Unsupported(fault) => return Err(NoAnswer { fault, trail }),
            }
        }
        match too_long {
            Some((_, answered)) => Ok(done(*answered, trail)),
            None => Err(NoAnswer { fault: fault_of(&trail, errand.deadline), trail }),
        }
    }

    /// True where the deployment asked to be left alone since the decision was made.
    fn began_cooling(&self, deployment: &Deployment) -> bool {
        let standing = self.state.standing(&deployment.name);
        let cause = standing.cooling(Instant::now()).map(|(cause, _)| cause);
        matches!(cause, Some(Cause::Throttled | Cause::Misconfigured))
    }

    fn may_go_on(&self, trail: &[Step], deadline: Instant) -> bool {
        let now = Instant::now();
        let fault = trail.last().is_some_and(|step| step.ended.is_fault());
        now < deadline && (!fault || self.retries.withdraw(now))
    }

    /// Tries one deployment, a second time where it refuses a field that can be left out.
    async fn visit(
        &self,
        deployment: &Arc<Deployment>,
        errand: &Errand<'_, '_>,
        trail: &mut Vec<Step>,
    ) -> Next {
        let mut refused = self.refused_by(&deployment.name);
        loop {
            let adapted = adapted(deployment, errand, &refused);
            if errand.reject_unsupported && !adapted.changed.is_empty() {
                let model = deployment.model.name.to_string();
                return Next::Unsupported(SendingFault::Unsupported {
                    model,
                    fields: adapted.changed,
                });
            }
            let (changed, restream) = (adapted.changed.clone(), adapted.restream);
            let started = Instant::now();
            let sent = self.send(deployment, errand, adapted).await;
            let (ended, delivery) = match sent {
                Sent::Answer(ended, delivery) => (ended, Some(delivery)),
                Sent::None(ended) => (ended, None),
            };
            let took = started.elapsed();
            trail.push(Step { deployment: Arc::clone(deployment), ended, took });
            let Some(delivery) = delivery else { return Next::Deployment };
            if let Ended::FieldRefused(field) = ended
                && !refused.contains(&field)
            {
                refused.push(field);
                self.remember(&deployment.name, field);
                continue;
            }
            let answered = Box::new(Answered {
                deployment: Arc::clone(deployment),
                delivery: *delivery,
                adapted: changed,
                restream,
                trail: Vec::new(),
            });
            return if ended == Ended::ContextLength {
                Next::LargerWindow(answered)
            } else {
                Next::Answer(answered)
            };
        }
    }

    async fn send(
        &self,
        deployment: &Arc<Deployment>,
        errand: &Errand<'_, '_>,
        adapted: Adapted,
    ) -> Sent {
        let attempt = Attempt {
            deployment: Arc::clone(deployment),
            call: errand.call.clone(),
            body: adapted.body.clone(),
            streamed: errand.request.stream() && !adapted.restream,
            trace: errand.trace.clone(),
        };
        let sending = Sending {
            upstream: &self.upstream,
            state: &self.state,
            limits: &self.limits,
            deployment,
            first_by: (Instant::now() + errand.first_byte).min(errand.deadline),
        };
        sending.send(adapted, attempt).await
    }

    fn refused_by(&self, deployment: &DeploymentName) -> Vec<&'static str> {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.get(deployment).cloned().unwrap_or_default()
    }

    fn remember(&self, deployment: &DeploymentName, field: &'static str) {
        tracing::warn!(%deployment, field, "the deployment refuses a field that its model's record allows");
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let fields = refused.entry(deployment.clone()).or_default();
        if !fields.contains(&field) {
            fields.push(field);
        }
    }
}

fn done(answered: Answered, trail: Vec<Step>) -> Answered {
    Answered { trail, ..answered }
}

fn adapted(deployment: &Deployment, errand: &Errand<'_, '_>, refused: &[&'static str]) -> Adapted {
    let target = adapt::Target {
        record: &deployment.model,
        model_field: match deployment.api {
            Api::AzureDated { .. } if !errand.call.is_undeployed() => None,
            Api::AzureDated { .. } | Api::AzureV1 | Api::OpenAi => {
                Some(&deployment.azure_deployment)
            }
        },
        stream_options: deployment.api.takes_stream_options(),
        effort: errand.effort,
        refused,
    };
    adapt::adapt(errand.request, target)
}

/// A wait is the most useful thing to hear; then what the last attempts came to.
fn fault_of(trail: &[Step], deadline: Instant) -> SendingFault {
    let any = |wanted: fn(&Ended) -> bool| trail.iter().any(|step| wanted(&step.ended));
    if trail.is_empty() || any(|ended| matches!(ended, Ended::Throttled(..))) {
        // An empty trail: every deployment began to cool between decision and walk.
        return if Instant::now() >= deadline {
            SendingFault::Timeout
        } else {
            SendingFault::Throttled
        };
    }
    match trail.last().map(|step| step.ended) {
        Some(Ended::Timeout) => SendingFault::Timeout,
        Some(Ended::Misconfigured(_)) if !any(|ended| ended.is_fault()) => {
            SendingFault::Misconfigured
        }
        Some(_) | None => SendingFault::Failed,
    }
}
