//! Which models should serve a task, by configuration and by the caller's choices. The module root.

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
