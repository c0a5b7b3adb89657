//! Tracks deployments that answer as another model than configured, because Azure upgrades some in
//! place.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::deployment::Deployment;
use crate::record::Observer;
use crate::record::RequestRecord;
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
    fn is_new(&self, deployment: &Deployment, answered: &str) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.len() < MOST && told.insert((deployment.name.clone(), answered.into()))
    }
}

/// The log names each pair once.
impl Observer for OtherModels {
    fn closed(&self, record: &RequestRecord) {
        let Some(answer) = record.answer.as_ref().filter(|answer| answer.is_of_another_model())
        else {
            return;
        };
        let deployment = &answer.deployment;
        let configured = deployment.model.name.as_str();
        let answered = answer.model.as_deref().unwrap_or_default();
        if self.is_new(deployment, answered) {
            let answered = token(answered);
            tracing::warn!(deployment = %deployment.name, configured, answered, "another model answered");
        }
    }
}
