//! Builds the rules of a router from config.

use std::path::PathBuf;
use std::sync::Arc;

use crate::config::Config;
use crate::decision::Rules;
use crate::state::ExchangeFault;
use crate::task::Classifier;
use crate::task::LinearScorer;
use crate::task::ModelError;
use crate::upstream::ClientFault;

/// Why a router cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildFault {
    /// The upstreams cannot be set up.
    #[error(transparent)]
    Client(#[from] ClientFault),
    /// The scorer's model is not one of this version.
    #[error("routing.scorer_model: {0}")]
    Scorer(#[from] ModelError),
    /// The scorer's model file cannot be read.
    #[error("routing.scorer_model: {}: {cause}", path.display())]
    ScorerFile {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: std::io::Error,
    },
    /// The place where replicas meet cannot be set up.
    #[error("replicas: {0}")]
    Replicas(ExchangeFault),
    /// This program was built without it.
    #[error("replicas: this program was built without the feature redis")]
    NoReplicas,
    /// The registry holds a metric of ours already.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// The rules that a config sets, with the scorer it names or else the shipped one.
///
/// # Errors
/// The model file that config names cannot be read or is no model of this version.
pub fn rules_of(config: &Config) -> Result<Rules, BuildFault> {
    let scorer = match &config.scoring.model {
        None => LinearScorer::shipped()?,
        Some(path) => {
            let unread = |cause| BuildFault::ScorerFile { path: path.clone(), cause };
            LinearScorer::from_bytes(&std::fs::read(path).map_err(unread)?)?
        }
    };
    Ok(Rules {
        classifier: Classifier::new(Arc::new(scorer), config.scoring.signals),
        policy: config.policy.clone(),
        catalog: config.catalog.clone(),
        capacity: config.capacity.clone(),
    })
}
