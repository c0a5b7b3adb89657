//! Every metric: names, labels, buckets, help texts. It makes no routing decision. The module root.
//!
//! The registry belongs to the embedder. Label values come from enums and config, never from
//! callers or upstreams, so config bounds the number of series.

mod answers;
mod choices;
mod keys;
mod observed;
mod observer;
mod priced;
mod provisioned;
mod ptu_costs;
mod recorder;
mod replica_gauges;
mod retirement;
mod standing;

pub(crate) use recorder::InFlight;
pub(crate) use recorder::Metrics;
pub(crate) use replica_gauges::ReplicaCollector;
pub(crate) use standing::Watched;
