//! The state of deployments: snapshots to decide from, events to learn from. The module root.

mod capacity_state;
mod changes;
mod event;
mod learning;
mod quota_pool;
mod renewal;
mod slot;

pub use capacity_state::CapacityState;
pub(crate) use changes::{Changes, Move};
pub(crate) use event::{Cooldowns, NoRoom};
pub use event::{Event, Turn};
pub(crate) use renewal::{Kept, Renewal};
