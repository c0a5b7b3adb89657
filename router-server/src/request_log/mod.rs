//! Writes one line per request to the process log: the decision, the outcome and the time; no content, no secrets.
//!
//! The line is written when the answer's last byte has left, or when the caller is gone, whichever comes first: a
//! [`Line`] writes itself when it is dropped, and it lives as long as the answer's body. The router's part of it comes from the
//! request's record, which has been closed by then ([`Disclosure::routing`]). A request that gets no line, by
//! `server.request_lines` or by the level of the log, keeps nothing for one.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::Method;
use http_body::{Body as _, Frame, SizeHint};
use router_core::clock;
use router_core::error_kind::Kind;
use router_core::router::{Disclosure, Routing};
use router_core::stored::Caller;
use router_core::task::Task;
use router_core::units::Usd;
use tokio::time::Instant;
use tracing::{Level, enabled, info};

use crate::config::RequestLines;
use crate::json_line::JsonLine;
use crate::problem::Code;
use crate::telemetry;

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
    disclosure: Disclosure,
    complete: bool,
}

impl Line {
    /// A line of a request for a path of ours, if such requests get one.
    pub(crate) fn new(lines: RequestLines, begun: &Begun<'_>, disclosure: &Disclosure) -> Self {
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
            disclosure: disclosure.clone(),
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
        response.map(|body| {
            if let Some(told) = &mut self.0 {
                told.complete = body.is_end_stream();
            }
            Body::new(Followed { body, line: self })
        })
    }
}

impl Told {
    /// True of a request that failed, if only after its head, that the caller left, or that the first attempt did not answer.
    fn is_problem(&self, routing: &Routing) -> bool {
        let failed = self.status.is_none_or(|status| status >= 400) || self.error.is_some();
        let later = routing.error.is_some() || routing.fallback.is_some();
        failed || !self.complete || later || self.disclosure.trail().is_some()
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        let none = Routing::default();
        let routing = self.disclosure.routing().unwrap_or(&none);
        if self.lines == RequestLines::Problems && !self.is_problem(routing) {
            return;
        }
        match telemetry::json_requests() {
            // Standard output is closed: there is nobody to tell.
            Some(writer) => drop(writer.line(self.as_json(routing))),
            None => self.log(routing),
        }
    }
}

impl Told {
    fn duration_ms(&self) -> u64 {
        u64::try_from(self.received.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn end(&self) -> &'static str {
        if self.complete { "complete" } else { "hung_up" }
    }

    /// The error that the caller saw, if only as the last event of a stream.
    fn error(&self, routing: &Routing) -> Option<&'static str> {
        self.error.or(routing.error).map(Kind::as_str)
    }

    /// In the form and order in which `tracing` writes it.
    fn as_json(&self, routing: &Routing) -> Vec<u8> {
        let deployment = routing.deployment.as_deref();
        let mut line = JsonLine::begin(clock::wall(), "INFO", "request");
        line.text("request_id", Some(&self.request_id));
        line.text("key", self.caller.name());
        line.word("method", Some(self.method.as_str()));
        line.text("path", Some(&self.path));
        line.count("status", self.status.map(u64::from));
        line.word("error", self.error(routing));
        line.word("task", routing.task.map(Task::as_str));
        line.number("score", score(routing));
        line.text("model", deployment.map(|deployment| deployment.model.name.as_str()));
        line.text("deployment", deployment.map(|deployment| deployment.name.as_str()));
        line.word("billing", routing.billing());
        line.count("attempts", attempts(routing));
        line.word("fallback", routing.fallback);
        line.text("trail", self.disclosure.trail().as_deref());
        line.text("adapted", adapted(routing).as_deref());
        line.text("residency", residency(routing).as_deref());
        line.number("cost_usd", routing.cost);
        line.word("cost_at_least", cost_at_least(routing));
        line.count("overhead_us", overhead_us(routing));
        line.count("duration_ms", Some(self.duration_ms()));
        line.word("end", Some(self.end()));
        line.word("target", Some(telemetry::REQUESTS));
        line.end()
    }

    fn log(&self, routing: &Routing) {
        let deployment = routing.deployment.as_deref();
        info!(
            request_id = self.request_id.as_str(),
            key = self.caller.name(),
            method = self.method.as_str(),
            path = self.path.as_str(),
            status = self.status,
            error = self.error(routing),
            task = routing.task.map(Task::as_str),
            score = score(routing),
            model = deployment.map(|deployment| deployment.model.name.as_str()),
            deployment = deployment.map(|deployment| deployment.name.as_str()),
            billing = routing.billing(),
            attempts = attempts(routing),
            fallback = routing.fallback,
            trail = self.disclosure.trail(),
            adapted = adapted(routing),
            residency = residency(routing),
            cost_usd = routing.cost.map(Usd::as_f64),
            cost_at_least = cost_at_least(routing),
            overhead_us = overhead_us(routing),
            duration_ms = self.duration_ms(),
            end = self.end(),
            "request"
        );
    }
}

/// The score to three digits.
fn score(routing: &Routing) -> Option<f64> {
    let score = routing.score.map(|score| f64::from(score.value()));
    score.map(|score| (score * 1e3).round_ties_even() / 1e3)
}

fn attempts(routing: &Routing) -> Option<u64> {
    routing.attempts.and_then(|attempts| u64::try_from(attempts).ok())
}

fn adapted(routing: &Routing) -> Option<String> {
    Some(routing.adapted.join(",")).filter(|adapted| !adapted.is_empty())
}

fn residency(routing: &Routing) -> Option<String> {
    routing.residency.as_ref().map(ToString::to_string)
}

fn cost_at_least(routing: &Routing) -> Option<&'static str> {
    (routing.cost.is_some() && routing.cost_at_least).then_some("true")
}

fn overhead_us(routing: &Routing) -> Option<u64> {
    routing.overhead.map(|overhead| u64::try_from(overhead.as_micros()).unwrap_or(u64::MAX))
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
