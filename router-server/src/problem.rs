//! What went wrong -> the response: the error's status, an OpenAI-shaped body, and the headers that clients act upon.
//!
//! The official clients choose their exception by the status, read `error.message`, `type`, `param` and `code` from the
//! body, and wait as `retry-after-ms` or `retry-after` says; `x-should-retry` overrules their own judgement. So a status
//! here is a promise about what a client does next.
//!
//! **Source:** openai-python, `_base_client.py`: `_should_retry`, `_parse_retry_after_header`.

use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use http::{Method, StatusCode};
use router_core::chat::error_type;
use router_core::config::Expose;
use router_core::error::RouteError;
use serde_json::json;

use crate::keyring::Denied;

/// The header in milliseconds that the official clients prefer to `retry-after`.
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");
/// The header by which a service overrules the official clients' own judgement.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
/// The longest wait that a client is asked to sit out; the official clients ignore longer ones.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The word of a problem, left on the response for the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Code(pub(crate) &'static str);

/// What went wrong, as the caller hears it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Problem {
    status: StatusCode,
    code: &'static str,
    message: String,
    param: Option<String>,
    wait: Option<Duration>,
    /// Whether trying again may help; `None` leaves the judgement to the client.
    retry: Option<bool>,
    /// True if it may name what is inside.
    exposed: bool,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        let (param, wait, retry) = (None, None, None);
        Self { status, code, message: message.into(), param, wait, retry, exposed: false }
    }

    /// The problem that a router's error is. With `expose = "minimal"` no names of what is inside are listed.
    pub(crate) fn of(error: &RouteError, expose: Expose) -> Self {
        let (kind, status) = (error.kind(), error.status());
        let message = match (error, expose) {
            (RouteError::Model(_), Expose::Minimal) => "the model does not exist here".to_owned(),
            _ => error.to_string(),
        };
        let wait = error.wait();
        let retry = match status {
            // What a key has used up comes back by itself within a minute, or not soon.
            _ if matches!(error, RouteError::Limit(_)) => Some(wait.is_some()),
            StatusCode::TOO_MANY_REQUESTS if error.may_retry() => {
                Some(wait.is_none_or(|wait| wait <= LONGEST_WAIT))
            }
            StatusCode::TOO_MANY_REQUESTS => Some(false),
            status if status.is_server_error() => Some(error.may_retry()),
            _ => None,
        };
        let param = error.param().map(str::to_owned);
        let exposed = expose == Expose::All;
        Self { status, code: kind, message, param, wait, retry, exposed }
    }

    /// The same with the causes by deployment, if callers may see what is inside.
    pub(crate) fn because(mut self, causes: Option<String>) -> Self {
        if let Some(causes) = causes.filter(|_| self.exposed) {
            self.message = format!("{}: {causes}", self.message);
        }
        self
    }

    /// Who asks may not come in.
    pub(crate) fn denied(denied: Denied) -> Self {
        let (status, code, message) = match denied {
            Denied::Missing => (
                StatusCode::UNAUTHORIZED,
                "invalid_api_key",
                "a key is needed: `Authorization: Bearer KEY` or `api-key: KEY`",
            ),
            Denied::Unknown => {
                (StatusCode::UNAUTHORIZED, "invalid_api_key", "the key is not known here")
            }
            Denied::Expired => (
                StatusCode::UNAUTHORIZED,
                "invalid_api_key",
                "the key has expired or is switched off",
            ),
            Denied::NotOperator => (
                StatusCode::FORBIDDEN,
                "not_allowed_for_key",
                "only an operator's key may see this",
            ),
        };
        Self::new(status, code, message)
    }

    /// No such path.
    pub(crate) fn unknown_path(method: &Method, path: &str) -> Self {
        let path: String = path.chars().take(200).collect();
        Self::new(StatusCode::NOT_FOUND, "unknown_path", format!("no such path: {method} {path}"))
    }

    /// The path exists, but not for this method.
    pub(crate) fn method_not_allowed(method: &Method) -> Self {
        let message = format!("{method} is not allowed here; see the header allow");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
    }

    /// The path is not readable.
    pub(crate) fn unreadable_path() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_path", "the path is not UTF-8")
    }

    /// `Host` names another machine.
    pub(crate) fn foreign_host() -> Self {
        let message =
            "host: expected this machine's name or address, because callers show no key here";
        Self::new(StatusCode::FORBIDDEN, "host_not_allowed", message)
    }

    /// A page of another site asks.
    pub(crate) fn foreign_origin() -> Self {
        let message =
            "origin: pages of other sites are not served, because callers show no key here";
        Self::new(StatusCode::FORBIDDEN, "origin_not_allowed", message)
    }

    /// The body's type is not JSON.
    pub(crate) fn not_json() -> Self {
        let message = "content-type: expected application/json";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message)
    }

    /// The body is compressed.
    pub(crate) fn encoded() -> Self {
        let message = "content-encoding: compressed bodies are not read; send the JSON as it is";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_encoding", message)
    }

    /// The body is longer than config allows.
    pub(crate) fn too_large(most: usize) -> Self {
        let message = format!("the body is longer than {most} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "request_too_large", message)
    }

    /// The body did not arrive, in time or at all.
    pub(crate) fn body_missing() -> Self {
        let message = "the body did not arrive whole and in time";
        Self::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", message)
    }

    /// As many requests as config allows are under way.
    pub(crate) fn overloaded() -> Self {
        let message = "the router serves as many requests as it may; try again";
        Self {
            wait: Some(Duration::from_secs(1)),
            retry: Some(true),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "router_overloaded", message)
        }
    }

    /// A WebSocket was asked for.
    pub(crate) fn no_websocket() -> Self {
        let message = "WebSocket connections are not served";
        Self {
            retry: Some(false),
            ..Self::new(StatusCode::NOT_IMPLEMENTED, "websocket_not_supported", message)
        }
    }

    /// A handler panicked, or what it had to write could not be written.
    pub(crate) fn internal() -> Self {
        let message = "the router failed to handle this request";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", message)
    }
}

/// `retry-after` in whole seconds, at least one, because a zero means "at once" to most clients.
fn waits(wait: Duration) -> [(HeaderName, u64); 2] {
    let milliseconds = u64::try_from(wait.as_micros().div_ceil(1_000)).unwrap_or(u64::MAX).max(1);
    [(RETRY_AFTER, milliseconds.div_ceil(1_000)), (RETRY_AFTER_MS, milliseconds)]
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = json!({"error": {
            "message": self.message, "type": error_type(self.status, self.code), "param": self.param, "code": self.code,
        }});
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in self.wait.into_iter().flat_map(waits) {
            headers.insert(name, HeaderValue::from(value));
        }
        if let Some(retry) = self.retry {
            let word = if retry { "true" } else { "false" };
            headers.insert(SHOULD_RETRY, HeaderValue::from_static(word));
        }
        response.extensions_mut().insert(Code(self.code));
        response
    }
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use router_core::chat::ChatRequest;
    use router_core::decision::Refusal;
    use router_core::deployment::Residency;
    use router_core::fallback::SendingFault;
    use router_core::ledger::{LimitReached, Payer, Span};
    use router_core::policy::{DeniedField, HintFault, Overreach, UnknownModel};
    use router_core::stored::{Stored, UnknownResponse};
    use router_core::units::{Day, Tokens, Usd};
    use serde_json::Value;

    use super::*;

    fn sending(fault: SendingFault, wait: Option<u64>) -> RouteError {
        RouteError::Sending { fault, wait: wait.map(Duration::from_millis), bound: false }
    }

    fn spent() -> LimitReached {
        let renewed = Day::try_from("2026-11-24").unwrap();
        LimitReached::Budget { payer: Payer::Key, span: Span::Day, budget: Usd::ZERO, renewed }
    }

    /// One error of each kind, with the status that the official clients act upon.
    fn all() -> Vec<(RouteError, u16)> {
        let models = || "o1".to_owned();
        let full = |bound| Refusal::Full { wait: Duration::from_millis(400), bound };
        let refused = RouteError::Refused;
        vec![
            (ChatRequest::parse(b"{}").unwrap_err().into(), 400),
            (HintFault { header: "x-router-task", expected: "chat".into() }.into(), 400),
            (UnknownModel { asked: "x".into(), allowed: vec!["secret_name".into()] }.into(), 404),
            (UnknownResponse { id: "resp_1".into(), what: Stored::Response }.into(), 404),
            (UnknownResponse { id: "resp_1".into(), what: Stored::Previous }.into(), 400),
            (UnknownResponse { id: "msg_1".into(), what: Stored::Item }.into(), 404),
            (UnknownResponse { id: "conv_1".into(), what: Stored::Conversation }.into(), 404),
            (
                refused(Refusal::Residency { models: models(), residency: Residency::anywhere() }),
                400,
            ),
            (refused(Refusal::Ability { models: models(), ability: "tools" }), 400),
            (refused(Refusal::ContextWindow { models: models(), field: "input" }), 400),
            (
                refused(Refusal::HostedTool {
                    tool: "mcp".into(),
                    residency: Residency::anywhere(),
                }),
                400,
            ),
            (DeniedField { field: "file_id".into() }.into(), 403),
            (refused(Refusal::Retired { models: models() }), 404),
            (refused(Refusal::NotAllowed { models: models() }), 403),
            (Overreach { header: "x-router-task", problem: "x".into() }.into(), 403),
            (Overreach { header: "x-router-residency", problem: "x".into() }.into(), 403),
            (LimitReached::InFlight { limit: 1 }.into(), 429),
            (spent().into(), 429),
            (refused(full(false)), 429),
            (refused(full(true)), 429),
            (refused(Refusal::Elsewhere { models: models() }), 400),
            (refused(Refusal::Disabled), 503),
            (refused(Refusal::Unavailable { wait: Duration::from_millis(400) }), 503),
            (refused(Refusal::ExceedsQuota), 429),
            (sending(SendingFault::Unavailable, Some(400)), 503),
            (refused(Refusal::Misconfigured), 502),
            (sending(SendingFault::Throttled, Some(61_000)), 429),
            (sending(SendingFault::Misconfigured, None), 502),
            (sending(SendingFault::Timeout, None), 504),
            (sending(SendingFault::Failed, None), 502),
        ]
    }

    #[tokio::test]
    async fn every_kind_has_its_status_and_a_body_that_clients_read() {
        for (error, expected) in all() {
            let response = Problem::of(&error, Expose::All).into_response();
            assert_eq!(response.status(), expected, "{error:?}");
            assert_eq!(response.headers()[CONTENT_TYPE], "application/json");
            let body = to_bytes(response.into_body(), 10_000).await.unwrap();
            let body: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(body["error"]["code"], error.kind());
            assert_eq!(body["error"]["type"], error.body()["error"]["type"], "one table");
            for key in ["message", "type"] {
                assert!(body["error"][key].is_string(), "{body}");
            }
            assert!(body["error"].as_object().unwrap().contains_key("param"));
        }
    }

    #[test]
    fn a_wait_is_told_in_both_headers_and_never_as_zero() {
        for (wait, seconds, milliseconds, retry) in [
            (0, "1", "1", "true"),
            (400, "1", "400", "true"),
            (60_000, "60", "60000", "true"),
            (60_001, "61", "60001", "false"),
        ] {
            let error = sending(SendingFault::Throttled, Some(wait));
            let response = Problem::of(&error, Expose::All).into_response();
            let headers = response.headers();
            assert_eq!(headers[RETRY_AFTER], seconds);
            assert_eq!(headers[RETRY_AFTER_MS], milliseconds);
            assert_eq!(headers[SHOULD_RETRY], retry);
        }
    }

    #[test]
    fn a_client_is_told_whether_trying_again_helps() {
        for (fault, retry) in [
            (SendingFault::Misconfigured, "false"),
            (SendingFault::Failed, "true"),
            (SendingFault::Timeout, "true"),
        ] {
            let response = Problem::of(&sending(fault, None), Expose::All).into_response();
            assert_eq!(response.headers()[SHOULD_RETRY], retry);
        }
        for (reached, retry, waits) in [
            (LimitReached::InFlight { limit: 1 }, "true", true),
            (LimitReached::TooLarge { limit: 1, needed: Tokens(2) }, "false", false),
            (spent(), "false", false),
        ] {
            let response = Problem::of(&reached.into(), Expose::All).into_response();
            let headers = response.headers();
            assert_eq!(headers[SHOULD_RETRY], retry, "{reached}");
            assert_eq!(headers.contains_key(RETRY_AFTER_MS), waits, "{reached}");
        }
        let caller = RouteError::from(ChatRequest::parse(b"{}").unwrap_err());
        let response = Problem::of(&caller, Expose::All).into_response();
        assert!(!response.headers().contains_key(SHOULD_RETRY));
    }

    #[test]
    fn names_are_listed_only_where_callers_may_see_the_inside() {
        let unknown = UnknownModel { asked: "x".into(), allowed: vec!["secret_name".into()] };
        let error = RouteError::from(unknown);
        assert!(Problem::of(&error, Expose::All).message.contains("secret_name"));
        assert!(!Problem::of(&error, Expose::Minimal).message.contains("secret_name"));
    }
}
