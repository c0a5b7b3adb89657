//! A request that waits for capacity, and its position in the order of the queue.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::policy::Priority;

/// Requests that may enter before one that ranks higher but needs an emptier deployment.
pub(super) const MOST_PASSES: u32 = 8;

/// Requests of its own key that may enter before one that blocks the deployment.
const MOST_DEFERRALS: u32 = 4;

/// A request in the queue.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Request {
    pub(super) priority: Priority,
    /// A number that identifies the key.
    pub(super) key: u64,
    /// The tokens that it reserves, or is expected to use.
    pub(super) weight: f64,
    /// The level, as a share of the capacity, up to which it may enter.
    pub(super) entry_level: f64,
    /// True if it reserves far more than it is likely to use, as a stream without a cap does.
    pub(super) blocks: bool,
    /// Its arrival.
    pub(super) since: Instant,
    /// Longest stay in a standing queue; `None` if the request has another deployment to go to and therefore waits only briefly.
    pub(super) standing_wait: Option<Duration>,
}

/// A place in the queue.
#[derive(Debug)]
pub(super) struct Joined {
    pub(super) number: u64,
    pub(super) bell: Arc<Notify>,
}

/// A waiter's permission to try to enter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Position {
    /// It may.
    Next,
    /// Others go first.
    Behind,
    /// It has to leave.
    Shed,
}

/// A waiter and its place in the order of arrival.
#[derive(Debug, Clone, Copy)]
pub(super) struct Numbered<'q> {
    pub(super) number: u64,
    pub(super) waiter: &'q Waiter,
}

#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) request: Request,
    pub(super) bell: Arc<Notify>,
    /// Lower-ranked requests that have entered before it.
    pub(super) passed: u32,
    pub(super) evicted: bool,
}

impl Waiter {
    pub(super) fn new(request: Request) -> Self {
        Self { request, bell: Arc::default(), passed: 0, evicted: false }
    }

    /// True if others of its key go first. While it runs nobody enters, and the deployment may drain empty meanwhile; the
    /// fuller the deployment is when it enters, the less is lost.
    pub(super) fn is_deferred(&self) -> bool {
        self.request.blocks && self.passed < MOST_DEFERRALS && self.request.standing_wait.is_some()
    }

    /// True if it was passed so often that nobody may pass it again. A request with somewhere else to go need not fear that.
    pub(super) fn is_barrier(&self) -> bool {
        self.passed >= MOST_PASSES && self.request.standing_wait.is_some()
    }
}
