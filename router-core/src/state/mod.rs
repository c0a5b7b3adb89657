//! Where capacity lives: a snapshot to decide from, events to learn from. The door of the room.

pub mod capacity_state;
pub mod event;
pub mod in_process;
pub mod news;
pub mod outbox;
pub mod renewal;

pub use capacity_state::CapacityState;
pub use event::{Closed, Cooldowns, Event, Turn};
pub use in_process::InProcess;
pub use news::{Ledger, News};
pub use outbox::Outbox;
pub use renewal::{Kept, Renewal};
