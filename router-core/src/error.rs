//! Everything that can go wrong on the way: whose side it is on, its HTTP status, and the body that the caller gets.
//!
//! Each module has its own error; here they meet, one variant for each module. Texts for the caller hold no secret, no
//! endpoint and no text of a message.
//!
//! Not done here: writing the response and its headers (the program that serves).

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};

use crate::chat::RequestFault;
use crate::chat::error_type;
use crate::decision::Refusal;
use crate::fallback::SendingFault;
use crate::ledger::LimitReached;
use crate::memory::MemoryShort;
use crate::policy::DeniedField;
use crate::policy::HintFault;
use crate::policy::Overreach;
use crate::policy::UnknownModel;
use crate::stored::Stored;
use crate::stored::UnknownResponse;

/// How long to wait for memory: requests under way give it back within about as long.
const MEMORY_WAIT: Duration = Duration::from_secs(1);

/// Why a request got no answer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RouteError {
    /// The body is not what the operation takes.
    #[error(transparent)]
    Request(#[from] RequestFault),
    /// A steering header has a value that we do not understand.
    #[error(transparent)]
    Hint(#[from] HintFault),
    /// A steering header asks for more than the caller's key allows.
    #[error(transparent)]
    Overreach(#[from] Overreach),
    /// The request has a field that the caller's key may not send.
    #[error(transparent)]
    Field(#[from] DeniedField),
    /// The caller's key has used what it may.
    #[error(transparent)]
    Limit(#[from] LimitReached),
    /// Requests and answers hold as much memory as they may.
    #[error(transparent)]
    Memory(#[from] MemoryShort),
    /// The model asked for does not exist here, or its caller may not use it.
    #[error(transparent)]
    Model(#[from] UnknownModel),
    /// The stored response, item or conversation asked for is not known here.
    #[error(transparent)]
    Stored(#[from] UnknownResponse),
    /// Nothing may or can serve it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// No deployment answered; the wait is the shortest of those that asked to be left alone.
    #[error("{fault}")]
    Sending {
        /// Why.
        fault: SendingFault,
        /// The shortest wait.
        wait: Option<Duration>,
        /// True if a residency binds the request.
        bound: bool,
    },
}

/// Whose side a fault is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The caller asked for what cannot be.
    Caller,
    /// Our own config.
    Router,
    /// The model service.
    Upstream,
}

/// The HTTP status of each kind of [`RouteError`]; `None` of another word.
pub fn status_of(kind: &str) -> Option<StatusCode> {
    Some(match kind {
        "invalid_request"
        | "invalid_header"
        | "residency_unsatisfiable"
        | "unsupported_by_model"
        | "unsupported_parameter"
        | "previous_response_not_found"
        | "hosted_tool_not_allowed"
        | "model_not_at_owner"
        | "context_length_exceeded" => StatusCode::BAD_REQUEST,
        "residency_not_allowed" | "not_allowed_for_key" | "field_not_allowed" => {
            StatusCode::FORBIDDEN
        }
        "model_not_found" | "model_retired" | "response_not_found" => StatusCode::NOT_FOUND,
        "rate_limit_exceeded"
        | "insufficient_quota"
        | "request_exceeds_quota"
        | "capacity_exhausted"
        | "capacity_in_residency_exhausted" => StatusCode::TOO_MANY_REQUESTS,
        "upstream_misconfigured" | "upstream_failed" => StatusCode::BAD_GATEWAY,
        "deployment_disabled" | "router_overloaded" | "upstream_unavailable" => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        "upstream_timeout" => StatusCode::GATEWAY_TIMEOUT,
        _ => return None,
    })
}

impl RouteError {
    /// A word for labels, logs and the `code` of the caller's error.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Request(_) => "invalid_request",
            Self::Hint(_) => "invalid_header",
            Self::Overreach(over) if over.is_residency() => "residency_not_allowed",
            Self::Overreach(_) => "not_allowed_for_key",
            Self::Field(_) => "field_not_allowed",
            Self::Limit(reached) if reached.is_spent() => "insufficient_quota",
            Self::Limit(_) => "rate_limit_exceeded",
            Self::Memory(_) => "router_overloaded",
            Self::Model(_) => "model_not_found",
            Self::Stored(unknown) => match unknown.what {
                Stored::Previous => "previous_response_not_found",
                Stored::Response | Stored::Item | Stored::Conversation => "response_not_found",
            },
            Self::Refused(refusal) => match refusal {
                Refusal::Residency { .. } => "residency_unsatisfiable",
                Refusal::Ability { .. } => "unsupported_by_model",
                Refusal::ContextWindow { .. } => "context_length_exceeded",
                Refusal::HostedTool { .. } => "hosted_tool_not_allowed",
                Refusal::Retired { .. } => "model_retired",
                Refusal::NotAllowed { .. } => "not_allowed_for_key",
                Refusal::Full { bound: true, .. } => "capacity_in_residency_exhausted",
                Refusal::Full { bound: false, .. } => "capacity_exhausted",
                Refusal::Elsewhere { .. } => "model_not_at_owner",
                Refusal::Unavailable { .. } => "upstream_unavailable",
                Refusal::ExceedsQuota => "request_exceeds_quota",
                Refusal::Disabled => "deployment_disabled",
                Refusal::Misconfigured => "upstream_misconfigured",
            },
            Self::Sending { fault, bound, .. } => match fault {
                SendingFault::Throttled if *bound => "capacity_in_residency_exhausted",
                SendingFault::Throttled => "capacity_exhausted",
                SendingFault::Unavailable => "upstream_unavailable",
                SendingFault::Misconfigured => "upstream_misconfigured",
                SendingFault::Timeout | SendingFault::GaveUp => "upstream_timeout",
                SendingFault::Failed => "upstream_failed",
                SendingFault::Unsupported { .. } => "unsupported_parameter",
            },
        }
    }

    /// True if every deployment that the request may use refuses the router: 401, 403, 404 or 410.
    pub fn is_misconfigured(&self) -> bool {
        matches!(
            self,
            Self::Refused(Refusal::Misconfigured)
                | Self::Sending { fault: SendingFault::Misconfigured, .. }
        )
    }

    /// The HTTP status: the official clients choose their exception by it.
    pub fn status(&self) -> StatusCode {
        status_of(self.kind()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Whose side it is on.
    pub fn side(&self) -> Side {
        match self.kind() {
            "upstream_misconfigured" | "deployment_disabled" | "router_overloaded" => Side::Router,
            "upstream_timeout"
            | "upstream_failed"
            | "upstream_unavailable"
            | "capacity_exhausted"
            | "capacity_in_residency_exhausted" => Side::Upstream,
            _ => Side::Caller,
        }
    }

    /// True where the same request may succeed later.
    pub fn may_retry(&self) -> bool {
        if matches!(self, Self::Sending { fault: SendingFault::GaveUp, .. }) {
            // Each try is minutes of paid work.
            return false;
        }
        let later = matches!(self, Self::Limit(reached) if reached.wait().is_some());
        later || matches!(self, Self::Memory(_)) || self.side() == Side::Upstream
    }

    /// How long to wait before trying again: every deployment is full or unavailable, or a key's limit is reached.
    pub fn wait(&self) -> Option<Duration> {
        match self {
            Self::Limit(reached) => reached.wait(),
            Self::Memory(_) => Some(MEMORY_WAIT),
            Self::Refused(Refusal::Full { wait, .. } | Refusal::Unavailable { wait }) => {
                Some(*wait)
            }
            Self::Sending {
                fault: SendingFault::Throttled | SendingFault::Unavailable,
                wait,
                ..
            } => *wait,
            Self::Sending { .. }
            | Self::Request(_)
            | Self::Hint(_)
            | Self::Overreach(_)
            | Self::Field(_)
            | Self::Model(_)
            | Self::Stored(_)
            | Self::Refused(_) => None,
        }
    }

    /// The field or header at fault.
    pub fn param(&self) -> Option<&str> {
        match self {
            Self::Request(fault) => Some(&fault.field),
            Self::Hint(fault) => Some(fault.header),
            Self::Overreach(over) => Some(over.header),
            Self::Field(denied) => Some(&denied.field),
            Self::Model(_) => Some("model"),
            Self::Stored(unknown) => unknown.what.field(),
            Self::Sending { fault: SendingFault::Unsupported { fields, .. }, .. } => {
                fields.first().copied()
            }
            Self::Refused(Refusal::ContextWindow { field, .. }) => Some(field),
            Self::Refused(Refusal::HostedTool { .. }) => Some("tools"),
            Self::Refused(_) | Self::Sending { .. } | Self::Limit(_) | Self::Memory(_) => None,
        }
    }

    /// The error in `OpenAI`'s shape.
    ///
    /// ```
    /// use router_core::chat::ChatRequest;
    /// use router_core::error::RouteError;
    /// let error = RouteError::from(ChatRequest::parse(b"{}").unwrap_err());
    /// assert_eq!(error.body()["error"]["param"], "messages");
    /// ```
    pub fn body(&self) -> Value {
        self.body_saying(&self.to_string())
    }

    /// The same with another message.
    pub(crate) fn body_saying(&self, message: &str) -> Value {
        json!({"error": {
            "message": message,
            "type": error_type(self.status(), self.kind()),
            "param": self.param(),
            "code": self.kind(),
        }})
    }
}
