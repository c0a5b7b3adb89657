//! The interval between syncs, and the timeouts.

use std::time::Duration;

/// The interval between syncs, and the timeouts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncSettings {
    /// The longest time between two syncs.
    pub sync: Duration,
    /// The longest time that a request waits for a look-up of what only other replicas know.
    pub budget: Duration,
    /// After this time without a sync a replica counts as gone.
    pub ttl: Duration,
}

impl Default for SyncSettings {
    fn default() -> Self {
        Self {
            sync: Duration::from_millis(25),
            budget: Duration::from_millis(5),
            ttl: Duration::from_secs(3),
        }
    }
}

impl SyncSettings {
    /// The shortest time between two syncs: cooldowns are sent after this time.
    pub(crate) fn soonest(&self) -> Duration {
        (self.sync / 5).max(Duration::from_millis(1))
    }

    /// A sync that takes longer has failed.
    pub fn patience(&self) -> Duration {
        (self.ttl / 3).max(self.sync)
    }
}
