//! The calls of a router: a request to a model, or an operation on a stored response.

use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method};
use tokio::time::Instant;

use crate::chat::ChatRequest;
use crate::chat::Operation;
use crate::chat::bounds;
use crate::error::RouteError;
use crate::ledger::Allowance;
use crate::ledger::Entry;
use crate::memory::Held;
use crate::policy::Hints;
use crate::policy::Rights;
use crate::stored::Caller;
use crate::stored::Collection;
use crate::trace::RequestSpan;
use crate::upstream::Call;

use super::disclosure::Disclosure;

/// A request to a model, to be routed.
#[derive(Debug, Clone)]
pub struct ChatCall {
    /// The features that the request uses.
    pub operation: Operation,
    /// The body.
    pub body: Bytes,
    /// The caller's headers. Read are those of [`crate::policy::Hints`], those of tracing and the content type; none is
    /// passed on wholesale.
    pub headers: HeaderMap,
    /// The deployment named in the path, as Azure clients do; it wins over the body's model.
    pub path_model: Option<String>,
    /// Arrival of the request; the deadline counts from here.
    pub received: Instant,
    /// The caller.
    pub caller: Caller,
    /// The caller's rights.
    pub rights: Arc<Rights>,
    /// The caller's limits; counted if [`Self::caller`] has a name.
    pub allowance: Allowance,
    /// The path below the API's base, where it is one that is passed through: `images/generations`.
    pub passed: Option<Arc<str>>,
    /// The entry that the key's rate and slots granted by the head alone ([`ModelRouter::enter`]); `None`: the router does so
    /// before it sends.
    ///
    /// [`ModelRouter::enter`]: crate::router::ModelRouter::enter
    pub entry: Option<Arc<Entry>>,
    /// The room that the body takes of a budget; it grows by what the parsed body takes. `None`: nobody counts.
    pub held: Option<Arc<Held>>,
    /// Its place in a trace, where traces are kept; `None`: the caller's context passes as it came.
    pub span: Option<RequestSpan>,
    /// The router's disclosure about the request besides its answer; keep a clone to read it.
    pub disclosure: Disclosure,
}

impl ChatCall {
    /// A chat completion that has come now, without headers: for programs that embed the router.
    pub fn of_body(body: impl Into<Bytes>) -> Self {
        Self::of(Operation::Chat, body)
    }

    /// A call that has come now, without headers.
    pub fn of(operation: Operation, body: impl Into<Bytes>) -> Self {
        Self {
            operation,
            body: body.into(),
            headers: HeaderMap::new(),
            path_model: None,
            received: Instant::now(),
            caller: Caller::default(),
            rights: Arc::default(),
            allowance: Allowance::default(),
            passed: None,
            entry: None,
            held: None,
            span: None,
            disclosure: Disclosure::default(),
        }
    }

    /// The request, read by its operation.
    ///
    /// # Errors
    /// The body is not what the operation takes, exceeds a bound, or there is no memory to parse it.
    pub(super) fn request(&self, max_messages: usize) -> Result<ChatRequest<'_>, RouteError> {
        let form = self.form().and_then(|kind| kind.to_str().ok());
        if let (Operation::Passed(_), Some(form)) = (self.operation, form) {
            if let Some(held) = &self.held {
                // The form that is sent upstream is written again.
                held.grow(self.body.len())?;
            }
            return Ok(ChatRequest::read_form(self.operation, form, &self.body)?);
        }
        let measured = bounds::measure(&self.body, max_messages)?;
        if let Some(held) = &self.held {
            // Most bodies are sent upstream as a copy with another model's name.
            held.grow(measured.parsed_bytes() + self.body.len())?;
        }
        Ok(ChatRequest::read(self.operation, &self.body)?.sharing(&self.body))
    }

    /// The caller's hints besides the body, within its rights.
    pub(super) fn hints(&self) -> Result<Hints, RouteError> {
        Ok(self.rights.narrow(Hints::from_headers(&self.headers)?)?)
    }

    /// The operation to call at a deployment.
    pub(super) fn call(&self, request: &ChatRequest<'_>) -> Call {
        match &self.passed {
            Some(path) => Call::Passed {
                path: Arc::clone(path),
                // A form is written again. Callers say many things of JSON; upstreams take one.
                content_type: request.form_content_type().unwrap_or(JSON),
            },
            None => Call::Operation(self.operation),
        }
    }

    /// The content type of a form; all else is JSON.
    fn form(&self) -> Option<&HeaderValue> {
        let form = |kind: &&HeaderValue| {
            let start = kind.as_bytes().get(..FORM.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(FORM))
        };
        self.headers.get(CONTENT_TYPE).filter(form)
    }
}

const FORM: &[u8] = b"multipart/";
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A call of an object that a deployment has stored, or of a collection of them.
#[derive(Debug, Clone)]
pub struct StoredCall {
    /// The collection.
    pub collection: Collection,
    /// Read (`GET`), delete, create, change or cancel (`POST`).
    pub method: Method,
    /// The object's id; empty for the collection itself: `GET` lists it, `POST` creates an object.
    pub id: String,
    /// The body; empty without one.
    pub body: Bytes,
    /// The content type of the body.
    pub content_type: Option<HeaderValue>,
    /// The part of the address after the id: `/input_items?limit=2`. An `api-version` in it is not passed on: the deployment has
    /// its own.
    pub rest: String,
    /// The caller's headers; read are those of [`crate::policy::Hints`] and those of tracing.
    pub headers: HeaderMap,
    /// Arrival of the request.
    pub received: Instant,
    /// The caller.
    pub caller: Caller,
    /// The caller's rights.
    pub rights: Arc<Rights>,
    /// The caller's limits; its rate of requests and its slots apply to stored responses too.
    pub allowance: Allowance,
    /// The entry that the key's rate and slots granted already; `None`: the router does so.
    pub entry: Option<Arc<Entry>>,
    /// The router's disclosure about the call besides its answer; keep a clone to read it.
    pub disclosure: Disclosure,
}

impl StoredCall {
    /// A call of a response or another object that has come now, without headers.
    pub fn of(collection: Collection, method: Method, id: impl Into<String>) -> Self {
        Self {
            collection,
            method,
            id: id.into(),
            body: Bytes::new(),
            content_type: None,
            rest: String::new(),
            headers: HeaderMap::new(),
            received: Instant::now(),
            caller: Caller::default(),
            rights: Arc::default(),
            allowance: Allowance::default(),
            entry: None,
            disclosure: Disclosure::default(),
        }
    }

    /// The header `x-request-id`.
    pub(super) fn request_id(&self) -> Option<&str> {
        self.headers.get("x-request-id")?.to_str().ok()
    }

    /// True for the object itself, not for something below it.
    pub(super) fn is_of_object(&self) -> bool {
        !self.id.is_empty() && (self.rest.is_empty() || self.rest.starts_with('?'))
    }

    /// The caller's hints besides the address, within its rights.
    pub(super) fn hints(&self) -> Result<Hints, RouteError> {
        Ok(self.rights.narrow(Hints::from_headers(&self.headers)?)?)
    }

    /// The address at the deployment, and whether a stream is asked for.
    pub(super) fn address(&self) -> (String, bool) {
        let (tail, query) = self.rest.split_once('?').unwrap_or((&self.rest, ""));
        let mut address = format!("{}{tail}", self.id);
        let (mut streamed, mut sign) = (false, '?');
        for part in query.split('&') {
            // Decoded to be understood, passed on as it is written.
            let Some((name, value)) = form_urlencoded::parse(part.as_bytes()).next() else {
                continue;
            };
            if name.eq_ignore_ascii_case("api-version") {
                continue;
            }
            streamed |= name == "stream" && value == "true";
            address.push(sign);
            address.push_str(part);
            sign = '&';
        }
        (address, streamed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rest: &str, address: &str, streamed: bool) {
        let call = StoredCall {
            rest: rest.to_owned(),
            ..StoredCall::of(Collection::Responses, Method::GET, "resp_1")
        };
        assert_eq!(call.address(), (format!("resp_1{address}"), streamed), "{rest}");
    }

    #[test]
    fn the_query_loses_its_version_and_nothing_else() {
        check("", "", false);
        check("?", "", false);
        check("?api-version=2025-03-01-preview", "", false);
        check(
            "/input_items?limit=2&api-version=x&order=asc",
            "/input_items?limit=2&order=asc",
            false,
        );
        check("?api%2Dversion=x&include%5B%5D=a%20b", "?include%5B%5D=a%20b", false);
        check("?API-Version=x&&a", "?a", false);
    }

    #[test]
    fn a_stream_is_asked_for_by_its_own_parameter_alone() {
        check("?stream=true", "?stream=true", true);
        check("?starting_after=3&%73tream=true", "?starting_after=3&%73tream=true", true);
        check("?upstream=true", "?upstream=true", false);
        check("?stream=trueish", "?stream=trueish", false);
        check("?after=stream%3Dtrue", "?after=stream%3Dtrue", false);
        check("/stream=true", "/stream=true", false);
    }
}
