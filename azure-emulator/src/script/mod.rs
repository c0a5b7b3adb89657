//! Faults on demand: what the next requests to a deployment shall meet.

pub mod step;
pub mod written;
