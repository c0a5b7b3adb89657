//! The record of a request -> its span, and a child span for each attempt. They have no content, and nothing that a caller
//! wrote except the request's id.
//!
//! Only the attempt that used tokens reports them, because tools add up the tokens of all spans. The request's span is of
//! the kind server and has the decision; those of attempts are of the kind client, as the conventions for generative AI say.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{Array, InstrumentationScope, StringValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use router_core::fallback::Ended;
use router_core::fallback::Note;
use router_core::fallback::Step;
use router_core::record::Answer;
use router_core::record::Decided;
use router_core::record::RequestEnd;
use router_core::record::RequestRecord;
use router_core::task::Task;
use router_core::trace;
use router_core::units::Usd;

use super::attributes as names;
use super::attributes::Attributes;
use super::tracer::Places;

/// The spans of a request: its own first.
pub(super) fn spans_of(
    record: &RequestRecord,
    span: &trace::RequestSpan,
    places: &Places,
    scope: &InstrumentationScope,
) -> Vec<SpanData> {
    let made = Made { record, span, scope };
    let attempts = record.attempts.iter().zip(1..);
    let attempts = attempts.filter_map(|(step, number)| made.attempt(step, number, places));
    std::iter::once(made.request()).chain(attempts).collect()
}

/// A request whose spans are made.
struct Made<'r> {
    record: &'r RequestRecord,
    span: &'r trace::RequestSpan,
    scope: &'r InstrumentationScope,
}

/// The properties that distinguish one span from another.
struct Own {
    id: trace::SpanId,
    parent: Option<trace::SpanId>,
    kind: SpanKind,
    name: Cow<'static, str>,
    times: [SystemTime; 2],
    attributes: Attributes,
    error: Option<&'static str>,
}

impl Made<'_> {
    fn data(&self, own: Own) -> SpanData {
        let trace = TraceId::from_bytes(self.span.trace().to_bytes());
        let id = |id: trace::SpanId| SpanId::from_bytes(id.to_bytes());
        let flags = TraceFlags::SAMPLED;
        let [start_time, end_time] = own.times;
        let mut attributes = own.attributes;
        attributes.may(names::ERROR, own.error);
        let status = own.error.map_or(Status::Unset, |_| Status::error(""));
        SpanData {
            span_context: SpanContext::new(trace, id(own.id), flags, false, TraceState::NONE),
            parent_span_id: own.parent.map_or(SpanId::INVALID, id),
            parent_span_is_remote: own.kind == SpanKind::Server && own.parent.is_some(),
            span_kind: own.kind,
            name: own.name,
            start_time,
            end_time,
            attributes: attributes.0,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status,
            instrumentation_scope: self.scope.clone(),
        }
    }

    fn request(&self) -> SpanData {
        let record = self.record;
        let mut told = Attributes::default();
        told.put(names::METHOD, "POST");
        let status = match &record.answer {
            Some(answer) => Some(answer.status),
            None => match record.ended {
                RequestEnd::Refused(kind) => Some(kind.status().as_u16()),
                RequestEnd::Served
                | RequestEnd::Rejected
                | RequestEnd::Interrupted
                | RequestEnd::HungUp => None,
            },
        };
        told.may(names::STATUS, status.map(i64::from));
        told.put("model_router.operation", record.operation.as_str());
        told.put("model_router.streamed", record.streamed);
        told.may("model_router.request_id", record.request_id.as_deref().map(str::to_owned));
        told.may("model_router.key", record.caller.name().map(str::to_owned));
        if let Some(decided) = &record.decided {
            decision(&mut told, decided);
        }
        let held: Duration = record.notes.iter().map(Note::held).sum();
        told.put("model_router.held_ms", milliseconds(held));
        told.count("model_router.attempts", count(record.attempts.len()));
        told.count("model_router.fallbacks", count(self.fallbacks()));
        told.may("model_router.fallback", record.fallback_cause());
        if let Some(answer) = &record.answer {
            outcome(&mut told, answer);
        }
        let refused = status.is_some_and(|status| status >= 400).then_some("rejected");
        let error = record.ended.error().or(refused);
        self.data(Own {
            id: self.span.id(),
            parent: self.span.parent(),
            kind: SpanKind::Server,
            name: record.operation.as_str().into(),
            times: [record.at, record.at + record.total],
            attributes: told,
            error,
        })
    }

    /// The number of fallbacks from one deployment to another.
    fn fallbacks(&self) -> usize {
        let steps = self.record.attempts.iter();
        let others = steps.clone().skip(1).zip(steps);
        others.filter(|(now, before)| now.deployment.name != before.deployment.name).count()
    }

    /// `None` for an attempt that went out without an id.
    fn attempt(&self, step: &Step, number: u64, places: &Places) -> Option<SpanData> {
        let (record, id) = (self.record, step.span?);
        let deployment = &step.deployment;
        let served = |step: &Step| step.ended == Ended::Served;
        let last = record.attempts.iter().rposition(served).map(|at| count(at + 1));
        let answer = record.answer.as_ref().filter(|_| last == Some(number));
        let model = deployment.model.name.as_str();
        let mut told = Attributes::default();
        told.put(names::OPERATION, record.operation.as_str());
        told.put(names::PROVIDER, deployment.api.provider());
        told.put(names::REQUEST_MODEL, model.to_owned());
        told.put(names::REQUEST_STREAM, record.streamed);
        if let Some(cap) = record.max_output {
            told.count(names::REQUEST_MAX_TOKENS, cap.0);
        }
        if let Some((host, port)) = places.get(&deployment.endpoint) {
            told.put(names::ADDRESS, host.to_string());
            told.put(names::PORT, i64::from(*port));
        }
        told.put("model_router.attempt", i64::try_from(number).unwrap_or(i64::MAX));
        told.put("model_router.deployment", deployment.name.as_str().to_owned());
        told.put("model_router.billing", deployment.billing.as_str());
        told.put("model_router.outcome", step.ended.as_str());
        if let Ended::Throttled(kind, wait) = step.ended {
            told.put("model_router.throttle", kind.as_str());
            told.put("model_router.wait_ms", milliseconds(wait));
        }
        told.may(names::STATUS, status_of(step.ended).map(i64::from));
        if let Some(answer) = answer {
            self.answer(&mut told, answer);
        }
        let begun = record.at + step.began.saturating_duration_since(record.received);
        let end = match answer {
            // A stream's attempt lasts as long as the stream.
            Some(_) if record.streamed => record.at + record.total,
            Some(_) | None => begun + step.took,
        };
        // The end of the answer after its head.
        let later = answer.and_then(|_| record.ended.error());
        let error = if step.ended == Ended::Served { later } else { Some(step.ended.as_str()) };
        Some(self.data(Own {
            id,
            parent: Some(self.span.id()),
            kind: SpanKind::Client,
            name: format!("{} {model}", record.operation.as_str()).into(),
            times: [begun, end.max(begun)],
            attributes: told,
            error,
        }))
    }

    fn answer(&self, told: &mut Attributes, answer: &Answer) {
        told.may(names::RESPONSE_MODEL, answer.model.as_deref().map(str::to_owned));
        told.put(names::STATUS, i64::from(answer.status));
        if self.record.streamed {
            told.put(names::FIRST_CHUNK, answer.timing.first.as_secs_f64());
        }
        if let Some(usage) = &answer.usage {
            told.count(names::INPUT_TOKENS, usage.prompt.0);
            told.count(names::CACHED_TOKENS, usage.cached.0);
            told.count(names::OUTPUT_TOKENS, usage.completion.0);
            told.count(names::REASONING_TOKENS, usage.reasoning.0);
            told.put("model_router.usage_estimated", usage.estimated);
        }
    }
}

fn decision(told: &mut Attributes, decided: &Decided) {
    told.may("model_router.task", decided.task.map(Task::as_str));
    told.may("model_router.would", decided.would.map(Task::as_str));
    if let Some(verdict) = decided.verdict {
        told.put("model_router.score", short(verdict.score.value()));
        told.put("model_router.threshold", short(decided.threshold.value()));
        told.put("model_router.why", verdict.because.as_str());
    }
    told.put("model_router.downgraded", decided.downgraded);
    told.put("model_router.residency", decided.residency.to_string());
    told.put("model_router.priority", decided.priority.as_str());
    told.count("model_router.estimated_prompt_tokens", decided.prompt.0);
    if let Some(first) = &decided.first {
        told.put("model_router.first_deployment", first.name.as_str().to_owned());
    }
    if !decided.passed_over.is_empty() {
        let each = decided.passed_over.iter();
        let words = each.map(|(deployment, why)| format!("{}: {}", deployment.name, why.as_str()));
        let words: Vec<StringValue> = words.map(StringValue::from).collect();
        told.put("model_router.passed_over", Value::Array(Array::String(words)));
    }
}

fn outcome(told: &mut Attributes, answer: &Answer) {
    let deployment = &answer.deployment;
    let billing = if answer.spilled_over { "pay_as_you_go" } else { deployment.billing.as_str() };
    told.put("model_router.model", deployment.model.name.as_str().to_owned());
    told.put("model_router.deployment", deployment.name.as_str().to_owned());
    told.put("model_router.billing", billing);
    told.put("model_router.spilled_over", answer.spilled_over);
    told.may("model_router.cost_usd", answer.cost.map(Usd::as_f64));
}

/// The status that an attempt came back with; `None` if none did, or where it is the answer's.
fn status_of(ended: Ended) -> Option<u16> {
    match ended {
        Ended::Throttled(..) | Ended::ExceedsQuota => Some(429),
        Ended::Unavailable { status, .. } => Some(status),
        Ended::Status(code) | Ended::Misconfigured(code) | Ended::Rejected(code) => Some(code),
        Ended::FieldRefused(_)
        | Ended::ValueRefused(_)
        | Ended::ContextLength
        | Ended::Unreadable => Some(400),
        Ended::Served
        | Ended::Connect
        | Ended::Timeout
        | Ended::Broken
        | Ended::ErrorEvent
        | Ended::Outrun
        | Ended::HungUp => None,
    }
}

fn milliseconds(span: Duration) -> f64 {
    span.as_secs_f64() * 1_000.0
}

/// Without the digits that only come of its being longer.
fn short(value: f32) -> f64 {
    (f64::from(value) * 10_000.0).round() / 10_000.0
}

fn count(many: usize) -> u64 {
    u64::try_from(many).unwrap_or(u64::MAX)
}
