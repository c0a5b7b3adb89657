//! How much room has each deployment now? The door of the room.

pub mod admission;
pub mod affinity;
pub mod blocking;
pub mod cooldown;
pub mod doubt;
pub mod drift;
pub mod latency;
pub mod open;
pub mod others;
pub mod quota;
pub mod reservation;
mod resized;
pub mod settings;
pub mod size;
pub mod snapshot;
pub mod twin;

pub use admission::Admission;
pub use affinity::{Affinity, Conversation, Home};
pub use blocking::Blocking;
pub use cooldown::{Cause, Cooldown, Ends};
pub use doubt::{Doubt, Guard};
pub use drift::Drift;
pub use latency::{Latency, Timing};
pub use quota::{Left, LimitReading, Quota, QuotaReading, Taken};
pub use reservation::{CapClass, Expected, Habits, Load};
pub use settings::{QueueOrder, Reserve, STANDING_WAIT_SHARE, Settings, usual_bound_wait};
pub use size::Size;
pub use snapshot::{Asker, Entry, Snapshot, Standing, TooLarge};
pub use twin::{Ticket, Told, Twin};
