//! Where capacity lives: a snapshot to decide from, events to learn from.
//!
//! One small trait, so that replicas can share what they know through another implementation; the one here keeps it in
//! this process. Each deployment has a lock of its own, held for a few instructions and never across an await.

use std::fmt::Debug;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::capacity::Snapshot;
use crate::capacity::Standing;
use crate::capacity::Timing;
use crate::deployment::Catalog;
use crate::units::DeploymentName;

/// What happened at a deployment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Event {
    /// An attempt was sent.
    Sent,
    /// An attempt is over, however it ended; every `Sent` is followed by one.
    Ended,
    /// It answered well.
    Served(Timing),
    /// It answered 429 and asked for this wait.
    Throttled(Duration),
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

/// What is known of the deployments, shared by all requests.
pub trait CapacityState: Debug + Send + Sync {
    /// A copy of what is known of all deployments.
    fn snapshot(&self) -> Snapshot;

    /// What is known of one deployment.
    fn standing(&self, deployment: &DeploymentName) -> Standing;

    /// Learns what happened. A deployment that is not known is ignored: config may have dropped it meanwhile.
    fn learn(&self, deployment: &DeploymentName, event: Event, now: Instant);
}

/// The state kept in this process.
#[derive(Debug)]
pub struct InProcess {
    slots: Vec<(DeploymentName, Mutex<Standing>)>,
    cooldowns: Cooldowns,
}

impl InProcess {
    /// Nothing learned yet about any deployment of the catalog.
    pub fn new(catalog: &Catalog, cooldowns: Cooldowns) -> Self {
        let slots = catalog.deployments().iter();
        let slots = slots.map(|known| (known.name.clone(), Mutex::default())).collect();
        Self { slots, cooldowns }
    }

    fn slot(&self, deployment: &DeploymentName) -> Option<&Mutex<Standing>> {
        let at = self.slots.binary_search_by(|(known, _)| known.cmp(deployment)).ok()?;
        self.slots.get(at).map(|(_, slot)| slot)
    }
}

/// A copy; a lock that a panic left behind still holds a whole value.
fn copy(slot: &Mutex<Standing>) -> Standing {
    *slot.lock().unwrap_or_else(PoisonError::into_inner)
}

impl CapacityState for InProcess {
    fn snapshot(&self) -> Snapshot {
        Snapshot::new(self.slots.iter().map(|(name, slot)| (name.clone(), copy(slot))))
    }

    fn standing(&self, deployment: &DeploymentName) -> Standing {
        self.slot(deployment).map(copy).unwrap_or_default()
    }

    fn learn(&self, deployment: &DeploymentName, event: Event, now: Instant) {
        let Some(slot) = self.slot(deployment) else { return };
        let mut standing = slot.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Sent => standing.in_flight = standing.in_flight.saturating_add(1),
            Event::Ended => standing.in_flight = standing.in_flight.saturating_sub(1),
            Event::Served(timing) => {
                standing.cooldown.serve();
                standing.latency.learn(now, timing);
            }
            Event::Throttled(wait) => standing.cooldown.throttle(now, wait),
            Event::Failed => {
                standing.cooldown.fail(now, self.cooldowns.fault, self.cooldowns.fault_max);
            }
            Event::Misconfigured => {
                standing.cooldown.misconfigure(now, self.cooldowns.misconfigured);
            }
        }
    }
}
