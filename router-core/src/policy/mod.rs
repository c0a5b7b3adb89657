//! Which models may and should do a task, by config and by what the caller says. The door of the room.

pub mod choice;
pub mod feature_headers;
pub mod hints;
pub mod names;
pub mod rights;

pub use choice::{CacheKey, HostedTools, Mode, ModelChoice, OnUnavailable, Policy, Role, Target};
pub use feature_headers::{Companion, CompanionHint, Names, switches};
pub use hints::{HintFault, Hints, Preference, Priority, REQUEST_HEADERS, RequestHeader};
pub use names::{RequestedModel, UnknownModel};
pub use rights::{DeniedField, Overreach, Rights};
