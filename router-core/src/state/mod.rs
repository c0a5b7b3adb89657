//! The state of deployments: snapshots to decide from, events to learn from. The module root.

pub mod capacity_state;
pub mod changes;
pub mod event;
mod learning;
mod quota_pool;
pub mod renewal;
mod slot;

pub use capacity_state::CapacityState;
pub use changes::{Changes, Move};
pub use event::{Cooldowns, Event, NoRoom, Turn};
pub use renewal::{Kept, Renewal};
