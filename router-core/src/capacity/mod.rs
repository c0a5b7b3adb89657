//! The capacity of each deployment at a moment. The module root.

mod admission;
mod affinity;
#[cfg(test)]
mod convergence;
mod cooldown;
mod drift;
mod evidence;
mod latency;
mod others;
mod overreservation;
mod probe;
mod quota;
mod quota_weights;
mod reopening;
mod reservation;
mod resized;
mod settings;
mod size;
mod snapshot;
mod twin;

pub use admission::Admission;
pub(crate) use affinity::Affinity;
pub use affinity::{CacheAffinity, Conversation};
pub(crate) use cooldown::Ends;
pub use cooldown::{Cause, Cooldown};
pub use latency::{Latency, Timing};
pub use overreservation::Overreservation;
pub use quota::Quota;
pub(crate) use quota::{LimitReading, QuotaReading, Taken};
pub use reopening::Reopening;
pub(crate) use reservation::OutputLengths;
pub use reservation::{CapClass, Expected, Load};
pub use settings::{QueueOrder, Reserve, Settings};
pub(crate) use settings::{STANDING_WAIT_SHARE, usual_bound_wait};
pub use size::Size;
pub use snapshot::{Asker, DeploymentState, Entry, Snapshot, TooLarge};
pub(crate) use twin::Ticket;
pub use twin::Twin;
