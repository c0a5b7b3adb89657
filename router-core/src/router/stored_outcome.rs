//! The result of a call of a stored response: an attempt for the log and the metrics, and the caller's error.
//!
//! Nothing is sent here (`stored_call.rs`).

use crate::error::RouteError;
use crate::fallback::Ended;
use crate::fallback::SendingFault;
use crate::fallback::passing::NotWhole;
use crate::fallback::relay::NotOpened;
use crate::upstream::Outcome;
use crate::upstream::Said;
use crate::upstream::Unreachable;

/// A call that failed: how its attempt ended, and what the caller gets.
pub(super) struct Failed {
    pub(super) ended: Ended,
    pub(super) said: Said,
    pub(super) error: RouteError,
}

impl Failed {
    fn new(ended: Ended, fault: SendingFault) -> Self {
        Self { ended, said: Said::default(), error: sending(fault) }
    }

    pub(super) fn unreachable(fault: Unreachable) -> Self {
        match fault {
            Unreachable::Timeout => Self::new(Ended::Timeout, SendingFault::Timeout),
            Unreachable::Connect => Self::new(Ended::Connect, SendingFault::Failed),
            Unreachable::Broken => Self::new(Ended::Broken, SendingFault::Failed),
        }
    }

    pub(super) fn not_whole(why: NotWhole) -> Self {
        match why {
            NotWhole::Unreachable(fault) => Self::unreachable(fault),
            NotWhole::Memory(short) => {
                Self { error: short.into(), ..Self::new(Ended::Broken, SendingFault::Failed) }
            }
        }
    }

    pub(super) fn not_opened(why: NotOpened) -> Self {
        match why {
            NotOpened::Timeout => Self::unreachable(Unreachable::Timeout),
            NotOpened::Broken => Self::unreachable(Unreachable::Broken),
            NotOpened::Error(reported) => {
                let said = Said { status: None, ..Said::read(0, &reported.body) };
                Self { said, ..Self::new(Ended::ErrorEvent, SendingFault::Failed) }
            }
        }
    }
}

/// A 404 is the caller's to hear: the response may have expired.
const NOT_FOUND: u16 = 404;

pub(super) fn ended(outcome: &Outcome, status: u16) -> Ended {
    match outcome {
        Outcome::Served => Ended::Served,
        Outcome::Throttled { wait, kind } => Ended::Throttled(*kind, wait.unwrap_or_default()),
        Outcome::ExceedsQuota { .. } => Ended::ExceedsQuota,
        Outcome::Failed { wait: None } => Ended::Status(status),
        Outcome::Failed { wait: Some(wait) } => Ended::Unavailable { status, wait: *wait },
        Outcome::Misconfigured if status != NOT_FOUND => Ended::Misconfigured(status),
        Outcome::Misconfigured
        | Outcome::FieldRefused(_)
        | Outcome::ValueRefused(_)
        | Outcome::ContextLength
        | Outcome::Unreadable
        | Outcome::Rejected => Ended::Rejected(status),
    }
}

pub(super) fn refused(outcome: &Outcome, status: u16, bound: bool) -> Result<(), RouteError> {
    match outcome {
        Outcome::Throttled { wait, .. } => {
            Err(RouteError::Sending { fault: SendingFault::Throttled, wait: *wait, bound })
        }
        Outcome::Failed { wait: None } => Err(sending(SendingFault::Failed)),
        Outcome::Failed { wait } => {
            Err(RouteError::Sending { fault: SendingFault::Unavailable, wait: *wait, bound })
        }
        Outcome::Misconfigured if status != NOT_FOUND => Err(sending(SendingFault::Misconfigured)),
        Outcome::Misconfigured
        | Outcome::Served
        | Outcome::ExceedsQuota { .. }
        | Outcome::FieldRefused(_)
        | Outcome::ValueRefused(_)
        | Outcome::ContextLength
        | Outcome::Unreadable
        | Outcome::Rejected => Ok(()),
    }
}

fn sending(fault: SendingFault) -> RouteError {
    RouteError::Sending { fault, wait: None, bound: false }
}
