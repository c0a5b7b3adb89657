//! The errors of building a router.

use crate::config::ScorerFault;
use crate::replicas::ExchangeFault;
use crate::upstream::ClientFault;

/// The reason why a router cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildFault {
    /// The upstreams cannot be set up.
    #[error(transparent)]
    Client(#[from] ClientFault),
    /// The task scorer cannot be loaded.
    #[error(transparent)]
    Scorer(#[from] ScorerFault),
    /// The exchange of replicas cannot be set up.
    #[error("replicas: {0}")]
    Replicas(ExchangeFault),
    /// This program was built without it.
    #[error("replicas: this program was built without the feature redis")]
    NoReplicas,
    /// The registry already holds a metric of the router.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}
