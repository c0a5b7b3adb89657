//! What happens at deployments and in conversations, as far as capacity learns from it.
//!
//! No rule is here: who keeps the state says what each event means.

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

/// What happened at a deployment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Event {
    /// An attempt is over, however it ended; every ticket is given back by one. `used` is in normalized tokens.
    Ended {
        /// What it took when it entered.
        ticket: Ticket,
        /// What it used; `None` where it was refused or failed.
        used: Option<f64>,
    },
    /// It let an attempt in.
    Admitted(Ticket),
    /// It answered well, in this service tier.
    Served(ServiceTier, Timing),
    /// It is provisioned and full.
    Full {
        /// What the attempt took when it entered.
        ticket: Ticket,
        /// After this time it will have room.
        wait: Duration,
        /// How full it says that it is: 1.0 is 100 %.
        utilization: Option<f64>,
    },
    /// It asked to be left alone for this time by requests in this service tier.
    Throttled(ServiceTier, Duration),
    /// It failed and asked to be left alone for this time.
    Unavailable(Duration),
    /// It refused a request that alone exceeds its whole quota; smaller ones pass.
    ExceedsQuota {
        /// What the request weighs.
        load: Load,
        /// The tokens allowed in a minute; `None` if it does not say.
        limit: Option<u64>,
    },
    /// It refuses requests of this size for a time; smaller ones pass.
    TooLarge(Load, Duration),
    /// The region has no capacity for the model in this service tier: its whole pool is left alone.
    PoolExhausted(ServiceTier, Duration),
    /// It said in the head of an answer how full it is: 1.0 is 100 %.
    Utilization(Ticket, f64),
    /// It said what is left of its quota.
    /// With the ticket of the attempt that it answered; without, if it refused it.
    Quota(Option<Ticket>, QuotaReading),
    /// It could not be reached, broke off or answered 5xx.
    Failed,
    /// It answered 401, 403, 404 or 410.
    Misconfigured,
}

/// How long deployments are left alone after faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cooldowns {
    /// After the first fault; doubled by each further one.
    pub fault: Duration,
    /// The longest after faults.
    pub fault_max: Duration,
    /// After an answer that says that config or rights are wrong.
    pub misconfigured: Duration,
}

/// A turn of a conversation that was answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    /// Whose it is.
    pub asker: Asker,
    /// What kind of task.
    pub task: Task,
    /// How long the answer was.
    pub output: Tokens,
    /// Where it was answered.
    pub home: CacheAffinity,
}

/// Why there is no room for an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoRoom {
    /// The deployment is full for this time, by draining alone.
    Full(Duration),
    /// It is coming back after faults, and others try it already.
    Recovering,
    /// It has reached its configured number of concurrent requests.
    Busy,
}
