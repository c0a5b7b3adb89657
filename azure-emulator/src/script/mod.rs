//! Faults on demand: what the next requests to a deployment meet.

pub mod step;
pub mod written;
