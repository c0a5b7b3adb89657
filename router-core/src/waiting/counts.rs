//! Counts how requests leave a queue. It counts where they leave, because a caller who hangs up leaves no other trace.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::capacity::Entry;

/// Way in which a request left a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaving {
    /// It entered the deployment.
    Entered,
    /// Its wait was over, and it went to another deployment.
    Spilled,
    /// Its wait was over, and there was no other deployment.
    Refused,
    /// Its caller left.
    GaveUp,
    /// The queue was full, or had been standing for too long.
    Shed,
}

impl Leaving {
    /// All, for tables and labels.
    pub const ALL: [Self; 5] =
        [Self::Entered, Self::Spilled, Self::Refused, Self::GaveUp, Self::Shed];

    /// The label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Entered => "entered",
            Self::Spilled => "spilled",
            Self::Refused => "refused",
            Self::GaveUp => "gave_up",
            Self::Shed => "shed",
        }
    }

    /// Meaning of the end of a wait for the request.
    pub(super) fn over(entry: &Entry) -> Self {
        if entry.standing_wait.is_some() { Self::Refused } else { Self::Spilled }
    }
}

/// The counts of one queue.
#[derive(Debug, Default)]
pub(crate) struct QueueCounts {
    entered: AtomicU64,
    spilled: AtomicU64,
    refused: AtomicU64,
    gave_up: AtomicU64,
    shed: AtomicU64,
}

impl QueueCounts {
    fn of(&self, leaving: Leaving) -> &AtomicU64 {
        match leaving {
            Leaving::Entered => &self.entered,
            Leaving::Spilled => &self.spilled,
            Leaving::Refused => &self.refused,
            Leaving::GaveUp => &self.gave_up,
            Leaving::Shed => &self.shed,
        }
    }

    pub(super) fn left(&self, leaving: Leaving) {
        self.of(leaving).fetch_add(1, Ordering::Relaxed);
    }

    /// Requests that left in this way.
    pub(super) fn total(&self, leaving: Leaving) -> u64 {
        self.of(leaving).load(Ordering::Relaxed)
    }

    /// The same as a metric's value.
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    pub(crate) fn count(&self, leaving: Leaving) -> f64 {
        self.total(leaving) as f64
    }
}
