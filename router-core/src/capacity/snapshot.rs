//! A copy of what is known of all deployments at a moment: what a decision reads.

use tokio::time::Instant;

use crate::units::DeploymentName;

use super::cooldown::{Cause, Cooldown};
use super::latency::Latency;

/// What is known of one deployment.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Standing {
    /// Until when it is left alone.
    pub cooldown: Cooldown,
    /// How quick it is.
    pub latency: Latency,
    /// How many requests it is serving for us.
    pub in_flight: u32,
}

impl Standing {
    /// The cause and end of the cooldown that holds longest.
    pub fn cooling(&self, now: Instant) -> Option<(Cause, Instant)> {
        self.cooldown.holds(now)
    }
}

/// What is known of all deployments, in the order of their names. Names that are not in it count as new: free, with
/// nothing learned.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    standings: Vec<(DeploymentName, Standing)>,
}

impl Snapshot {
    /// A snapshot of these; names may come in any order.
    pub fn new(standings: impl IntoIterator<Item = (DeploymentName, Standing)>) -> Self {
        let mut standings: Vec<_> = standings.into_iter().collect();
        if !standings.is_sorted_by(|(one, _), (other, _)| one <= other) {
            standings.sort_by(|(one, _), (other, _)| one.cmp(other));
        }
        Self { standings }
    }

    /// What is known of a deployment.
    pub fn standing(&self, name: &DeploymentName) -> Standing {
        let at = self.standings.binary_search_by(|(known, _)| known.cmp(name));
        at.ok()
            .and_then(|at| self.standings.get(at))
            .map(|(_, standing)| *standing)
            .unwrap_or_default()
    }
}
