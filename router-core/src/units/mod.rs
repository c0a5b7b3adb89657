//! Validated numbers and names. The module root.
//!
//! This module does not know what the values are used for; a rule that needs another module belongs to that module.

mod amount;
mod day;
mod name;

pub use amount::{Tokens, Usd, UsdPerMillionTokens};
pub use day::Day;
pub use name::{DeploymentName, KeyName, ModelName, NameFault};
