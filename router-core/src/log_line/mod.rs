//! The request log: one JSON line per request with its usage, decision, attempts and result. Writing files is not its job.
//!
//! Unknown values are absent, and readers skip unknown fields, so that the format can grow. A line contains no prompt or
//! completion text; the request id is the only text that comes from the caller.

use std::time::{Duration, UNIX_EPOCH};

use crate::chat::Operation;
use crate::fallback::Note;
use crate::fallback::Step;
use crate::model::ServiceTier;
use crate::record::Answer;
use crate::record::Decided;
use crate::record::RequestRecord;
use crate::record::Settlement;
use crate::task::Task;
use crate::units::Usd;
use serde::{Deserialize, Serialize};

mod reading;

pub use reading::{Log, LogReadFault};

/// One request.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LoggedRequest {
    /// Its arrival, in milliseconds since 1970-01-01T00:00:00Z.
    pub at_unix_ms: u64,
    /// The header `x-request-id`; the caller's own if it sent one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<Box<str>>,
    /// The name of the caller's key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<Box<str>>,
    /// The team of that key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub team: Option<Box<str>>,
    /// The operation: `chat`, `responses` ..
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<Box<str>>,
    /// Of an answer made in the background: whether its usage is still to come, or this line reports it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub background: Option<Background>,
    /// True if the answer was to be streamed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub streamed: Option<bool>,
    /// The cap on the answer's length that the caller sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    /// The decision.
    #[serde(flatten)]
    pub decision: LoggedDecision,
    /// The outcome.
    #[serde(flatten)]
    pub outcome: LoggedOutcome,
    /// The number of attempts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<u32>,
    /// The attempts, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trail: Vec<LoggedAttempt>,
    /// The reason why the preferred deployment did not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Box<str>>,
    /// Time that it waited for capacity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waited_ms: Option<u64>,
    /// From its first byte to its last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) total_ms: Option<u64>,
    /// The reason why it went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Box<str>>,
}

/// The two lines of an answer made in the background.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Background {
    /// It was created; usage and cost are not known yet.
    Open,
    /// A later call, which is not a request to a model, reports usage and cost.
    Settled,
}

/// The decision on a request.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LoggedDecision {
    /// The probability that the request needs reasoning, 0 to 1; absent if it was not scored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// The score at which reasoning began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// The probability that a reasoning model is right and a chat model is wrong, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub benefit: Option<f64>,
    /// The value of reasoning in dollars, if it was calculated; reasoning is chosen above zero.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_usd: Option<f64>,
    /// The added cost of reasoning that was weighed, in dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub added_cost_usd: Option<f64>,
    /// The added time of reasoning that was weighed, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub added_seconds: Option<f64>,
    /// Source of the task: `score`, `hint`, `follow_up` .., `benefit` or `value` where that chose, `rule` where a rule of the
    /// operator set it, or `key` where the caller's key leaves one role alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<Box<str>>,
    /// The rule of the operator that matched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<Box<str>>,
    /// The effort at which the preferred model answers; absent for a model without efforts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effort: Option<Box<str>>,
    /// The task that served: `reasoning` or `chat`; absent if the caller named a model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<Box<str>>,
    /// The task that the score would have chosen, where scores are only observed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub would: Option<Box<str>>,
    /// True if no deployment of the reasoning role could serve and chat served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub downgraded: Option<bool>,
    /// The residency that bound it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub residency: Option<Box<str>>,
    /// `interactive` or `batch`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<Box<str>>,
    /// The prompt's tokens as the router counted them beforehand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimated_prompt_tokens: Option<u64>,
    /// The preferred model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_model: Option<Box<str>>,
    /// The preferred deployment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_deployment: Option<Box<str>>,
}

/// The outcome of a request; every field is absent if no deployment answered.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LoggedOutcome {
    /// The status that the caller got.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The model of the deployment that answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<Box<str>>,
    /// The deployment that answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment: Option<Box<str>>,
    /// `provisioned` or `pay_as_you_go`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub billing: Option<Box<str>>,
    /// True if Azure's own spillover answered in the deployment's place, which is paid as you go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spilled_over: Option<bool>,
    /// Prompt tokens as the upstream reported them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_tokens: Option<u64>,
    /// The part of the prompt that came from the cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached_tokens: Option<u64>,
    /// Completion tokens, reasoning included, as the upstream reported them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion_tokens: Option<u64>,
    /// The part of the answer that was hidden reasoning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_tokens: Option<u64>,
    /// True if the upstream reported no usage and the router estimated it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage_estimated: Option<bool>,
    /// To the first content of a stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_content_ms: Option<u64>,
    /// The service tier that the answer names, if it is not the standard one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<Box<str>>,
    /// Its cost; absent for provisioned deployments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
    /// True if the cost is a lower bound: a hosted tool that the answer called has no known price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_at_least: Option<bool>,
    /// The cost of the same tokens on pay-as-you-go at the same model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pay_as_you_go_usd: Option<f64>,
    /// The same at the reasoning role's model; its hidden reasoning would come on top where another answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_usd: Option<f64>,
    /// The same at the chat role's model, without hidden reasoning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chat_usd: Option<f64>,
}

/// One attempt.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LoggedAttempt {
    /// The deployment.
    pub deployment: Box<str>,
    /// The service tier that the router asked for, if it is not the standard one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<Box<str>>,
    /// Its outcome.
    pub outcome: Box<str>,
    /// The upstream's own status, if it was no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The upstream's own code, if it is a word of `[A-Za-z0-9_.-]{1,64}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Box<str>>,
    /// Time to the head of the answer or the first content of a stream.
    pub ms: u64,
    /// The wait that a 429 led to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
}

impl LoggedRequest {
    /// The line of a request that has ended.
    pub fn of(record: &RequestRecord) -> Self {
        let held: Duration = record.notes.iter().map(Note::held).sum();
        Self {
            at_unix_ms: record.at.duration_since(UNIX_EPOCH).map_or(0, milliseconds),
            request_id: record.request_id.clone(),
            key: record.caller.name().map(Box::from),
            team: record.caller.team().map(|team| team.name.as_str().into()),
            operation: Some(record.operation.as_str().into()),
            background: record.pending.then_some(Background::Open),
            streamed: Some(record.streamed),
            max_tokens: record.max_output.map(|cap| cap.0),
            decision: record.decided.as_ref().map(LoggedDecision::of).unwrap_or_default(),
            outcome: record
                .answer
                .as_ref()
                .map(|it| outcome(it, record.streamed))
                .unwrap_or_default(),
            attempts: u32::try_from(record.attempts.len()).ok(),
            trail: record.attempts.iter().map(LoggedAttempt::of).collect(),
            fallback: record.fallback_cause().map(Box::from),
            waited_ms: Some(milliseconds(held)),
            total_ms: Some(milliseconds(record.total)),
            error: record.ended.error().map(Box::from),
        }
    }

    /// The line of what an answer made in the background has used.
    pub fn of_settlement(settlement: &Settlement) -> Self {
        let Settlement { at, request_id, caller, answer } = settlement;
        let outcome = LoggedOutcome { status: None, ..outcome(answer, false) };
        Self {
            at_unix_ms: at.duration_since(UNIX_EPOCH).map_or(0, milliseconds),
            request_id: request_id.clone(),
            key: caller.name().map(Box::from),
            team: caller.team().map(|team| team.name.as_str().into()),
            operation: Some(Operation::Responses.as_str().into()),
            background: Some(Background::Settled),
            outcome,
            ..Self::default()
        }
    }

    /// True of a line that reports usage for an earlier request.
    pub fn is_settlement(&self) -> bool {
        self.background == Some(Background::Settled)
    }

    /// True of what has a prompt and an answer in words: such requests can be played again.
    pub fn is_conversation(&self) -> bool {
        let played = [Operation::Chat, Operation::Responses].map(Operation::as_str);
        self.operation.as_deref().is_none_or(|operation| played.contains(&operation))
    }

    /// The tokens of prompt and answer; `None` if no deployment answered.
    pub fn tokens(&self) -> Option<(u64, u64)> {
        self.outcome.prompt_tokens.zip(self.outcome.completion_tokens)
    }

    /// The task that served; `None` where the caller named a model.
    pub fn task(&self) -> Option<Task> {
        Task::from_word(self.decision.task.as_deref()?)
    }
}

impl LoggedDecision {
    fn of(decided: &Decided) -> Self {
        let word = |task: Task| Box::from(task.as_str());
        let (first, verdict) = (decided.first.as_ref(), decided.verdict);
        let value = decided.tradeoff.and_then(|tradeoff| tradeoff.value);
        Self {
            score: verdict.map(|verdict| short(verdict.score.value())),
            threshold: verdict.map(|_| short(decided.threshold.value())),
            benefit: decided.tradeoff.map(|tradeoff| short(tradeoff.benefit)),
            value_usd: value.map(|value| value.net_usd),
            added_cost_usd: value.map(|value| value.added.cost_usd),
            added_seconds: value.map(|value| value.added.seconds),
            decided_by: decided.decided_by.map(Box::from),
            rule: decided.rule.as_deref().map(Box::from),
            effort: decided.effort.map(|effort| effort.as_str().into()),
            task: decided.task.map(word),
            would: decided.would.map(word),
            downgraded: decided.downgraded.then_some(true),
            residency: Some(decided.residency.to_string().into()),
            priority: Some(decided.priority.as_str().into()),
            estimated_prompt_tokens: Some(decided.prompt.0),
            first_model: first.map(|first| first.model.name.as_str().into()),
            first_deployment: first.map(|first| first.name.as_str().into()),
        }
    }
}

fn outcome(answer: &Answer, streamed: bool) -> LoggedOutcome {
    let usage = answer.usage;
    let instead = answer.instead;
    let dollars = |cost: Option<Usd>| cost.map(Usd::as_f64);
    let billing =
        if answer.spilled_over { "pay_as_you_go" } else { answer.deployment.billing.as_str() };
    LoggedOutcome {
        status: Some(answer.status),
        model: Some(answer.deployment.model.name.as_str().into()),
        deployment: Some(answer.deployment.name.as_str().into()),
        billing: Some(billing.into()),
        spilled_over: answer.spilled_over.then_some(true),
        prompt_tokens: usage.map(|usage| usage.prompt.0),
        cached_tokens: usage.map(|usage| usage.cached.0),
        completion_tokens: usage.map(|usage| usage.completion.0),
        reasoning_tokens: usage.map(|usage| usage.reasoning.0),
        usage_estimated: usage.and_then(|usage| usage.estimated.then_some(true)),
        first_content_ms: streamed.then(|| milliseconds(answer.timing.first)),
        service_tier: usage
            .filter(|usage| usage.tier != ServiceTier::Standard)
            .map(|usage| usage.tier.as_str().into()),
        cost_usd: dollars(answer.cost),
        cost_at_least: answer.cost_at_least.then_some(true),
        pay_as_you_go_usd: dollars(instead.pay_as_you_go),
        reasoning_usd: dollars(instead.reasoning),
        chat_usd: dollars(instead.chat),
    }
}

impl LoggedAttempt {
    fn of(step: &Step) -> Self {
        Self {
            deployment: step.deployment.name.as_str().into(),
            service_tier: step
                .deployment
                .service_tier
                .filter(|tier| tier.is_special())
                .map(|tier| tier.as_str().into()),
            outcome: step.ended.as_str().into(),
            status: step.said.status,
            code: step.said.code.clone(),
            ms: milliseconds(step.took),
            wait_ms: step.ended.wait().map(milliseconds),
        }
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Seven decimals: as many as the number has, without the noise that a wider float shows behind them.
fn short(value: f32) -> f64 {
    (f64::from(value) * 1e7).round() / 1e7
}
