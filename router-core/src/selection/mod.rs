//! Which deployments, in what order? Hard constraints first, preference second. The door of the room.
//!
//! The two are different types on purpose: [`eligible`] removes what the request must not or cannot use and gives
//! [`Eligible`], and [`order()`] sees only that. So no preference, and nothing learned later, can bring back a deployment
//! outside the residency. Every deployment keeps the reason for being in or out.

pub mod constraints;
pub mod needs;
pub mod order;
pub mod plan;
pub mod refusal;
mod spread;
pub mod tiers;

pub use constraints::{Candidate, Constraints, Eligible, Exclusion, Place, Rank, eligible};
pub use needs::Needs;
pub use order::{Preferences, order};
pub use plan::Plan;
pub use refusal::Refusal;
pub(crate) use refusal::refusal;
pub use tiers::TierOrder;
