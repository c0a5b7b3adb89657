//! How much room has each deployment now? The door of the room.

pub mod cooldown;
pub mod drift;
pub mod latency;
pub mod snapshot;
pub mod twin;

pub use cooldown::{Cause, Cooldown};
pub use drift::Drift;
pub use latency::{Latency, Timing};
pub use snapshot::{Snapshot, Standing};
pub use twin::{Size, Ticket, Twin};
