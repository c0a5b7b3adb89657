//! Capacity that is reserved at a deployment for one attempt. Dropping the guard releases it, wherever that happens.
//!
//! Not done here: what an attempt has used (`fallback::active_attempt` says so before it drops the guard).

use std::sync::Arc;

use tokio::time::Instant;

use crate::capacity::Ticket;
use crate::deployment::Deployment;
use crate::state::Event;

use super::Waiting;

/// Capacity reserved for one attempt.
#[derive(Debug)]
pub struct ReservedCapacity {
    waiting: Arc<Waiting>,
    deployment: Arc<Deployment>,
    ticket: Ticket,
    used: Option<f64>,
}

impl ReservedCapacity {
    pub(super) fn new(
        waiting: &Arc<Waiting>,
        deployment: &Arc<Deployment>,
        ticket: Ticket,
    ) -> Self {
        let (waiting, deployment) = (Arc::clone(waiting), Arc::clone(deployment));
        // Until an attempt is sent, nothing is used.
        Self { waiting, deployment, ticket, used: Some(0.0) }
    }

    /// The deployment.
    pub fn deployment(&self) -> &Arc<Deployment> {
        &self.deployment
    }

    /// State against which the deployment's responses are compared.
    pub fn ticket(&self) -> Ticket {
        self.ticket
    }

    /// The queues and the state that the reservation belongs to.
    pub fn waiting(&self) -> &Waiting {
        &self.waiting
    }

    /// Sets what is settled on release, in normalized tokens; `None` if the deployment refused or failed the attempt.
    pub fn set_used(&mut self, used: Option<f64>) {
        self.used = used;
    }
}

impl Drop for ReservedCapacity {
    fn drop(&mut self) {
        let Self { ticket, used, .. } = *self;
        self.waiting.learn(&self.deployment.name, Event::Ended { ticket, used }, Instant::now());
    }
}
