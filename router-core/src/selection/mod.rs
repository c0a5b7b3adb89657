//! Selects the deployments that may serve a request, and orders them. The module root.
//!
//! Constraints and preference are different types on purpose: [`eligible`] removes what the request
//! must not or cannot use and returns [`Eligible`], and [`order()`] sees only that. No preference,
//! and nothing learned later, can restore a deployment outside the residency. Every deployment
//! keeps the reason for its inclusion or exclusion.

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
