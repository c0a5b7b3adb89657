//! One request as the dashboard keeps it: its record without the request id and without anything that a caller wrote.

use std::time::{Duration, UNIX_EPOCH};

use router_core::fallback::{Note, Step};
use router_core::model::Effort;
use router_core::record::{Decided, RequestRecord};
use router_core::task::Task;
use serde::Serialize;

use super::outcome::Outcome;

/// Attempts, holds and passed-over deployments that are kept of one request.
const SHOWN: usize = 16;

/// One row of the latest requests with its details.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Entry {
    /// Counts up from one.
    pub(super) number: u64,
    at_ms: u64,
    key: Option<Box<str>>,
    team: Option<Box<str>>,
    operation: &'static str,
    streamed: bool,
    /// The cap on the answer that the caller sent, in tokens.
    max_output: Option<u64>,
    #[serde(flatten)]
    decision: Option<DecisionView>,
    model: Option<Box<str>>,
    deployment: Option<Box<str>>,
    billing: Option<&'static str>,
    way: &'static str,
    cause: &'static str,
    error: Option<&'static str>,
    attempts: usize,
    held_ms: u64,
    adapted: Vec<&'static str>,
    trail: Vec<AttemptView>,
    holds: Vec<HoldView>,
    /// Provisioned deployments that the request left for another one, and why.
    spills: Vec<PassedOver>,
    prompt_tokens: Option<u64>,
    cached_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    reasoning_tokens: Option<u64>,
    usage_estimated: bool,
    cost_usd: Option<f64>,
    cost_at_least: bool,
    /// The same tokens at the same model on pay-as-you-go.
    payg_usd: Option<f64>,
    first_ms: Option<u64>,
    took_ms: u64,
    overhead_us: Option<u64>,
}

/// The decision.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct DecisionView {
    task: Option<&'static str>,
    /// The task that the score would have chosen, in observe mode.
    would: Option<&'static str>,
    score: Option<f64>,
    /// The probability that a reasoning model is right where a chat model is wrong.
    benefit: Option<f64>,
    /// The value of reasoning, if it was weighed.
    value_usd: Option<f64>,
    /// The effort at which the preferred model answers.
    effort: Option<&'static str>,
    /// The rule of the operator that matched.
    rule: Option<Box<str>>,
    threshold: Option<f64>,
    decided_by: Option<&'static str>,
    downgraded: bool,
    residency: Box<str>,
    priority: &'static str,
    /// The estimated tokens of the prompt.
    estimated_prompt_tokens: u64,
    /// Words for the optional features that it uses.
    features: Vec<&'static str>,
    preferred: Option<Box<str>>,
    passed_over: Vec<PassedOver>,
}

/// A provisioned deployment that did not serve the request, and why.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct PassedOver {
    deployment: Box<str>,
    why: &'static str,
}

/// One attempt.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct AttemptView {
    deployment: Box<str>,
    outcome: &'static str,
    /// The upstream's status and code, if it was no answer.
    status: Option<u16>,
    code: Option<Box<str>>,
    /// Since the arrival of the request.
    began_ms: u64,
    took_ms: u64,
    /// The wait that a 429 requested.
    wait_ms: Option<u64>,
}

/// A wait for room.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct HoldView {
    deployment: Box<str>,
    began_ms: u64,
    took_ms: u64,
    entered: bool,
}

impl Entry {
    /// The row of a request; its number is set later.
    pub(super) fn of(record: &RequestRecord) -> Self {
        let answer = record.answer.as_ref();
        let usage = answer.and_then(|answer| answer.usage);
        let went = answer.map(|answer| &answer.deployment);
        let held: Duration = record.notes.iter().map(Note::held).sum();
        Self {
            number: 0,
            at_ms: milliseconds(record.at.duration_since(UNIX_EPOCH).unwrap_or_default()),
            key: record.caller.name().map(Box::from),
            team: record.caller.team().map(|team| team.name.as_str().into()),
            operation: record.operation.as_str(),
            streamed: record.streamed,
            max_output: record.max_output.map(|cap| cap.0),
            decision: record.decided.as_ref().map(DecisionView::of),
            model: went.map(|deployment| deployment.model.name.as_str().into()),
            deployment: went.map(|deployment| deployment.name.as_str().into()),
            billing: went.map(|deployment| deployment.billing.as_str()),
            way: Outcome::of(record).as_str(),
            cause: Outcome::cause(record),
            error: record.ended.error(),
            attempts: record.attempts.len(),
            held_ms: milliseconds(held),
            adapted: record.adapted.clone(),
            trail: record.attempts.iter().take(SHOWN).map(|step| attempt(step, record)).collect(),
            holds: holds(record),
            spills: spills(record),
            prompt_tokens: usage.map(|usage| usage.prompt.0),
            cached_tokens: usage.map(|usage| usage.cached.0),
            completion_tokens: usage.map(|usage| usage.completion.0),
            reasoning_tokens: usage.map(|usage| usage.reasoning.0),
            usage_estimated: usage.is_some_and(|usage| usage.estimated),
            cost_usd: answer.and_then(|answer| answer.cost).map(|cost| rounded(cost.as_f64(), 1e9)),
            cost_at_least: answer.is_some_and(|answer| answer.cost_at_least),
            payg_usd: answer
                .and_then(|answer| answer.instead.pay_as_you_go)
                .map(|cost| rounded(cost.as_f64(), 1e9)),
            first_ms: answer
                .filter(|answer| answer.streamed)
                .map(|answer| milliseconds(answer.timing.first)),
            took_ms: milliseconds(record.total),
            overhead_us: record.overhead.and_then(|time| u64::try_from(time.as_micros()).ok()),
        }
    }
}

impl Entry {
    pub(super) fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    pub(super) fn deployment(&self) -> Option<&str> {
        self.deployment.as_deref()
    }

    /// `None` if the caller named the model.
    pub(super) fn task(&self) -> Option<&'static str> {
        self.decision.as_ref().and_then(|decision| decision.task)
    }
}

impl DecisionView {
    fn of(decided: &Decided) -> Self {
        let verdict = decided.verdict;
        let short = |value: f32| rounded(f64::from(value), 1e3);
        let passed_over = decided.passed_over.iter().take(SHOWN);
        Self {
            task: decided.task.map(Task::as_str),
            would: decided.would.map(Task::as_str),
            score: verdict.map(|verdict| short(verdict.score.value())),
            benefit: decided.tradeoff.map(|tradeoff| short(tradeoff.benefit)),
            value_usd: decided
                .tradeoff
                .and_then(|tradeoff| tradeoff.value)
                .map(|value| rounded(value.net_usd, 1e6)),
            effort: decided.effort.map(Effort::as_str),
            rule: decided.rule.as_deref().map(Box::from),
            threshold: verdict.map(|_| short(decided.threshold.value())),
            decided_by: decided.decided_by,
            downgraded: decided.downgraded,
            residency: decided.residency.to_string().into(),
            priority: decided.priority.as_str(),
            estimated_prompt_tokens: decided.prompt.0,
            features: decided.features.clone(),
            preferred: decided.preferred.as_ref().map(|deployment| deployment.name.as_str().into()),
            passed_over: passed_over
                .map(|(deployment, why)| PassedOver {
                    deployment: deployment.name.as_str().into(),
                    why: why.as_str(),
                })
                .collect(),
        }
    }
}

fn attempt(step: &Step, record: &RequestRecord) -> AttemptView {
    AttemptView {
        deployment: step.deployment.label().into_owned().into(),
        outcome: step.ended.as_str(),
        status: step.said.status,
        code: step.said.code.clone(),
        began_ms: milliseconds(step.began.saturating_duration_since(record.received)),
        took_ms: milliseconds(step.took),
        wait_ms: step.ended.wait().map(milliseconds),
    }
}

fn holds(record: &RequestRecord) -> Vec<HoldView> {
    let held = record.notes.iter().filter_map(|note| match note {
        Note::Held { deployment, since, took, entered } => Some(HoldView {
            deployment: deployment.name.as_str().into(),
            began_ms: milliseconds(since.saturating_duration_since(record.received)),
            took_ms: milliseconds(*took),
            entered: *entered,
        }),
        Note::Spilled { .. }
        | Note::Recovering { .. }
        | Note::AskedAgain { .. }
        | Note::Outrun { .. } => None,
    });
    held.take(SHOWN).collect()
}

fn spills(record: &RequestRecord) -> Vec<PassedOver> {
    let spilled = record.notes.iter().filter_map(|note| match note {
        Note::Spilled { deployment, cause } => {
            Some(PassedOver { deployment: deployment.name.as_str().into(), why: cause.as_str() })
        }
        Note::Held { .. }
        | Note::Recovering { .. }
        | Note::AskedAgain { .. }
        | Note::Outrun { .. } => None,
    });
    spilled.take(SHOWN).collect()
}

/// Whole milliseconds.
pub(super) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A number rounded to as many places as `steps` has zeros, so that JSON stays short.
pub(super) fn rounded(value: f64, steps: f64) -> f64 {
    (value * steps).round() / steps
}
