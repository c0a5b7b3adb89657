//! The trait behind which capacity lives: a snapshot to decide from, events to learn from.
//!
//! Small, so that replicas can share what they know through another implementation; nobody outside this room knows which
//! one it is. Every call is quick and never waits for anything outside the process.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::capacity::Asker;
use crate::capacity::DeploymentState;
use crate::capacity::Entry;
use crate::capacity::Snapshot;
use crate::capacity::Ticket;
use crate::units::DeploymentName;

use super::event::Event;
use super::event::NoRoom;
use super::event::Turn;
use super::in_process::InProcess;
use super::renewal::Renewal;

/// What is known of the deployments, shared by all requests.
pub trait CapacityState: Debug + Send + Sync {
    /// The state under a new config. Calls of the old one go on giving back what they took: deployments that stay have one
    /// standing for both.
    fn renewed(&self, renewal: &Renewal<'_>) -> Arc<dyn CapacityState>;

    /// A copy of what is known of all deployments and of who asks.
    fn snapshot(&self, asker: Asker, now: Instant) -> Snapshot;

    /// Shows what is known of one deployment where it lies, by calling `at` exactly once; of an unknown one, what is known of
    /// a new one. A lock may be held meanwhile: `at` neither asks the state nor waits.
    fn look(&self, deployment: &DeploymentName, at: &mut dyn FnMut(&DeploymentState));

    /// Takes room for an attempt that is sent now; `doubtful` also where there seems to be none, if it is time to see
    /// whether that is true.
    ///
    /// # Errors
    /// There is no room.
    fn enter(
        &self,
        deployment: &DeploymentName,
        entry: &Entry,
        doubtful: bool,
        now: Instant,
    ) -> Result<Ticket, NoRoom>;

    /// Learns what happened. A deployment that is not known is ignored: config may have dropped it meanwhile.
    fn learn(&self, deployment: &DeploymentName, event: Event, now: Instant);

    /// The state of this process, where it is one: what other replicas tell is put in there.
    fn in_process(self: Arc<Self>) -> Option<Arc<InProcess>> {
        None
    }

    /// After this time what is known may have changed though nothing happened here: who waits for room looks again.
    fn changes_every(&self) -> Duration {
        Duration::from_secs(1)
    }

    /// Learns how long an answer was and where its conversation is at home.
    fn remember(&self, turn: &Turn, now: Instant);
}

impl dyn CapacityState {
    /// A copy of what is known of one deployment.
    pub fn standing(&self, deployment: &DeploymentName) -> DeploymentState {
        self.see(deployment, |standing| *standing)
    }

    /// One thing of what is known of a deployment: a standing is large, and its parts are asked for several times a request.
    pub fn see<T: Default>(
        &self,
        deployment: &DeploymentName,
        part: impl FnOnce(&DeploymentState) -> T,
    ) -> T {
        let (mut part, mut seen) = (Some(part), None);
        self.look(deployment, &mut |standing| seen = part.take().map(|part| part(standing)));
        seen.unwrap_or_default()
    }
}
