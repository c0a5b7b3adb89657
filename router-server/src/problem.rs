//! Errors as responses to the caller. Errors of the router come with their own status and headers; the
//! server adds what has no request: unknown paths, keys, bodies that did not arrive.

use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::Method;
use router_core::error::{RouteError, error_body, error_headers};
use router_core::error_kind::Kind;

use crate::config::Expose;
use crate::keyring::Denied;
use crate::operations::OPERATIONS;
use crate::operations::Support;
use crate::tokens::TokenFault;

/// The kind of a problem, left on the response for the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Code(pub(crate) Kind);

/// Error that ends a request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Problem {
    kind: Kind,
    message: String,
    param: Option<String>,
    wait: Option<Duration>,
    /// True if trying again may help; `None` leaves the judgement to the client.
    retry: Option<bool>,
    /// True if it may name deployments and models.
    exposed: bool,
}

impl Problem {
    fn new(kind: Kind, message: impl Into<String>) -> Self {
        let (param, wait, retry) = (None, None, None);
        Self { kind, message: message.into(), param, wait, retry, exposed: false }
    }

    /// Converts a router's error. With `expose = "minimal"` it lists no names of deployments and models.
    pub(crate) fn of(error: &RouteError, expose: Expose) -> Self {
        let message = match (error, expose) {
            (RouteError::Model(_), Expose::Minimal) => "the model does not exist here".to_owned(),
            _ => error.to_string(),
        };
        let param = error.param().map(str::to_owned);
        let (kind, wait, retry) = (error.kind(), error.wait(), error.should_retry());
        Self { kind, message, param, wait, retry, exposed: expose == Expose::All }
    }

    /// The same with the causes by deployment, if callers may see internals.
    pub(crate) fn because(mut self, causes: Option<String>) -> Self {
        if let Some(causes) = causes.filter(|_| self.exposed) {
            self.message = format!("{}: {causes}", self.message);
        }
        self
    }

    /// The caller has no access.
    pub(crate) fn denied(denied: Denied) -> Self {
        let (kind, message) = match denied {
            Denied::Missing => (
                Kind::InvalidApiKey,
                "a key is needed: `Authorization: Bearer KEY` or `api-key: KEY`",
            ),
            Denied::Unknown => (Kind::InvalidApiKey, "the key is not known here"),
            Denied::Expired => (Kind::InvalidApiKey, "the key has expired or is disabled"),
            Denied::NotOperator => (Kind::NotAllowedForKey, "only an operator's key may see this"),
            Denied::Token(fault) => return Self::of_token(fault),
        };
        Self::new(kind, message)
    }

    /// A token gives no access.
    fn of_token(fault: TokenFault) -> Self {
        let (kind, message) = match fault {
            TokenFault::Invalid => (Kind::InvalidApiKey, "the token is invalid"),
            TokenFault::Expired => {
                (Kind::InvalidApiKey, "the token has expired or is not valid yet")
            }
            TokenFault::Issuer => (Kind::InvalidApiKey, "the token's issuer is not known here"),
            TokenFault::Audience => (Kind::InvalidApiKey, "the token is for another audience"),
            TokenFault::NotGranted => {
                (Kind::NotAllowedForKey, "the token is valid, but its claims grant nothing here")
            }
            TokenFault::Unavailable => {
                let message = "the keys of the token's issuer cannot be read now; try again";
                return Self {
                    wait: Some(Duration::from_secs(2)),
                    retry: Some(true),
                    ..Self::new(Kind::IdentityProviderUnavailable, message)
                };
            }
        };
        Self::new(kind, message)
    }

    /// No such path.
    pub(crate) fn unknown_path(method: &Method, path: &str) -> Self {
        let path: String = path.chars().take(200).collect();
        let served = OPERATIONS.iter().filter(|operation| operation.support != Support::Refused);
        let asked = path.trim_end_matches('/');
        let meant = served.map(|operation| operation.path).find(|known| {
            *known != path && known.strip_prefix("/v1").is_some_and(|below| asked.ends_with(below))
        });
        let meant = meant.map(|known| {
            format!("; did you mean {known}? The base URL ends in /v1 for OpenAI clients and is the host alone for Azure clients")
        });
        let message = format!("no such path: {method} {path}{}", meant.unwrap_or_default());
        Self::new(Kind::UnknownPath, message)
    }

    /// The path exists, but not for this method.
    pub(crate) fn method_not_allowed(method: &Method) -> Self {
        let message = format!("{method} is not allowed here; see the header allow");
        Self::new(Kind::MethodNotAllowed, message)
    }

    /// The path is not readable.
    pub(crate) fn unreadable_path() -> Self {
        Self::new(Kind::InvalidPath, "the path is not UTF-8")
    }

    /// The dashboard is asked for a range that it does not have.
    pub(crate) fn unknown_range(allowed: &[&str]) -> Self {
        let message = format!("range: expected one of {}", allowed.join(", "));
        let param = Some("range".to_owned());
        Self { param, ..Self::new(Kind::InvalidRequest, message) }
    }

    /// `Host` names another machine.
    pub(crate) fn foreign_host() -> Self {
        let message = "host: expected this machine's name or address, or one of server.hosts, because callers show no key here";
        Self::new(Kind::HostNotAllowed, message)
    }

    /// A page of another site asks.
    pub(crate) fn foreign_origin() -> Self {
        let message =
            "origin: pages of other sites are not served, because callers show no key here";
        Self::new(Kind::OriginNotAllowed, message)
    }

    /// The body's type is not JSON.
    pub(crate) fn not_json() -> Self {
        let message = "content-type: expected application/json";
        Self::new(Kind::UnsupportedMediaType, message)
    }

    /// The body is compressed.
    pub(crate) fn encoded() -> Self {
        let message = "content-encoding: compressed bodies are not read; send the JSON as it is";
        Self::new(Kind::UnsupportedEncoding, message)
    }

    /// The body is longer than config allows.
    pub(crate) fn too_large(most: usize) -> Self {
        let message = format!("the body is longer than {most} bytes");
        Self::new(Kind::RequestTooLarge, message)
    }

    /// The body did not arrive, in time or at all.
    pub(crate) fn body_missing() -> Self {
        let message = "the body did not arrive whole and in time";
        Self::new(Kind::RequestTimeout, message)
    }

    /// The limit of concurrent requests is reached.
    pub(crate) fn overloaded() -> Self {
        let message = "the router serves as many requests as it may; try again";
        Self {
            wait: Some(Duration::from_secs(1)),
            retry: Some(true),
            ..Self::new(Kind::RouterOverloaded, message)
        }
    }

    /// A WebSocket was asked for.
    pub(crate) fn no_websocket() -> Self {
        let message = "WebSocket connections are not served";
        Self { retry: Some(false), ..Self::new(Kind::WebsocketNotSupported, message) }
    }

    /// A handler panicked, or what it had to write could not be written.
    pub(crate) fn internal() -> Self {
        let message = "the router failed to handle this request";
        Self::new(Kind::InternalError, message)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self { kind, message, param, .. } = self;
        let body = error_body(kind, &message, param.as_deref());
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = kind.status();
        *response.headers_mut() = error_headers(self.wait, self.retry);
        response.extensions_mut().insert(Code(kind));
        response
    }
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use http::header::{CONTENT_TYPE, RETRY_AFTER};
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
            assert_eq!(body["error"]["code"], error.kind().as_str());
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
            assert_eq!(headers["retry-after-ms"], milliseconds);
            assert_eq!(headers["x-should-retry"], retry);
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
            assert_eq!(response.headers()["x-should-retry"], retry);
        }
        for (reached, retry, waits) in [
            (LimitReached::InFlight { limit: 1 }, "true", true),
            (LimitReached::TooLarge { limit: 1, needed: Tokens(2) }, "false", false),
            (spent(), "false", false),
        ] {
            let response = Problem::of(&reached.into(), Expose::All).into_response();
            let headers = response.headers();
            assert_eq!(headers["x-should-retry"], retry, "{reached}");
            assert_eq!(headers.contains_key("retry-after-ms"), waits, "{reached}");
        }
        let caller = RouteError::from(ChatRequest::parse(b"{}").unwrap_err());
        let response = Problem::of(&caller, Expose::All).into_response();
        assert!(!response.headers().contains_key("x-should-retry"));
    }

    #[test]
    fn names_are_listed_only_where_callers_may_see_the_inside() {
        let unknown = UnknownModel { asked: "x".into(), allowed: vec!["secret_name".into()] };
        let error = RouteError::from(unknown);
        assert!(Problem::of(&error, Expose::All).message.contains("secret_name"));
        assert!(!Problem::of(&error, Expose::Minimal).message.contains("secret_name"));
    }

    #[test]
    fn a_path_below_a_wrong_base_url_names_the_right_one() {
        for (path, meant) in [
            ("/v1/v1/chat/completions", Some("did you mean /v1/chat/completions?")),
            ("/router/v1/embeddings/", Some("did you mean /v1/embeddings?")),
            ("/v1/realtime", None),
            ("/favicon.png", None),
        ] {
            let message = Problem::unknown_path(&Method::POST, path).message;
            assert!(message.starts_with(&format!("no such path: POST {path}")), "{message}");
            assert_eq!(message.contains("did you mean"), meant.is_some(), "{message}");
            assert!(message.contains(meant.unwrap_or_default()), "{message}");
        }
    }
}
