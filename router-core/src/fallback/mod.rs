//! Walks a plan: attempts, one deadline, what may be tried again. The door of the room.

pub mod limits;

pub use limits::{Limits, RetryBudget};
