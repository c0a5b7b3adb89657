//! Everything that can go wrong with a request, and the response that it becomes: status, headers and body.
//!
//! Each module has its own error; here they meet, one variant for each module. Texts for the caller hold no secret, no
//! endpoint and no text of a message.
//!
//! The official clients wait as `retry-after-ms` or `retry-after` says; `x-should-retry` overrules their own judgement.
//!
//! Not done here: which status and `error.type` a kind of error has (`error_kind`).
//!
//! **Source:** openai-python, `_base_client.py`: `_should_retry`, `_parse_retry_after_header`.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use serde_json::{Value, json};

use crate::chat::RequestFault;
use crate::decision::Refusal;
use crate::error_kind::Kind;
use crate::error_kind::Side;
use crate::fallback::SendingFault;
use crate::ledger::LimitReached;
use crate::memory::MemoryShort;
use crate::policy::DeniedField;
use crate::policy::HintFault;
use crate::policy::Overreach;
use crate::policy::UnknownModel;
use crate::stored::Stored;
use crate::stored::UnknownResponse;

/// The header in milliseconds that the official clients prefer to `retry-after`.
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");
/// The header by which a service overrules the official clients' own judgement.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
/// The longest wait that a client is asked to sit out; the official clients ignore longer ones.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The wait for memory: running requests return it within about this time.
const MEMORY_WAIT: Duration = Duration::from_secs(1);

/// The reason why a request got no answer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
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
        /// The cause.
        fault: SendingFault,
        /// The shortest wait.
        wait: Option<Duration>,
        /// True if a residency binds the request.
        bound: bool,
    },
}

impl RouteError {
    /// Its kind, which defines the status and `error.code`.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Request(_) => Kind::InvalidRequest,
            Self::Hint(_) => Kind::InvalidHeader,
            Self::Overreach(over) if over.is_residency() => Kind::ResidencyNotAllowed,
            Self::Overreach(_) => Kind::NotAllowedForKey,
            Self::Field(_) => Kind::FieldNotAllowed,
            Self::Limit(reached) if reached.is_spent() => Kind::InsufficientQuota,
            Self::Limit(_) => Kind::RateLimitExceeded,
            Self::Memory(_) => Kind::RouterOverloaded,
            Self::Model(_) => Kind::ModelNotFound,
            Self::Stored(unknown) => match unknown.what {
                Stored::Previous => Kind::PreviousResponseNotFound,
                Stored::Response | Stored::Item | Stored::Conversation => Kind::ResponseNotFound,
                Stored::Object => Kind::ObjectNotFound,
            },
            Self::Refused(refusal) => match refusal {
                Refusal::Residency { .. } => Kind::ResidencyUnsatisfiable,
                Refusal::Ability { .. } => Kind::UnsupportedByModel,
                Refusal::ContextWindow { .. } => Kind::ContextLengthExceeded,
                Refusal::HostedTool { .. } => Kind::HostedToolNotAllowed,
                Refusal::Retired { .. } => Kind::ModelRetired,
                Refusal::NotAllowed { .. } => Kind::NotAllowedForKey,
                Refusal::Full { bound: true, .. } => Kind::CapacityInResidencyExhausted,
                Refusal::Full { bound: false, .. } => Kind::CapacityExhausted,
                Refusal::Elsewhere { .. } => Kind::ModelNotAtOwner,
                Refusal::Unavailable { .. } => Kind::UpstreamUnavailable,
                Refusal::ExceedsQuota => Kind::RequestExceedsQuota,
                Refusal::Disabled => Kind::DeploymentDisabled,
                Refusal::Misconfigured => Kind::UpstreamMisconfigured,
            },
            Self::Sending { fault, bound, .. } => match fault {
                SendingFault::Throttled if *bound => Kind::CapacityInResidencyExhausted,
                SendingFault::Throttled => Kind::CapacityExhausted,
                SendingFault::Unavailable => Kind::UpstreamUnavailable,
                SendingFault::Misconfigured => Kind::UpstreamMisconfigured,
                SendingFault::Timeout | SendingFault::GaveUp => Kind::UpstreamTimeout,
                SendingFault::Failed => Kind::UpstreamFailed,
                SendingFault::Unsupported { .. } => Kind::UnsupportedParameter,
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
        self.kind().status()
    }

    /// The responsible side.
    pub fn side(&self) -> Side {
        self.kind().side()
    }

    /// True if the same request may succeed later.
    pub fn may_retry(&self) -> bool {
        if matches!(self, Self::Sending { fault: SendingFault::GaveUp, .. }) {
            // Each try is minutes of paid work.
            return false;
        }
        let later = matches!(self, Self::Limit(reached) if reached.wait().is_some());
        later || matches!(self, Self::Memory(_)) || self.side() == Side::Upstream
    }

    /// The wait before another try: every deployment is full or unavailable, or a key's limit is reached.
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

    /// True if trying again helps; `None` leaves the judgement to the client.
    pub fn should_retry(&self) -> Option<bool> {
        let wait = self.wait();
        match self.status() {
            // A key's exhausted limit is restored within a minute, or not soon.
            _ if matches!(self, Self::Limit(_)) => Some(wait.is_some()),
            StatusCode::TOO_MANY_REQUESTS if self.may_retry() => {
                Some(wait.is_none_or(|wait| wait <= LONGEST_WAIT))
            }
            StatusCode::TOO_MANY_REQUESTS => Some(false),
            status if status.is_server_error() => Some(self.may_retry()),
            _ => None,
        }
    }

    /// The headers of the response: its content type, how long to wait, and whether trying again helps.
    ///
    /// ```
    /// use router_core::decision::Refusal;
    /// use router_core::error::RouteError;
    /// let wait = std::time::Duration::from_millis(400);
    /// let error = RouteError::from(Refusal::Full { wait, bound: false });
    /// assert_eq!(error.status(), 429);
    /// assert_eq!(error.headers()["retry-after-ms"], "400");
    /// assert_eq!(error.headers()["x-should-retry"], "true");
    /// ```
    pub fn headers(&self) -> HeaderMap {
        error_headers(self.wait(), self.should_retry())
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
        error_body(self.kind(), message, self.param())
    }
}

/// The body of every error response, in `OpenAI`'s shape.
pub fn error_body(kind: Kind, message: &str, param: Option<&str>) -> Value {
    json!({"error": {
        "message": message,
        "type": kind.error_type(),
        "param": param,
        "code": kind.as_str(),
    }})
}

/// The headers of every error response.
pub fn error_headers(wait: Option<Duration>, should_retry: Option<bool>) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(4);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(wait) = wait {
        let milliseconds = u64::try_from(wait.as_micros().div_ceil(1_000)).unwrap_or(u64::MAX);
        // A zero means "at once" to most clients.
        let milliseconds = milliseconds.max(1);
        headers.insert(RETRY_AFTER, milliseconds.div_ceil(1_000).into());
        headers.insert(RETRY_AFTER_MS, milliseconds.into());
    }
    if let Some(retry) = should_retry {
        let word = if retry { "true" } else { "false" };
        headers.insert(SHOULD_RETRY, HeaderValue::from_static(word));
    }
    headers
}

/// The response that a caller gets.
impl From<&RouteError> for Response<Bytes> {
    fn from(error: &RouteError) -> Self {
        let mut response = Self::new(error.body().to_string().into());
        *response.status_mut() = error.status();
        *response.headers_mut() = error.headers();
        response
    }
}
