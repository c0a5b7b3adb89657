//! What the caller gets: status, headers that say what was done, and bytes.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::decision::Decision;
use crate::decision::Plan;
use crate::deployment::Deployment;
use crate::fallback::Step;
use crate::units::Usd;

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
    /// An event stream.
    Stream(ByteStream),
}

/// An event stream. It never fails: a fault of the upstream arrives as an error event. Dropping it cancels the
/// upstream call and closes the account.
pub struct ByteStream(Pin<Box<dyn Stream<Item = Bytes> + Send>>);

impl ByteStream {
    /// A stream of any source of bytes.
    pub fn new(source: impl Stream<Item = Bytes> + Send + 'static) -> Self {
        Self(Box::pin(source))
    }
}

impl fmt::Debug for ByteStream {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("ByteStream")
    }
}

impl Stream for ByteStream {
    type Item = Result<Bytes, Infallible>;
    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(context).map(|next| next.map(Ok))
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

/// The headers of the upstream's answer that the caller gets.
pub(crate) fn passed(upstream: &HeaderMap) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(20);
    for name in PASSED {
        if let Some(value) = upstream.get(name) {
            headers.insert(HeaderName::from_static(name), value.clone());
        }
    }
    headers
}

/// Marks an answer as an event stream that nothing on its way may hold back.
pub(crate) fn as_event_stream(headers: &mut HeaderMap) {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
}

fn put(headers: &mut HeaderMap, name: &'static str, value: impl fmt::Display) {
    // All values are names checked by their types, numbers and our own words.
    if let Ok(value) = HeaderValue::try_from(value.to_string()) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

/// What the decision alone says.
pub(crate) fn tell_decision(headers: &mut HeaderMap, decision: &Decision) {
    if let Some(task) = decision.task() {
        put(headers, "x-router-task", task);
    }
    if let Some(verdict) = decision.verdict {
        put(headers, "x-router-score", format_args!("{:.3}", verdict.score.value()));
    }
    put(headers, "x-router-residency", &decision.residency);
}

/// What is sure of the answer before there is one: what all of the plan have in common. A provisioned deployment may be
/// stood in for by Azure's own spillover, so that nothing is said of how it is paid.
pub(crate) fn tell_plan(headers: &mut HeaderMap, plan: &Plan) {
    let first = &plan.first;
    let all =
        |same: fn(&Deployment, &Deployment) -> bool| plan.rest.iter().all(|next| same(first, next));
    if all(|first, next| first.model.name == next.model.name) {
        put(headers, "x-router-model", &first.model.name);
    }
    if plan.rest.is_empty() {
        put(headers, "x-router-deployment", &first.name);
    }
    if !first.billing.is_provisioned() && all(|_, next| !next.billing.is_provisioned()) {
        put(headers, "x-router-billing", &first.billing);
    }
}

/// What was done: who answered, after how many attempts, and why the first was not the one.
pub(crate) fn tell_attempts(
    headers: &mut HeaderMap,
    deployment: &Deployment,
    trail: &[Step],
    fallback: Option<&str>,
) {
    put(headers, "x-router-model", &deployment.model.name);
    put(headers, "x-router-deployment", &deployment.name);
    put(headers, "x-router-billing", &deployment.billing);
    put(headers, "x-router-attempts", trail.len());
    if let Some(cause) = fallback {
        put(headers, "x-router-fallback", cause);
    }
}

/// Azure's own spillover answered in the place of the provisioned deployment that was asked: paid by the token.
pub(crate) fn tell_spilled(headers: &mut HeaderMap) {
    put(headers, "x-router-billing", "pay_as_you_go");
    put(headers, "x-router-fallback", "spillover");
}

/// What was changed for the model; nothing where nothing was.
pub(crate) fn tell_adapted(headers: &mut HeaderMap, fields: &[&str]) {
    if !fields.is_empty() {
        put(headers, "x-router-adapted", fields.join(","));
    }
}

/// What the answer cost more; nothing where no price is known.
pub(crate) fn tell_cost(headers: &mut HeaderMap, cost: Option<Usd>) {
    if let Some(cost) = cost {
        put(headers, "x-router-cost-usd", cost);
    }
}

/// Our own time.
pub(crate) fn tell_overhead(headers: &mut HeaderMap, overhead: Duration) {
    put(headers, "x-router-overhead-us", overhead.as_micros());
}
