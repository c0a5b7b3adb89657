//! The plan of a request: the entries to try, in order.
//!
//! Not done here: the order (`order.rs`).

use std::sync::Arc;

use crate::deployment::Deployment;

use super::constraints::{Candidate, Place};

/// The deployments to try, in order; never empty. A deployment that lists service tiers may stand in it once for each tier; no
/// other is repeated.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Plan {
    /// The first to try.
    pub first: Arc<Deployment>,
    /// The others, in order.
    pub rest: Vec<Arc<Deployment>>,
}

impl Plan {
    /// The candidates that are in; `None` if none is.
    pub(crate) fn of(candidates: &[Candidate]) -> Option<Self> {
        let mut inside = candidates
            .iter()
            .filter(|candidate| matches!(candidate.place, Place::In(_)))
            .map(|candidate| Arc::clone(&candidate.deployment));
        let first = inside.next()?;
        Some(Self { first, rest: inside.collect() })
    }

    /// All, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Deployment>> {
        std::iter::once(&self.first).chain(&self.rest)
    }
}
