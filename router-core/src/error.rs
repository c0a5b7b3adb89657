//! What can go wrong on the way, whose side it is, and what the caller is told.
//!
//! Each room has its own error; here they meet, one variant a room. The HTTP status is not decided here but in the
//! program that serves. Texts for the caller hold no secret, no endpoint and no text of a message.

use std::time::Duration;

use serde_json::{Value, json};

use crate::chat::RequestFault;
use crate::decision::Refusal;
use crate::fallback::SendingFault;
use crate::ledger::LimitReached;
use crate::policy::HintFault;
use crate::policy::Overreach;
use crate::policy::UnknownModel;
use crate::stored::Stored;
use crate::stored::UnknownResponse;

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
    /// The caller's key has used what it may.
    #[error(transparent)]
    Limit(#[from] LimitReached),
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
        /// True where the residency allows no other place to go to.
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

impl RouteError {
    /// A word for labels, logs and the `code` of the caller's error.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Request(_) => "invalid_request",
            Self::Hint(_) => "invalid_header",
            Self::Overreach(over) if over.is_residency() => "residency_not_allowed",
            Self::Overreach(_) => "not_allowed_for_key",
            Self::Limit(reached) if reached.is_spent() => "insufficient_quota",
            Self::Limit(_) => "rate_limit_exceeded",
            Self::Model(_) => "model_not_found",
            Self::Stored(unknown) => match unknown.what {
                Stored::Previous => "previous_response_not_found",
                Stored::Response | Stored::Item | Stored::Conversation => "response_not_found",
            },
            Self::Refused(refusal) => match refusal {
                Refusal::Residency { .. } => "residency_unsatisfiable",
                Refusal::Ability { .. } => "unsupported_by_model",
                Refusal::ContextWindow { .. } => "context_length_exceeded",
                Refusal::Retired { .. } => "model_retired",
                Refusal::NotAllowed { .. } => "not_allowed_for_key",
                Refusal::Full { bound: true, .. } => "capacity_in_residency_exhausted",
                Refusal::Full { bound: false, .. } => "capacity_exhausted",
                Refusal::Elsewhere { .. } => "model_not_at_owner",
                Refusal::Disabled => "deployment_disabled",
                Refusal::Misconfigured => "upstream_misconfigured",
            },
            Self::Sending { fault, bound, .. } => match fault {
                SendingFault::Throttled if *bound => "capacity_in_residency_exhausted",
                SendingFault::Throttled => "capacity_exhausted",
                SendingFault::Misconfigured => "upstream_misconfigured",
                SendingFault::Timeout => "upstream_timeout",
                SendingFault::Failed => "upstream_failed",
                SendingFault::Unsupported { .. } => "unsupported_parameter",
            },
        }
    }

    /// Whose side it is on.
    pub fn side(&self) -> Side {
        match self.kind() {
            "upstream_misconfigured" | "deployment_disabled" => Side::Router,
            "upstream_timeout"
            | "upstream_failed"
            | "capacity_exhausted"
            | "capacity_in_residency_exhausted" => Side::Upstream,
            _ => Side::Caller,
        }
    }

    /// True where the same request may succeed later.
    pub fn may_retry(&self) -> bool {
        let later = matches!(self, Self::Limit(reached) if reached.wait().is_some());
        later || self.side() == Side::Upstream
    }

    /// How long to wait before trying again, where every deployment is full or a key's limit is reached.
    pub fn wait(&self) -> Option<Duration> {
        match self {
            Self::Limit(reached) => reached.wait(),
            Self::Refused(Refusal::Full { wait, .. }) => Some(*wait),
            Self::Sending { fault: SendingFault::Throttled, wait, .. } => *wait,
            Self::Sending { .. }
            | Self::Request(_)
            | Self::Hint(_)
            | Self::Overreach(_)
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
            Self::Model(_) => Some("model"),
            Self::Stored(unknown) => unknown.what.field(),
            Self::Sending { fault: SendingFault::Unsupported { fields, .. }, .. } => {
                fields.first().copied()
            }
            Self::Refused(Refusal::ContextWindow { .. }) => Some("messages"),
            Self::Refused(_) | Self::Sending { .. } | Self::Limit(_) => None,
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
        let kind = match self.side() {
            Side::Caller if matches!(self, Self::Limit(_)) => "rate_limit_error",
            Side::Caller => "invalid_request_error",
            Side::Router => "server_error",
            Side::Upstream if self.wait().is_some() => "rate_limit_error",
            Side::Upstream => "upstream_error",
        };
        json!({"error": {
            "message": self.to_string(),
            "type": kind,
            "param": self.param(),
            "code": self.kind(),
        }})
    }
}
