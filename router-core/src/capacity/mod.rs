//! How much room has each deployment now? The door of the room.

pub mod cooldown;
pub mod latency;
pub mod snapshot;

pub use cooldown::{Cause, Cooldown};
pub use latency::{Latency, Timing};
pub use snapshot::{Snapshot, Standing};
