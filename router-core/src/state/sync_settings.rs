//! How often and how patiently replicas keep in touch.

use std::time::Duration;

/// How replicas keep in touch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pace {
    /// How often they meet.
    pub sync: Duration,
    /// How long a request may wait for what only the others know: who made a stored response.
    pub budget: Duration,
    /// After this time of silence a replica counts as gone.
    pub ttl: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            sync: Duration::from_millis(25),
            budget: Duration::from_millis(5),
            ttl: Duration::from_secs(3),
        }
    }
}

impl Pace {
    /// Bad news is told after this time already.
    pub fn soonest(&self) -> Duration {
        (self.sync / 5).max(Duration::from_millis(1))
    }

    /// A meeting that takes longer has failed.
    pub fn patience(&self) -> Duration {
        (self.ttl / 3).max(self.sync)
    }

    /// For how long what was told is kept: a replica that was silent for longer begins anew.
    pub fn keep(&self) -> Duration {
        self.ttl * 3
    }
}
