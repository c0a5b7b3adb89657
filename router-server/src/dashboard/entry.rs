//! One request as the dashboard keeps it: what its record says, without ids and without whatever a caller wrote.

use std::time::{Duration, UNIX_EPOCH};

use router_core::fallback::Note;
use router_core::model::Effort;
use router_core::record::RequestRecord;
use router_core::task::Task;
use serde::Serialize;

use super::outcome::Outcome;

/// One line of the recent decisions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Entry {
    /// Counts up from one.
    pub(super) number: u64,
    at_ms: u64,
    key: Option<Box<str>>,
    task: Option<&'static str>,
    /// The task that the score would have chosen, where it was only observed.
    would: Option<&'static str>,
    score: Option<f64>,
    /// The probability that a reasoning model is right where a chat model is wrong.
    benefit: Option<f64>,
    /// The value of reasoning, where it was weighed.
    value_usd: Option<f64>,
    /// The effort at which the preferred model answers.
    effort: Option<&'static str>,
    /// The rule of the operator that matched.
    rule: Option<Box<str>>,
    model: Option<Box<str>>,
    deployment: Option<Box<str>>,
    cause: &'static str,
    error: Option<&'static str>,
    attempts: usize,
    held_ms: u64,
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    cost_usd: Option<f64>,
    took_ms: u64,
}

impl Entry {
    /// The line of a request; its number comes later.
    pub(super) fn of(record: &RequestRecord) -> Self {
        let decided = record.decided.as_ref();
        let tradeoff = decided.and_then(|decided| decided.tradeoff);
        let answer = record.answer.as_ref();
        let usage = answer.and_then(|answer| answer.usage);
        let went = answer.map(|answer| &answer.deployment);
        let held: Duration = record.notes.iter().map(Note::held).sum();
        Self {
            number: 0,
            at_ms: milliseconds(record.at.duration_since(UNIX_EPOCH).unwrap_or_default()),
            key: record.caller.name().map(Box::from),
            task: decided.and_then(|decided| decided.task).map(Task::as_str),
            would: decided.and_then(|decided| decided.would).map(Task::as_str),
            score: decided
                .and_then(|decided| decided.verdict)
                .map(|verdict| rounded(f64::from(verdict.score.value()), 1e3)),
            benefit: tradeoff.map(|tradeoff| rounded(f64::from(tradeoff.benefit), 1e3)),
            value_usd: tradeoff
                .and_then(|tradeoff| tradeoff.value)
                .map(|value| rounded(value.net_usd, 1e6)),
            effort: decided.and_then(|decided| decided.effort).map(Effort::as_str),
            rule: decided.and_then(|decided| decided.rule.as_deref()).map(Box::from),
            model: went.map(|deployment| deployment.model.name.as_str().into()),
            deployment: went.map(|deployment| deployment.name.as_str().into()),
            cause: Outcome::cause(record),
            error: record.ended.error(),
            attempts: record.attempts.len(),
            held_ms: milliseconds(held),
            prompt_tokens: usage.map(|usage| usage.prompt.0),
            completion_tokens: usage.map(|usage| usage.completion.0),
            cost_usd: answer.and_then(|answer| answer.cost).map(|cost| rounded(cost.as_f64(), 1e9)),
            took_ms: milliseconds(record.total),
        }
    }
}

/// Whole milliseconds.
pub(super) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A number with as many places as `steps` has zeros: what is sent each second should be short.
pub(super) fn rounded(value: f64, steps: f64) -> f64 {
    (value * steps).round() / steps
}
