//! The trail of a request: which deployments were tried, how each attempt ended, and why none answered.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::chat::FieldSet;
use crate::chat::Usage;
use crate::deployment::Deployment;
use crate::trace::SpanId;
use crate::upstream::Throttle;

/// One attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Where it went.
    pub deployment: Arc<Deployment>,
    /// How it ended.
    pub ended: Ended,
    /// When it began.
    pub began: Instant,
    /// How long it took, to the head of the answer or to the first content of a stream.
    pub took: Duration,
    /// The id under which the upstream knows it; `None` where no traces are kept.
    pub span: Option<SpanId>,
}

/// What else happened on the way.
#[derive(Debug, Clone, PartialEq)]
pub enum Note {
    /// It was held for a full deployment.
    Held {
        /// The deployment.
        deployment: Arc<Deployment>,
        /// For how long.
        took: Duration,
        /// True where room came in time.
        entered: bool,
    },
    /// It went on because a provisioned deployment was full.
    Spilled {
        /// The deployment.
        deployment: Arc<Deployment>,
        /// Why it was not held any longer.
        cause: Spill,
    },
    /// It went on because the deployment is coming back after faults, and others try it already.
    Recovering {
        /// The deployment.
        deployment: Arc<Deployment>,
    },
    /// A learned cap cut its answer off, and it was asked again.
    AskedAgain {
        /// Where that answer came from.
        deployment: Arc<Deployment>,
        /// What that answer used.
        usage: Usage,
        /// How long it took.
        took: Duration,
    },
    /// It was asked beside another deployment, which was quicker.
    Outrun {
        /// The deployment.
        deployment: Arc<Deployment>,
        /// What it may bill: the prompt.
        usage: Usage,
    },
}

impl Note {
    /// How long the request was held.
    pub fn held(&self) -> Duration {
        match self {
            Self::Held { took, .. } => *took,
            Self::Spilled { .. }
            | Self::Recovering { .. }
            | Self::AskedAgain { .. }
            | Self::Outrun { .. } => Duration::ZERO,
        }
    }
}

/// Why a request left a full provisioned deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spill {
    /// The wait is longer than it may be held.
    Wait,
    /// It was held as long as it may be.
    Held,
    /// It was refused, and may not be held any longer.
    Refused,
    /// It serves as many requests as config allows.
    Busy,
}

impl Spill {
    /// The word used in labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Wait => "full",
            Self::Held => "held",
            Self::Refused => "throttled",
            Self::Busy => "in_flight",
        }
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It was answered.
    Served,
    /// 429, with the wait that we keep.
    Throttled(Throttle, Duration),
    /// 429: the request alone exceeds the whole quota.
    ExceedsQuota,
    /// No connection came about.
    Connect,
    /// No answer came in time; it may have been billed.
    Timeout,
    /// The connection or the stream broke off before the first content.
    Broken,
    /// An error came in place of an answer: before the first content of a stream, or as the body of a 200.
    ErrorEvent,
    /// 408, 5xx or a redirect, which is not followed.
    Status(u16),
    /// The same with the wait that it asks for.
    Unavailable {
        /// The status.
        status: u16,
        /// The wait.
        wait: Duration,
    },
    /// 401, 403, 404 or 410.
    Misconfigured(u16),
    /// 400 or 422 that named fields which may be left out.
    FieldRefused(FieldSet),
    /// 400 or 422: it does not take this value of the field.
    ValueRefused(FieldSet),
    /// 400: the prompt is too long for the model.
    ContextLength,
    /// 400: it cannot read an encrypted item, which another resource made.
    Unreadable,
    /// Another deployment, asked as well, was quicker; it may have been billed.
    Outrun,
    /// Another answer that is the caller's own.
    Rejected(u16),
}

/// What every call of a retired model is answered.
const GONE: u16 = 410;

impl Ended {
    /// The word used in labels and headers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Served => "served",
            Self::Throttled(..) => "throttled",
            Self::ExceedsQuota => "exceeds_quota",
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Broken => "broken",
            Self::ErrorEvent => "error_event",
            Self::Status(_) | Self::Unavailable { .. } => "status_5xx",
            Self::Misconfigured(GONE) => "retired",
            Self::Misconfigured(_) => "misconfigured",
            Self::FieldRefused(_) | Self::ValueRefused(_) => "field_refused",
            Self::ContextLength => "context_length",
            Self::Unreadable => "encrypted_content",
            Self::Outrun => "outrun",
            Self::Rejected(_) => "rejected",
        }
    }

    /// True for faults of the upstream: another attempt after one draws on the retry budget.
    pub fn is_fault(self) -> bool {
        match self {
            Self::Connect
            | Self::Timeout
            | Self::Broken
            | Self::ErrorEvent
            | Self::Status(_)
            | Self::Unavailable { .. } => true,
            Self::Served
            | Self::Throttled(..)
            | Self::ExceedsQuota
            | Self::Misconfigured(_)
            | Self::FieldRefused(_)
            | Self::ValueRefused(_)
            | Self::ContextLength
            | Self::Unreadable
            | Self::Outrun
            | Self::Rejected(_) => false,
        }
    }
}

/// Why no deployment answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendingFault {
    /// At least one asked to be left alone for a time.
    #[error("every deployment is full")]
    Throttled,
    /// Every one that is left asked for a time without requests after a fault.
    #[error("every deployment is unavailable for a time")]
    Unavailable,
    /// Every one refuses us.
    #[error("every deployment is misconfigured")]
    Misconfigured,
    /// None answered in time.
    #[error("no deployment answered in time")]
    Timeout,
    /// The last one failed.
    #[error("no deployment could answer")]
    Failed,
    /// The request needs fields that the model does not take, and config forbids changing them.
    #[error("{model} does not take {}", fields.join(", "))]
    Unsupported {
        /// The model.
        model: String,
        /// The fields.
        fields: Vec<&'static str>,
    },
}

#[cfg(feature = "http-client")]
impl SendingFault {
    /// Why nobody answered: a wait is the most useful thing to hear, then what the last attempts came to.
    pub(super) fn of(trail: &[Step], late: bool) -> Self {
        let any = |wanted: fn(&Ended) -> bool| trail.iter().any(|step| wanted(&step.ended));
        if trail.is_empty() || any(|ended| matches!(ended, Ended::Throttled(..))) {
            // An empty trail: every deployment began to cool between decision and walk.
            return if late { Self::Timeout } else { Self::Throttled };
        }
        let waits = |ended: &Ended| matches!(ended, Ended::Unavailable { .. });
        let mut faults = trail.iter().filter(|step| step.ended.is_fault()).peekable();
        if faults.peek().is_some() && faults.all(|step| waits(&step.ended)) {
            return Self::Unavailable;
        }
        match trail.last().map(|step| step.ended) {
            Some(Ended::Timeout) => Self::Timeout,
            Some(Ended::Misconfigured(_)) if !any(|ended| ended.is_fault()) => Self::Misconfigured,
            Some(_) | None => Self::Failed,
        }
    }
}
