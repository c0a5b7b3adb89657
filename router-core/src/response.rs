//! The caller's response: status, headers that describe the routing, and body.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::StreamExt;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::decision::Decision;
use crate::decision::Plan;
use crate::deployment::Deployment;
use crate::deployment::Residency;
use crate::fallback::Step;
use crate::model::Effort;
use crate::model::ServiceTier;
use crate::units::Usd;
use crate::upstream::Unreachable;

/// An answer for the caller.
#[derive(Debug)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The headers: content type, the router's own `x-router-*`, the upstream's request ids.
    pub headers: HeaderMap,
    /// The bytes.
    pub body: Body,
}

/// The bytes of an answer.
#[derive(Debug)]
pub enum Body {
    /// All of them.
    Full(Bytes),
    /// An event stream, or an answer that is too large to be held whole.
    Stream(ByteStream),
}

/// An answer that arrives bit by bit. An event stream never fails: a fault of the upstream arrives as an error event. An
/// answer that is relayed as it arrives without being one can break off. Dropping it cancels the upstream call and closes the account.
pub struct ByteStream(Pin<Box<dyn Stream<Item = Result<Bytes, BrokenOff>> + Send>>);

/// The upstream broke off in the middle of an answer that is relayed as it arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the upstream broke off in the middle of its answer")]
pub struct BrokenOff;

impl ByteStream {
    /// A stream of any source of bytes.
    pub fn new(source: impl Stream<Item = Bytes> + Send + 'static) -> Self {
        Self(Box::pin(source.map(Ok)))
    }

    /// A stream that passes another one's faults on.
    pub(crate) fn of_results(
        source: impl Stream<Item = Result<Bytes, BrokenOff>> + Send + 'static,
    ) -> Self {
        Self(Box::pin(source))
    }

    /// An answer that can break off.
    pub(crate) fn breaking(
        source: impl Stream<Item = Result<Bytes, Unreachable>> + Send + 'static,
    ) -> Self {
        Self(Box::pin(source.map(|next| next.map_err(|_| BrokenOff))))
    }

    /// Keeps a value until the stream has ended or is dropped.
    pub(crate) fn hold(&mut self, value: impl Send + 'static) {
        let ended = futures_util::stream::empty().boxed();
        let source = std::mem::replace(&mut self.0, ended);
        self.0 = Box::pin(source.inspect(move |_| {
            let _: &_ = &value;
        }));
    }
}

impl fmt::Debug for ByteStream {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("ByteStream")
    }
}

impl Stream for ByteStream {
    type Item = Result<Bytes, BrokenOff>;
    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(context)
    }
}

/// The headers of an upstream that pass to the caller: what its support asks for, and what the body is.
const PASSED: [&str; 8] = [
    "content-type",
    "x-request-id",
    "apim-request-id",
    "x-ms-client-request-id",
    "x-ms-region",
    "x-ms-rai-invoked",
    "openai-processing-ms",
    "openai-version",
];

/// Adds the headers of the upstream's answer that the caller gets.
pub(crate) fn pass_on(headers: &mut HeaderMap, upstream: &HeaderMap) {
    // One walk over what came, rather than one search for each name that might have.
    for (name, value) in upstream {
        if PASSED.contains(&name.as_str()) && !headers.contains_key(name) {
            headers.insert(name, value.clone());
        }
    }
}

/// Marks an answer as an event stream that nothing on its way may hold back.
pub(crate) fn as_event_stream(headers: &mut HeaderMap) {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
}

/// A response header of the router.
#[derive(Debug, Clone, Copy)]
pub struct ResponseHeader {
    /// Its name.
    pub name: &'static str,
    /// True if it reveals internals: deployment, billing, attempts, cost.
    pub internal: bool,
    /// The header's value and its presence.
    pub meaning: &'static str,
}

const fn header(name: &'static str, internal: bool, meaning: &'static str) -> ResponseHeader {
    ResponseHeader { name, internal, meaning }
}

/// All response headers of the router: what the reference page lists, and what a server may hide.
pub const RESPONSE_HEADERS: &[ResponseHeader] = &[
    header(
        "x-router-task",
        false,
        "`reasoning` or `chat`: the task for which the model was chosen; absent if the caller named a model.",
    ),
    header(
        "x-router-score",
        true,
        "The probability, 0 to 1, that the request needs reasoning; absent if it was not scored.",
    ),
    header(
        "x-router-benefit",
        true,
        "The probability, 0 to 1, that a reasoning model is right where a chat model is wrong; absent if it was not scored.",
    ),
    header(
        "x-router-value-usd",
        true,
        "The value of reasoning in US dollars: its benefit less the added cost and time; absent unless `routing.choose` is `value`.",
    ),
    header(
        "x-router-effort",
        false,
        "The reasoning effort of the answer; absent if its model has none.",
    ),
    header(
        "x-router-rule",
        true,
        "The name of the rule of `[rules]` that matched; absent if none did.",
    ),
    header(
        "x-router-model",
        false,
        "The model that answered; on a failure, the model of the last attempt.",
    ),
    header(
        "x-router-deployment",
        true,
        "The deployment that answered; on a failure, the one of the last attempt.",
    ),
    header(
        "x-router-billing",
        true,
        "`provisioned` or `pay_as_you_go`: the billing of the deployment.",
    ),
    header(
        "x-router-attempts",
        true,
        "The number of attempts; 0 if the request was refused before it was sent.",
    ),
    header(
        "x-router-fallback",
        true,
        "Why the preferred deployment did not answer; absent if it did.",
    ),
    header(
        "x-router-adapted",
        false,
        "The fields that were changed or removed for the model, separated by commas.",
    ),
    header("x-router-residency", false, "The area in which the request may be processed."),
    header(
        "x-router-cost-usd",
        true,
        "The cost of the answer in US dollars; absent for streams, and if a price is unknown.",
    ),
    header(
        "x-router-cost-at-least",
        true,
        "`true` if that cost is a lower bound, because a hosted tool has no known price.",
    ),
    header(
        "x-router-tier",
        true,
        "`default`, `priority` or `flex`: the service tier of a pay-as-you-go answer, or the one asked for if a stream has not named its own yet.",
    ),
    header("x-router-overhead-us", true, "The router's own time, in microseconds."),
];

// Response headers.
const TASK: HeaderName = HeaderName::from_static("x-router-task");
const SCORE: HeaderName = HeaderName::from_static("x-router-score");
const BENEFIT: HeaderName = HeaderName::from_static("x-router-benefit");
const VALUE: HeaderName = HeaderName::from_static("x-router-value-usd");
const EFFORT: HeaderName = HeaderName::from_static("x-router-effort");
const RULE: HeaderName = HeaderName::from_static("x-router-rule");
const MODEL: HeaderName = HeaderName::from_static("x-router-model");
const DEPLOYMENT: HeaderName = HeaderName::from_static("x-router-deployment");
const BILLING: HeaderName = HeaderName::from_static("x-router-billing");
const ATTEMPTS: HeaderName = HeaderName::from_static("x-router-attempts");
const FALLBACK: HeaderName = HeaderName::from_static("x-router-fallback");
const ADAPTED: HeaderName = HeaderName::from_static("x-router-adapted");
const RESIDENCY: HeaderName = HeaderName::from_static("x-router-residency");
const COST: HeaderName = HeaderName::from_static("x-router-cost-usd");
const COST_AT_LEAST: HeaderName = HeaderName::from_static("x-router-cost-at-least");
const TIER: HeaderName = HeaderName::from_static("x-router-tier");
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
const OVERHEAD: HeaderName = HeaderName::from_static("x-router-overhead-us");

/// All values are names checked by their types, numbers and our own words.
fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// One of our own words: nothing is copied.
fn put_word(headers: &mut HeaderMap, name: HeaderName, word: &'static str) {
    headers.insert(name, HeaderValue::from_static(word));
}

/// A share of one, to three digits.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is between 0 and 1,000 by then"
)]
fn put_share(headers: &mut HeaderMap, name: HeaderName, share: f32) {
    let thousandths = (f64::from(share.clamp(0.0, 1.0)) * 1_000.0).round_ties_even() as u16;
    let digit = |place: u16| b'0' + u8::try_from(thousandths / place % 10).unwrap_or_default();
    let text = [digit(1_000), b'.', digit(100), digit(10), digit(1)];
    if let Ok(value) = HeaderValue::from_bytes(&text) {
        headers.insert(name, value);
    }
}

/// The headers that follow from the decision alone.
pub(crate) fn tell_decision(headers: &mut HeaderMap, decision: &Decision) {
    if let Some(task) = decision.task() {
        put_word(headers, TASK, task.as_str());
    }
    if let Some(verdict) = decision.verdict {
        put_share(headers, SCORE, verdict.score.value());
    }
    if let Some(tradeoff) = decision.tradeoff {
        put_share(headers, BENEFIT, tradeoff.benefit);
        if let Some(value) = tradeoff.value {
            put(headers, VALUE, &format!("{:.6}", value.net_usd));
        }
    }
    if let Some(rule) = &decision.rule {
        put(headers, RULE, &rule.name);
    }
    tell_residency(headers, &decision.residency);
}

/// The effort at which the model answers.
pub(crate) fn set_effort_header(headers: &mut HeaderMap, effort: Option<Effort>) {
    if let Some(effort) = effort {
        put_word(headers, EFFORT, effort.as_str());
    }
}

/// The area inside which the request may be processed.
pub(crate) fn tell_residency(headers: &mut HeaderMap, residency: &Residency) {
    put(headers, RESIDENCY, &residency.to_string());
}

/// The headers that are certain before the answer: those that all deployments of the plan share. A provisioned deployment may be
/// stood in for by Azure's own spillover, so that nothing is said of how it is paid.
pub(crate) fn tell_plan(headers: &mut HeaderMap, plan: &Plan) {
    let first = &plan.first;
    let all =
        |same: fn(&Deployment, &Deployment) -> bool| plan.rest.iter().all(|next| same(first, next));
    if all(|first, next| first.model.name == next.model.name) {
        put(headers, MODEL, first.model.name.as_str());
    }
    if plan.rest.is_empty() {
        put(headers, DEPLOYMENT, first.name.as_str());
    }
    if !first.billing.is_provisioned() && all(|_, next| !next.billing.is_provisioned()) {
        put_word(headers, BILLING, first.billing.as_str());
    }
}

/// The deployment that answered, the number of attempts, and why the first one did not answer.
pub(crate) fn tell_attempts(
    headers: &mut HeaderMap,
    deployment: &Deployment,
    trail: &[Step],
    fallback: Option<&'static str>,
) {
    put(headers, MODEL, deployment.model.name.as_str());
    put(headers, DEPLOYMENT, deployment.name.as_str());
    put_word(headers, BILLING, deployment.billing.as_str());
    headers.insert(ATTEMPTS, trail.len().into());
    if let Some(cause) = fallback {
        put_word(headers, FALLBACK, cause);
    }
}

/// The number of attempts of a request whose deployments are not named.
pub(crate) fn tell_count(headers: &mut HeaderMap, attempts: usize) {
    headers.insert(ATTEMPTS, attempts.into());
}

/// Azure's own spillover answered in the place of the provisioned deployment that was asked: paid by the token.
pub(crate) fn tell_spilled(headers: &mut HeaderMap) {
    put_word(headers, BILLING, "pay_as_you_go");
    put_word(headers, FALLBACK, "spillover");
}

/// The changes made for the model; no header without changes.
pub(crate) fn tell_adapted(headers: &mut HeaderMap, fields: &[&str]) {
    if !fields.is_empty() {
        put(headers, ADAPTED, &fields.join(","));
    }
}

/// The cost of the answer; no header if no price is known. A lower bound is marked as one.
pub(crate) fn tell_cost(headers: &mut HeaderMap, cost: Option<Usd>, at_least: bool) {
    let Some(cost) = cost else { return };
    put(headers, COST, &cost.to_string());
    if at_least {
        put_word(headers, COST_AT_LEAST, "true");
    }
}

/// The service tier in which the answer was made.
pub(crate) fn set_tier_header(headers: &mut HeaderMap, tier: ServiceTier) {
    put_word(headers, TIER, tier.as_str());
}

/// A 429 for which the request alone is responsible: the official clients would send it again otherwise.
pub(crate) fn tell_not_to_retry(headers: &mut HeaderMap) {
    put_word(headers, SHOULD_RETRY, "false");
}

/// Our own time.
pub(crate) fn tell_overhead(headers: &mut HeaderMap, overhead: Duration) {
    let micros = u64::try_from(overhead.as_micros()).unwrap_or(u64::MAX);
    headers.insert(OVERHEAD, micros.into());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_written_as_the_formatter_writes_it() {
        for at in 0..=10_000_u16 {
            let (share, mut headers) = (f32::from(at) / 10_000.0, HeaderMap::new());
            put_share(&mut headers, SCORE, share);
            assert_eq!(headers[SCORE], format!("{share:.3}"), "{share}");
        }
    }

    #[test]
    fn every_header_in_this_file_is_in_the_table_once() {
        let source = include_str!("response.rs").split("#[cfg(test)]").next().unwrap();
        let set = source.split("from_static(\"x-router-").skip(1);
        let set: Vec<_> = set.map(|rest| rest.split('"').next().unwrap()).collect();
        assert_eq!(set.len(), RESPONSE_HEADERS.len());
        for name in set {
            let name = format!("x-router-{name}");
            assert!(RESPONSE_HEADERS.iter().any(|header| header.name == name), "{name}");
        }
    }
}
