//! Which models may and should do a task, by config and by what the caller says. The door of the room.

pub mod choice;
pub mod hints;
pub mod names;
pub mod rights;

pub use choice::{Mode, ModelChoice, OnUnavailable, Policy, Role, Target};
pub use hints::{HintFault, Hints, Preference, Priority};
pub use names::{Asked, UnknownModel};
pub use rights::{Overreach, Rights};
