//! One line per request: the decision, the outcome and the time; no content, no secrets.
//!
//! The line is written when the answer's last byte has left, or when the caller is gone, whichever comes first: a
//! [`Line`] writes itself when it is dropped, and it lives as long as the answer's body. What it says of the decision is
//! read from the answer's own headers, so that log and caller cannot disagree. A request that gets no line, by `server.request_lines`
//! or by the level of the log, keeps nothing for one.

use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method};
use http_body::{Body as _, Frame, SizeHint};
use router_core::clock;
use router_core::error_kind::Kind;
use router_core::router::Disclosure;
use router_core::stored::Caller;
use tokio::time::Instant;
use tracing::{Level, enabled, info};

use crate::config::RequestLines;
use crate::json_line::JsonLine;
use crate::problem::Code;
use crate::telemetry;

/// The headers that say how a request was routed begin with this.
const OWN: &str = "x-router-";

/// The fields that these headers give the line.
const FIELDS: [&str; 12] = [
    "task",
    "score",
    "model",
    "deployment",
    "billing",
    "attempts",
    "fallback",
    "adapted",
    "residency",
    "cost-usd",
    "cost-at-least",
    "overhead-us",
];

/// What an answer's headers say of its routing. The headers go on with the answer, so their values are copied, all into one text.
#[derive(Debug, Default)]
struct Routing {
    text: String,
    /// Where the values stand in it, in the order of [`FIELDS`].
    places: [Range<usize>; FIELDS.len()],
}

impl Routing {
    /// One walk over the headers, rather than one search for each name.
    fn of<'h>(headers: impl Iterator<Item = (&'h HeaderName, &'h HeaderValue)>) -> Self {
        let mut routing = Self { text: String::with_capacity(128), places: Default::default() };
        for (name, value) in headers {
            let Some(field) = name.as_str().strip_prefix(OWN) else { continue };
            let place = FIELDS.iter().zip(&mut routing.places).find(|(known, _)| **known == field);
            if let (Some((_, place)), Ok(value)) = (place, value.to_str()) {
                let start = routing.text.len();
                routing.text.push_str(value);
                *place = start..routing.text.len();
            }
        }
        routing
    }

    /// The value of a field; `None` if there is none.
    fn get(&self, field: &str) -> Option<&str> {
        let at = FIELDS.iter().position(|known| *known == field)?;
        let place = self.places.get(at)?.clone();
        self.text.get(place).filter(|value| !value.is_empty())
    }
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
    routing: Routing,
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
            routing: Routing::default(),
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
        told.routing = Routing::of(response.headers().iter());
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
    fn is_problem(&self) -> bool {
        let failed = self.status.is_none_or(|status| status >= 400) || self.error.is_some();
        let later = self.disclosure.as_ref().is_some_and(Disclosure::is_problem);
        failed || !self.complete || later || self.routing.get("fallback").is_some()
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

    /// The error that the caller saw, if only as the last event of a stream.
    fn error(&self) -> Option<&'static str> {
        let broke_off = self.disclosure.as_ref().is_some_and(Disclosure::broke_off);
        self.error.or(broke_off.then_some(Kind::StreamInterrupted)).map(Kind::as_str)
    }

    /// In the form and order in which `tracing` writes it.
    fn as_json(&self) -> Vec<u8> {
        let told = |field| self.routing.get(field);
        let mut line = JsonLine::begin(clock::wall(), "INFO", "request");
        line.text("request_id", Some(&self.request_id));
        line.text("key", self.caller.name());
        line.word("method", Some(self.method.as_str()));
        line.text("path", Some(&self.path));
        line.count("status", self.status.map(u64::from));
        line.word("error", self.error());
        line.text("task", told("task"));
        line.number("score", told("score"));
        line.text("model", told("model"));
        line.text("deployment", told("deployment"));
        line.text("billing", told("billing"));
        line.number("attempts", told("attempts"));
        line.text("fallback", told("fallback"));
        line.text("trail", self.trail().as_deref());
        line.text("adapted", told("adapted"));
        line.text("residency", told("residency"));
        line.number("cost_usd", told("cost-usd"));
        line.text("cost_at_least", told("cost-at-least"));
        line.number("overhead_us", told("overhead-us"));
        line.count("duration_ms", Some(self.duration_ms()));
        line.word("end", Some(self.end()));
        line.word("target", Some(telemetry::REQUESTS));
        line.end()
    }

    fn log(&self) {
        let told = |field| self.routing.get(field);
        let number = |field| told(field).and_then(|text| text.parse::<f64>().ok());
        let count = |field| told(field).and_then(|text| text.parse::<u64>().ok());
        info!(
            request_id = self.request_id.as_str(),
            key = self.caller.name(),
            method = self.method.as_str(),
            path = self.path.as_str(),
            status = self.status,
            error = self.error(),
            task = told("task"),
            score = number("score"),
            model = told("model"),
            deployment = told("deployment"),
            billing = told("billing"),
            attempts = count("attempts"),
            fallback = told("fallback"),
            trail = self.trail(),
            adapted = told("adapted"),
            residency = told("residency"),
            cost_usd = number("cost-usd"),
            cost_at_least = told("cost-at-least"),
            overhead_us = count("overhead-us"),
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
