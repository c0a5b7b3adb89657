//! The record of a request: the caller, the decision and the outcome. No content.
//!
//! Every request keeps one, and every [`Observer`] sees it twice: once the response head is known, and once the last byte has
//! left or the caller is gone. Metrics, logs, spans and dashboards are observers; there is no other hook. Calls of stored
//! responses have no record: they use no tokens. One that reports what an answer made in the background has used is shown as a
//! [`Settlement`].

use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::capacity::Timing;
use crate::chat::Operation;
use crate::chat::Usage;
use crate::decision::Decision;
use crate::decision::Tradeoff;
use crate::deployment::Catalog;
use crate::deployment::Deployment;
use crate::deployment::Residency;
use crate::deployment::pricing;
use crate::error_kind::Kind;
use crate::fallback::Note;
use crate::fallback::Step;
use crate::model::Effort;
use crate::policy::Policy;
use crate::policy::Priority;
use crate::selection::Exclusion;
use crate::stored::Caller;
use crate::task::Score;
use crate::task::Task;
use crate::task::Verdict;
use crate::trace::RequestSpan;
use crate::units::ModelName;
use crate::units::Tokens;
use crate::units::Usd;

/// Sees the record of every request at two moments. Both are called on the request's own path, so they must neither block nor
/// wait.
pub trait Observer: Debug + Send + Sync {
    /// No more attempts follow: the response head is known, or there will be none.
    fn head(&self, record: &RequestRecord) {
        let _: &RequestRecord = record;
    }

    /// The request has ended. Always called once, after [`Self::head`].
    fn closed(&self, record: &RequestRecord);

    /// An answer made in the background has reported what it used; the record of its request was [`RequestRecord::pending`].
    fn settled(&self, settlement: &Settlement) {
        let _: &Settlement = settlement;
    }
}

/// The usage of an answer made in the background, by the first later response that reports it.
#[derive(Debug, Clone)]
pub struct Settlement {
    /// Time of the report.
    pub at: SystemTime,
    /// The header `x-request-id` of the call that it was reported to.
    pub request_id: Option<Box<str>>,
    /// The caller.
    pub caller: Caller,
    /// The answer with its usage and cost; its times are zero.
    pub answer: Answer,
}

/// One request, from its first byte to its last.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RequestRecord {
    /// Its arrival.
    pub at: SystemTime,
    /// The same by the clock that its attempts go by.
    pub received: Instant,
    /// Its place in a trace; `None` where no traces are kept.
    pub span: Option<RequestSpan>,
    /// Time of its arrival.
    pub request_id: Option<Box<str>>,
    /// Caller.
    pub caller: Caller,
    /// Operation.
    pub operation: Operation,
    /// True if the answer was to be streamed.
    pub streamed: bool,
    /// The cap on the answer's length that the caller sent.
    pub max_output: Option<Tokens>,
    /// The decision; `None` if the request could not be understood.
    pub decided: Option<Decided>,
    /// The attempts, in order.
    pub attempts: Vec<Step>,
    /// Events on the way.
    pub notes: Vec<Note>,
    /// The reason why the preferred deployment did not answer; `None` if it did.
    pub fallback: Option<FellBack>,
    /// The fields that were changed or left out.
    pub adapted: Vec<&'static str>,
    /// True if its answer is made in the background: a later response reports the usage.
    pub pending: bool,
    /// The router's own time; `None` if no deployment answered.
    pub overhead: Option<Duration>,
    /// The answer; `None` if nobody answered.
    pub answer: Option<Answer>,
    /// End of the request.
    pub ended: RequestEnd,
    /// From its first byte to its last.
    pub total: Duration,
}

/// The reason why the preferred deployment did not answer.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FellBack {
    /// The deployment.
    pub from: Arc<Deployment>,
    /// The cause, in one word.
    pub cause: &'static str,
}

impl RequestRecord {
    /// The reason why the preferred deployment did not answer, in one word.
    pub fn fallback_cause(&self) -> Option<&'static str> {
        self.fallback.as_ref().map(|fell_back| fell_back.cause)
    }

    /// True if the request was valid and allowed, and no deployment answered it. This is the only meaning of "unanswered" in
    /// metrics, dashboard and alerts: see [`Kind::is_unanswered`].
    pub fn is_unanswered(&self) -> bool {
        self.answer.is_none()
            && match self.ended {
                RequestEnd::Refused(kind) => kind.is_unanswered(),
                RequestEnd::Interrupted => true,
                RequestEnd::Served | RequestEnd::Rejected | RequestEnd::HungUp => false,
            }
    }

    /// The extra cost of a chat task at the reasoning model, both at pay-as-you-go prices; `None` for other tasks and
    /// unknown prices.
    pub fn saved_by_choice(&self) -> Option<Usd> {
        let chat = self.decided.as_ref().is_some_and(|decided| decided.task == Some(Task::Chat));
        let instead = self.answer.as_ref().filter(|_| chat)?.instead;
        Some(instead.reasoning?.saturating_sub(instead.pay_as_you_go?))
    }
}

/// End of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestEnd {
    /// The whole answer was passed on.
    Served,
    /// The router refused it, or no deployment answered.
    Refused(Kind),
    /// The upstream says that the request is at fault.
    Rejected,
    /// The upstream broke off in the middle of its answer.
    Interrupted,
    /// The caller left before the last byte.
    HungUp,
}

impl RequestEnd {
    /// The word for logs and labels; `None` if the request went well.
    pub fn error(self) -> Option<&'static str> {
        match self {
            Self::Served => None,
            Self::Refused(kind) => Some(kind.as_str()),
            Self::Rejected => Some("rejected"),
            Self::Interrupted => Some(Kind::StreamInterrupted.as_str()),
            Self::HungUp => Some("caller_hung_up"),
        }
    }
}

/// The decision on a request.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Decided {
    /// The task by which the models were chosen; `None` where the caller named a model.
    pub task: Option<Task>,
    /// The score, its task and the reasons; `None` if the request was not scored.
    pub verdict: Option<Verdict>,
    /// The source of the task, if the request was scored; see [`Decision::decided_by`].
    pub decided_by: Option<&'static str>,
    /// The task that the score would have chosen, where scores are only observed; else `None`.
    pub would: Option<Task>,
    /// Score, benefit and their tradeoff; `None` if the request was not scored.
    pub tradeoff: Option<Tradeoff>,
    /// The rule of the operator that matched; `None` if none did.
    pub rule: Option<Arc<str>>,
    /// The effort at which the preferred model answers; `None` for a model without efforts.
    pub effort: Option<Effort>,
    /// The score at which reasoning begins.
    pub threshold: Score,
    /// True if no deployment of the reasoning role could serve and chat served.
    pub downgraded: bool,
    /// Area in which it may be processed.
    pub residency: Residency,
    /// The priority: interactive requests have a caller who waits.
    pub priority: Priority,
    /// The prompt, nearly.
    pub prompt: Tokens,
    /// Words for the optional features that the request uses, such as `tools`.
    pub features: Vec<&'static str>,
    /// The deployment tried first; `None` where there is none.
    pub first: Option<Arc<Deployment>>,
    /// The same, or one of the preferred model if none could be tried.
    pub preferred: Option<Arc<Deployment>>,
    /// The preferred model; `None` if the request may use none.
    pub model: Option<ModelName>,
    /// Provisioned deployments that were left out because they might not be used just then, and why.
    pub passed_over: Vec<(Arc<Deployment>, Exclusion)>,
}

impl Decided {
    /// The decision as far as it is kept.
    pub fn of(decision: &Decision, threshold: Score) -> Self {
        let first = decision.plan.as_ref().ok().map(|plan| &plan.first);
        let models = &decision.choice.models;
        let of_models = || {
            let mut all = decision.candidates.iter().map(|candidate| &candidate.deployment);
            all.find(|deployment| models.contains(&deployment.model.name))
        };
        let preferred = first.or_else(of_models);
        let model = preferred.map(|deployment| &deployment.model.name).or(models.first());
        Self {
            task: decision.task(),
            verdict: decision.verdict,
            decided_by: decision.decided_by(),
            would: decision.would,
            tradeoff: decision.tradeoff,
            rule: decision.rule.as_ref().map(|rule| Arc::clone(&rule.name)),
            effort: preferred.and_then(|deployment| decision.effort_at(&deployment.model)),
            threshold,
            downgraded: decision.downgraded,
            residency: decision.residency.clone(),
            priority: decision.priority,
            prompt: decision.needs.prompt,
            features: decision.needs.features().collect(),
            first: first.cloned(),
            preferred: preferred.cloned(),
            model: model.cloned(),
            passed_over: decision
                .passed_over()
                .map(|(deployment, why)| (Arc::clone(deployment), why))
                .collect(),
        }
    }
}

/// The answer: its deployment, usage and cost.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Answer {
    /// The deployment.
    pub deployment: Arc<Deployment>,
    /// The status sent to the caller.
    pub status: u16,
    /// True if Azure's own spillover answered in a provisioned deployment's place.
    pub spilled_over: bool,
    /// The model that answered, as the upstream names it; `None` if it named none, or the name is invalid.
    pub model: Option<Box<str>>,
    /// True if it arrived as a stream.
    pub streamed: bool,
    /// The tokens; `None` where the upstream refused.
    pub usage: Option<Usage>,
    /// Cost; `None` if no price is known.
    pub cost: Option<Usd>,
    /// True if the cost is a lower bound: the answer used a hosted tool whose price is not known.
    pub cost_at_least: bool,
    /// To the first content of a stream, and to the end.
    pub timing: Timing,
    /// Cost of the same tokens elsewhere.
    pub instead: Counterfactual,
}

/// The first status that says that nothing was made.
const REFUSED: u16 = 400;

impl Answer {
    /// The extra cost of a provisioned deployment's answer on pay-as-you-go; `None` for others, refusals and unknown
    /// prices. The hourly price of the deployment is not in it.
    pub fn saved_by_ptu(&self) -> Option<Usd> {
        self.usage.filter(|_| self.deployment.billing.is_provisioned())?;
        Some(self.instead.pay_as_you_go?.saturating_sub(self.cost.unwrap_or_default()))
    }

    /// True if the upstream refused the request.
    pub fn is_refusal(&self) -> bool {
        self.status >= REFUSED
    }

    /// True if another model answered than the deployment has by config. A dated version of the same model is the same model:
    /// `gpt-4o-2024-11-20`.
    pub fn is_of_another_model(&self) -> bool {
        let configured = self.deployment.model.name.as_str();
        let version = self.model.as_deref().map(|answered| answered.strip_prefix(configured));
        version.is_some_and(|version| {
            version.is_none_or(|rest| !(rest.is_empty() || rest.starts_with("-20")))
        })
    }
}

/// Cost of an answer's tokens elsewhere; `None` if no price is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counterfactual {
    /// At the same model on pay-as-you-go.
    pub pay_as_you_go: Option<Usd>,
    /// At the reasoning role's model on pay-as-you-go. Its hidden reasoning would come on top.
    pub reasoning: Option<Usd>,
    /// At the chat role's model on pay-as-you-go, the answer's hidden reasoning left out.
    pub chat: Option<Usd>,
}

impl Counterfactual {
    /// By the prices of the deployment that answered, and of those that stand for the roles.
    pub fn of(answered: &Deployment, yardsticks: &ReferencePrices, usage: &Usage) -> Self {
        Self {
            pay_as_you_go: pricing::pay_as_you_go_cost(answered, usage),
            reasoning: yardsticks.price(Task::Reasoning, usage),
            chat: yardsticks.price(Task::Chat, &without_reasoning(usage)),
        }
    }

    /// At the model of a task's role.
    pub fn task(&self, task: Task) -> Option<Usd> {
        match task {
            Task::Reasoning => self.reasoning,
            Task::Chat => self.chat,
        }
    }
}

fn without_reasoning(usage: &Usage) -> Usage {
    let completion = usage.completion.saturating_sub(usage.reasoning);
    Usage { completion, reasoning: Tokens::ZERO, ..*usage }
}

/// The deployments by whose prices costs are compared, one for each role.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ReferencePrices {
    reasoning: Option<Arc<Deployment>>,
    chat: Option<Arc<Deployment>>,
}

impl ReferencePrices {
    /// The first offered model of each role, on pay-as-you-go if it is offered there.
    pub fn of(policy: &Policy, catalog: &Catalog) -> Self {
        let of_model = |model: &ModelName| {
            let serving = || catalog.deployments().iter().filter(|one| one.model.name == *model);
            serving().find(|one| !one.billing.is_provisioned()).or_else(|| serving().next())
        };
        let of_role = |task| policy.role(task).models.iter().find_map(of_model).cloned();
        Self { reasoning: of_role(Task::Reasoning), chat: of_role(Task::Chat) }
    }

    /// Cost of the usage on pay-as-you-go at the model of a task's role; `None` if no price is known.
    pub fn price(&self, task: Task, usage: &Usage) -> Option<Usd> {
        let known = match task {
            Task::Reasoning => self.reasoning.as_ref(),
            Task::Chat => self.chat.as_ref(),
        };
        // Other models need not have the tier.
        pricing::pay_as_you_go_cost(known?, &usage.at_standard())
    }
}
