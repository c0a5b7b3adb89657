//! The last refusal of each deployment that refuses the router: status, the upstream's own code and
//! the name that was sent.
//!
//! A 401, 403, 404 or 410 takes a deployment out until a probe succeeds. Meanwhile no attempt is
//! made, so the refusal is kept here for health checks and error messages. Only its cooldown
//! decides whether a deployment is out.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use crate::units::DeploymentName;

use super::step::{Ended, Step};

/// A deployment's refusal of the router.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastRefusal {
    /// The upstream's status.
    pub status: u16,
    /// The upstream's code, if it is a word that may be shown.
    pub code: Option<Box<str>>,
    /// The deployment's name as it was sent to the upstream.
    pub sent: Box<str>,
    /// When.
    pub at: Instant,
}

/// In words: ``404 DeploymentNotFound for `gpt-5.4-prod` ``.
impl fmt::Display for LastRefusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.status)?;
        if let Some(code) = &self.code {
            write!(out, " {code}")?;
        }
        write!(out, " for `{}`", self.sent)
    }
}

/// The last refusal of each deployment. Bounded by the deployments of the configuration.
#[derive(Debug, Default)]
pub(super) struct LastRefusals {
    known: Mutex<HashMap<DeploymentName, LastRefusal>>,
    /// The number of refusals, so that a successful answer takes no lock while there are none.
    count: AtomicUsize,
}

impl LastRefusals {
    /// An attempt has ended.
    pub(super) fn attempted(&self, step: Option<&Step>) {
        let Some(step) = step else { return };
        if let Ended::Misconfigured(status) = step.ended {
            let (code, sent) = (step.said.code.clone(), &*step.deployment.azure_deployment);
            let refusal = LastRefusal { status, code, sent: sent.into(), at: Instant::now() };
            let mut known = self.known();
            known.insert(step.deployment.name.clone(), refusal);
            self.count.store(known.len(), Ordering::Relaxed);
        } else if step.ended == Ended::Served && self.count.load(Ordering::Relaxed) > 0 {
            let mut known = self.known();
            known.remove(&step.deployment.name);
            self.count.store(known.len(), Ordering::Relaxed);
        }
    }

    /// The deployments that stay in the configuration keep theirs.
    pub(super) fn keep(&self, stays: impl Fn(&DeploymentName) -> bool) {
        let mut known = self.known();
        known.retain(|name, _| stays(name));
        self.count.store(known.len(), Ordering::Relaxed);
    }

    /// The last refusal of a deployment that has not answered since.
    pub(super) fn of(&self, deployment: &DeploymentName) -> Option<LastRefusal> {
        self.known().get(deployment).cloned()
    }

    fn known(&self) -> MutexGuard<'_, HashMap<DeploymentName, LastRefusal>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
