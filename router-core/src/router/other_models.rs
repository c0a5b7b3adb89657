//! Tracks deployments that answer as another model than configured, because Azure upgrades some in
//! place.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::deployment::Deployment;
use crate::metrics::Metrics;
use crate::units::DeploymentName;
use crate::upstream::said::token;

/// More pairs than this are counted, but not told one by one: their number is up to the upstreams.
const MOST: usize = 1_000;

/// A deployment and a model that answered for it.
type Pair = (DeploymentName, Box<str>);

/// The pairs that the log has been told.
#[derive(Debug, Clone, Default)]
pub(super) struct OtherModels(Arc<Mutex<HashSet<Pair>>>);

impl OtherModels {
    /// Counts an answer of another model; the log hears of each pair once.
    pub(super) fn check(&self, metrics: &Metrics, deployment: &Deployment, answered: Option<&str>) {
        let configured = deployment.model.name.as_str();
        let Some(answered) = answered else { return };
        // A dated version of the same model is the same model: gpt-4o-2024-11-20.
        let version = answered.strip_prefix(configured);
        if version.is_some_and(|rest| rest.is_empty() || rest.starts_with("-20")) {
            return;
        }
        metrics.mismatched(deployment);
        if self.is_new(deployment, answered) {
            let answered = token(answered);
            tracing::warn!(deployment = %deployment.name, configured, answered, "another model answered");
        }
    }

    fn is_new(&self, deployment: &Deployment, answered: &str) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.len() < MOST && told.insert((deployment.name.clone(), answered.into()))
    }
}
