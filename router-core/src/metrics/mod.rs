//! Every metric: names, labels, buckets, help texts. Nothing that routing needs is decided here. The door of the room.
//!
//! The registry is the embedder's. Label values come from enums and config, never from what a caller or an upstream
//! wrote, so the number of series is bounded by config.

mod answers;
mod failures;
mod keys;
mod observed;
mod priced;
mod provisioned;
mod recorder;
mod replica_gauges;
mod retirement;
mod standing;

pub(crate) use answers::{Account, Settled};
pub(crate) use recorder::InFlight;
pub use recorder::Metrics;
pub(crate) use replica_gauges::ReplicaCollector;
pub(crate) use standing::Watched;
