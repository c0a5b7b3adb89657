//! The capacity of each deployment at a moment. The module root.

pub mod admission;
pub mod affinity;
#[cfg(test)]
mod convergence;
pub mod cooldown;
pub mod drift;
mod evidence;
pub mod latency;
pub mod others;
pub mod overreservation;
pub mod probe;
pub mod quota;
pub mod quota_weights;
pub mod reopening;
pub mod reservation;
mod resized;
pub mod settings;
pub mod size;
pub mod snapshot;
pub mod twin;

pub use admission::Admission;
pub use affinity::{Affinity, CacheAffinity, Conversation};
pub use cooldown::{Cause, Cooldown, Ends};
pub use drift::Drift;
pub use latency::{Latency, Timing};
pub use overreservation::Overreservation;
pub use probe::{Headroom, Probe};
pub use quota::{Left, LimitReading, Quota, QuotaReading, Taken};
pub use quota_weights::{QuotaWeights, Sent};
pub use reopening::Reopening;
pub use reservation::{CapClass, Expected, ExpectedByTask, Load, OutputLengths};
pub use settings::{QueueOrder, Reserve, STANDING_WAIT_SHARE, Settings, usual_bound_wait};
pub use size::Size;
pub use snapshot::{Asker, DeploymentState, Entry, Snapshot, TooLarge};
pub use twin::{Ticket, Twin};
