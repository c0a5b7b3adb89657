//! Events at deployments and in conversations from which the state of capacity learns.
//!
//! No rule is here: `learning.rs` applies the events.

use std::time::Duration;

use crate::capacity::Asker;
use crate::capacity::CacheAffinity;
use crate::capacity::Load;
use crate::capacity::QuotaReading;
use crate::capacity::Ticket;
use crate::capacity::Timing;
use crate::model::ServiceTier;
use crate::task::Task;
use crate::units::Tokens;

/// An event at a deployment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Event {
    /// An attempt has ended in any way. Every ticket is returned by one such event.
    Ended {
        /// The reservation of the attempt.
        ticket: Ticket,
        /// Normalized tokens that it used; `None` if it was refused or failed.
        used: Option<f64>,
    },
    /// It accepted an attempt.
    Admitted(Ticket),
    /// It answered successfully, in this service tier.
    Served(ServiceTier, Timing),
    /// It is provisioned and full.
    Full {
        /// The reservation of the attempt.
        ticket: Ticket,
        /// The wait that it requests.
        wait: Duration,
        /// The utilization that it reports: 1.0 is 100 %.
        utilization: Option<f64>,
    },
    /// It requested this wait for requests in this service tier.
    Throttled(ServiceTier, Duration),
    /// It failed and requested this wait.
    Unavailable(Duration),
    /// It refused a request that alone exceeds its whole quota; smaller ones pass.
    ExceedsQuota {
        /// The request's tokens.
        load: Load,
        /// The tokens allowed in a minute; `None` if not reported.
        limit: Option<u64>,
    },
    /// It refuses requests of this size for a time; smaller ones pass.
    TooLarge(Load, Duration),
    /// The region has no capacity for the model in this service tier: the whole pool gets a cooldown.
    PoolExhausted(ServiceTier, Duration),
    /// It reported its utilization in the head of an answer: 1.0 is 100 %.
    Utilization(Ticket, f64),
    /// It reported the rest of its quota. The ticket is that of the answered attempt; `None` if it refused the attempt.
    Quota(Option<Ticket>, QuotaReading),
    /// It could not be reached, broke off or answered 5xx.
    Failed,
    /// It answered 401, 403, 404 or 410.
    Misconfigured,
}

impl Event {
    /// True if requests may not go to the deployment for a while.
    pub fn closes(&self) -> bool {
        match self {
            Self::Full { .. }
            | Self::Throttled(..)
            | Self::Unavailable(_)
            | Self::TooLarge(..)
            | Self::PoolExhausted(..)
            | Self::Failed
            | Self::Misconfigured => true,
            Self::Ended { .. }
            | Self::Admitted(_)
            | Self::Served(..)
            | Self::ExceedsQuota { .. }
            | Self::Utilization(..)
            | Self::Quota(..) => false,
        }
    }
}

/// Durations of cooldowns after faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cooldowns {
    /// After the first fault; doubled by each further one.
    pub fault: Duration,
    /// The longest after faults.
    pub(crate) fault_max: Duration,
    /// After an answer that shows a wrong configuration or missing permissions.
    pub misconfigured: Duration,
}

/// A turn of a conversation that was answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    /// The caller and the conversation.
    pub asker: Asker,
    /// The kind of task.
    pub task: Task,
    /// The length of the answer.
    pub output: Tokens,
    /// The deployment that answered, with its prompt cache.
    pub home: CacheAffinity,
}

/// The reason why an attempt may not enter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoRoom {
    /// The deployment is full; draining alone takes this time.
    Full(Duration),
    /// It is recovering after faults, and other requests already try it.
    Recovering,
    /// It has reached its configured number of concurrent requests.
    Busy,
}
