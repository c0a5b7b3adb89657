//! One line per request: the decision, the outcome and the time; no content, no secrets.
//!
//! The line is written when the answer's last byte has left, or when the caller is gone, whichever comes first: a
//! [`Line`] writes itself when it is dropped, and it lives as long as the answer's body. What it says of the decision is
//! read from the answer's own headers, so that log and caller cannot disagree. A request that gets no line, by `server.request_lines`
//! or by the level of the log, keeps nothing for one.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method};
use http_body::{Body as _, Frame, SizeHint};
use router_core::error_kind::Kind;
use router_core::router::Disclosure;
use router_core::stored::Caller;
use serde::Serialize;
use tokio::time::Instant;
use tracing::{Level, enabled, info};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};

use crate::config::RequestLines;
use crate::problem::Code;
use crate::telemetry;

/// The headers that say how a request was routed begin with this.
const OWN: &str = "x-router-";

/// The routing as the answer's headers state it.
#[derive(Debug, Default)]
struct Routing<'h> {
    task: Option<&'h str>,
    score: Option<f64>,
    model: Option<&'h str>,
    deployment: Option<&'h str>,
    billing: Option<&'h str>,
    attempts: Option<u64>,
    fallback: Option<&'h str>,
    adapted: Option<&'h str>,
    residency: Option<&'h str>,
    cost_usd: Option<f64>,
    cost_at_least: Option<&'h str>,
    overhead_us: Option<u64>,
}

/// The facts of a request at its start.
#[derive(Debug)]
pub(crate) struct Begun<'r> {
    pub(crate) method: &'r Method,
    /// The path of ours; what the caller wrote into it is not in the line.
    pub(crate) path: &'r str,
    pub(crate) request_id: &'r str,
    pub(crate) received: Instant,
}

/// The line of one request; nothing if it gets none.
#[derive(Debug)]
pub(crate) struct Line(Option<Box<Told>>);

#[derive(Debug)]
struct Told {
    lines: RequestLines,
    method: Method,
    path: String,
    request_id: String,
    caller: Caller,
    received: Instant,
    status: Option<u16>,
    error: Option<Kind>,
    /// The answer's routing headers.
    headers: Vec<(HeaderName, HeaderValue)>,
    /// The attempts, if there is more to say of them than that the first one answered.
    disclosure: Option<Disclosure>,
    complete: bool,
}

impl Line {
    /// A line of a request for a path of ours, if such requests get one.
    pub(crate) fn new(lines: RequestLines, begun: &Begun<'_>) -> Self {
        if lines == RequestLines::None || !enabled!(Level::INFO) {
            return Self(None);
        }
        Self(Some(Box::new(Told {
            lines,
            method: begun.method.clone(),
            path: begun.path.to_owned(),
            request_id: begun.request_id.to_owned(),
            caller: Caller::default(),
            received: begun.received,
            status: None,
            error: None,
            headers: Vec::new(),
            disclosure: None,
            complete: false,
        })))
    }

    /// Takes note of who asks.
    pub(crate) fn asked_by(&mut self, caller: &Caller) {
        if let Some(told) = &mut self.0 {
            told.caller = caller.clone();
        }
    }

    /// Takes note of the answer's head, and stays with its body until that has left.
    pub(crate) fn follow(mut self, response: Response) -> Response {
        let Some(told) = &mut self.0 else { return response };
        told.status = Some(response.status().as_u16());
        told.error = response.extensions().get::<Code>().map(|code| code.0);
        told.disclosure = response.extensions().get::<Disclosure>().cloned();
        let own = response.headers().iter().filter(|(name, _)| name.as_str().starts_with(OWN));
        told.headers = own.map(|(name, value)| (name.clone(), value.clone())).collect();
        response.map(|body| {
            if let Some(told) = &mut self.0 {
                told.complete = body.is_end_stream();
            }
            Body::new(Followed { body, line: self })
        })
    }
}

impl Told {
    /// One walk over what the answer says, rather than one search for each name.
    fn routing(&self) -> Routing<'_> {
        let mut routing = Routing::default();
        for (name, value) in &self.headers {
            let name = name.as_str().strip_prefix(OWN).unwrap_or_default();
            let Ok(text) = value.to_str() else { continue };
            match name {
                "task" => routing.task = Some(text),
                "score" => routing.score = text.parse().ok(),
                "model" => routing.model = Some(text),
                "deployment" => routing.deployment = Some(text),
                "billing" => routing.billing = Some(text),
                "attempts" => routing.attempts = text.parse().ok(),
                "fallback" => routing.fallback = Some(text),
                "adapted" => routing.adapted = Some(text),
                "residency" => routing.residency = Some(text),
                "cost-usd" => routing.cost_usd = text.parse().ok(),
                "cost-at-least" => routing.cost_at_least = Some(text),
                "overhead-us" => routing.overhead_us = text.parse().ok(),
                _ => {}
            }
        }
        routing
    }

    /// True of a request that failed, that the caller left, or that the first attempt did not answer.
    fn is_problem(&self) -> bool {
        let failed = self.status.is_none_or(|status| status >= 400) || self.error.is_some();
        let trail = self.disclosure.as_ref().is_some_and(Disclosure::has_trail);
        failed || !self.complete || trail || self.routing().fallback.is_some()
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        if self.lines == RequestLines::Problems && !self.is_problem() {
            return;
        }
        match telemetry::json_requests() {
            // Standard output is closed: there is nobody to tell.
            Some(writer) => drop(writer.line(self.as_json())),
            None => self.log(),
        }
    }
}

/// A line as JSON, in the form and order in which `tracing` writes it.
#[derive(Serialize)]
struct Json<'l> {
    timestamp: &'l str,
    level: &'static str,
    message: &'static str,
    request_id: &'l str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'l str>,
    method: &'l str,
    path: &'l str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<&'l str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'l str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deployment: Option<&'l str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    billing: Option<&'l str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fallback: Option<&'l str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    adapted: Option<&'l str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    residency: Option<&'l str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_usd: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_at_least: Option<&'l str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    overhead_us: Option<u64>,
    duration_ms: u64,
    end: &'static str,
    target: &'static str,
}

impl Told {
    fn duration_ms(&self) -> u64 {
        u64::try_from(self.received.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn trail(&self) -> Option<String> {
        self.disclosure.as_ref().and_then(Disclosure::trail)
    }

    fn end(&self) -> &'static str {
        if self.complete { "complete" } else { "hung_up" }
    }

    fn as_json(&self) -> Vec<u8> {
        let mut timestamp = String::with_capacity(32);
        if SystemTime.format_time(&mut Writer::new(&mut timestamp)).is_err() {
            // Writing to memory does not fail; half a time would be worse than none.
            timestamp.clear();
        }
        let routing = self.routing();
        let line = Json {
            timestamp: &timestamp,
            level: "INFO",
            message: "request",
            request_id: &self.request_id,
            key: self.caller.name(),
            method: self.method.as_str(),
            path: &self.path,
            status: self.status,
            error: self.error.map(Kind::as_str),
            task: routing.task,
            score: routing.score,
            model: routing.model,
            deployment: routing.deployment,
            billing: routing.billing,
            attempts: routing.attempts,
            fallback: routing.fallback,
            trail: self.trail(),
            adapted: routing.adapted,
            residency: routing.residency,
            cost_usd: routing.cost_usd,
            cost_at_least: routing.cost_at_least,
            overhead_us: routing.overhead_us,
            duration_ms: self.duration_ms(),
            end: self.end(),
            target: telemetry::REQUESTS,
        };
        let mut bytes = Vec::with_capacity(640);
        // Writing to memory does not fail.
        drop(serde_json::to_writer(&mut bytes, &line));
        bytes.push(b'\n');
        bytes
    }

    fn log(&self) {
        let routing = self.routing();
        info!(
            request_id = self.request_id.as_str(),
            key = self.caller.name(),
            method = self.method.as_str(),
            path = self.path.as_str(),
            status = self.status,
            error = self.error.map(Kind::as_str),
            task = routing.task,
            score = routing.score,
            model = routing.model,
            deployment = routing.deployment,
            billing = routing.billing,
            attempts = routing.attempts,
            fallback = routing.fallback,
            trail = self.trail(),
            adapted = routing.adapted,
            residency = routing.residency,
            cost_usd = routing.cost_usd,
            cost_at_least = routing.cost_at_least,
            overhead_us = routing.overhead_us,
            duration_ms = self.duration_ms(),
            end = self.end(),
            "request"
        );
    }
}

/// A body with its request's line.
#[derive(Debug)]
struct Followed {
    body: Body,
    line: Line,
}

impl http_body::Body for Followed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        // The server does not ask again once the body says that it has ended.
        let ended = match &polled {
            Poll::Ready(None) => true,
            Poll::Ready(Some(Ok(_))) => self.body.is_end_stream(),
            Poll::Ready(Some(Err(_))) | Poll::Pending => false,
        };
        if let Some(told) = &mut self.line.0 {
            told.complete |= ended;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests;
