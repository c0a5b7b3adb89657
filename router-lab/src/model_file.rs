//! Reads the model file of the task scorer that a command names, or the shipped model.

use std::path::{Path, PathBuf};

use router_core::task::{LinearScorer, ModelError};

/// The reason why there is no model.
#[derive(Debug, thiserror::Error)]
pub enum ModelFileError {
    /// The file cannot be read.
    #[error("{path}: cannot be read: {why}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's error.
        why: std::io::Error,
    },
    /// The file is not a model for this program.
    #[error("{path}: {why}")]
    Invalid {
        /// The file, or `shipped model`.
        path: String,
        /// Fault of the file.
        why: ModelError,
    },
}

/// The scorer of a model file; the shipped one if no file is named.
pub(crate) fn scorer(path: Option<&Path>) -> Result<LinearScorer, ModelFileError> {
    let Some(path) = path else {
        let path = "shipped model".to_owned();
        return LinearScorer::shipped().map_err(|why| ModelFileError::Invalid { path, why });
    };
    let unreadable = |why| ModelFileError::Unreadable { path: path.to_owned(), why };
    let bytes = std::fs::read(path).map_err(unreadable)?;
    let invalid = |why| ModelFileError::Invalid { path: path.display().to_string(), why };
    LinearScorer::from_bytes(&bytes).map_err(invalid)
}
