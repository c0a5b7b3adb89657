//! Selects the deployments that may serve a request, and orders them. The module root.
//!
//! Constraints and preference are different types on purpose: `eligible` removes what the request
//! must not or cannot use and returns `Eligible`, and `order` sees only that. No preference,
//! and nothing learned later, can restore a deployment outside the residency. Every deployment
//! keeps the reason for its inclusion or exclusion.

mod constraints;
mod needs;
pub(crate) mod order;
mod plan;
pub(crate) mod refusal;
mod spread;
mod tiers;

pub use constraints::{Candidate, Exclusion, Place};
pub(crate) use constraints::{Constraints, Eligible, Rank, eligible};
pub use needs::Needs;
pub(crate) use order::{Preferences, order};
pub use plan::Plan;
pub use refusal::Refusal;
pub(crate) use refusal::refusal;
pub use tiers::TierOrder;
