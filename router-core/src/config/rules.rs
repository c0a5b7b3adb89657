//! The rules of decisions, from a checked configuration. Available without the feature `http-client`.

use std::path::PathBuf;
use std::sync::Arc;

use crate::decision::Rules;
use crate::task::Classifier;
use crate::task::LinearScorer;
use crate::task::ModelError;
use crate::task::Scorer;

use super::checked::Config;

/// The reason why the task scorer cannot be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScorerFault {
    /// The model is not one of this version.
    #[error("routing.scorer_model: {0}")]
    Model(#[from] ModelError),
    /// The model file cannot be read.
    #[error("routing.scorer_model: {}: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's error.
        cause: std::io::Error,
    },
}

impl Config {
    /// The rules, with the scorer of `routing.scorer_model`, or the shipped one.
    ///
    /// # Errors
    /// The model file cannot be read, or is not a model of this version.
    pub fn rules(&self) -> Result<Rules, ScorerFault> {
        let scorer = match &self.scoring.model {
            None => LinearScorer::shipped()?,
            Some(path) => {
                let bytes = std::fs::read(path);
                let fault = |cause| ScorerFault::File { path: path.clone(), cause };
                LinearScorer::from_bytes(&bytes.map_err(fault)?)?
            }
        };
        Ok(self.rules_with(Arc::new(scorer.remembering(self.scoring.segments_max))))
    }

    /// The rules with another scorer; `routing.scorer_model` is not read.
    pub fn rules_with(&self, scorer: Arc<dyn Scorer>) -> Rules {
        Rules {
            classifier: Classifier::new(scorer, self.scoring.signals),
            policy: self.policy.clone(),
            catalog: self.catalog.clone(),
            capacity: self.capacity.clone(),
        }
    }
}
