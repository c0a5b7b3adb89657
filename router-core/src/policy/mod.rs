//! Chooses the models for a task, by configuration and by the caller's choices. The module root.

mod choice;
mod choose;
mod effort;
pub mod feature_headers;
mod hints;
mod literal;
mod names;
mod prefix_hash;
mod rights;
pub(crate) mod routing_rule;
mod rule_match;

pub(crate) use choice::{CacheKey, HostedTools, OnUnavailable, Target};
pub use choice::{Mode, ModelChoice, Policy, Role};
pub(crate) use choose::Preset;
pub use choose::{Added, ChoiceSettings, Choose, ReasoningValue};
pub use effort::{EffortLadder, RoleEffort};
pub use feature_headers::{Companion, CompanionHint};
pub(crate) use feature_headers::{Names, switches};
pub use hints::{HintFault, Hints, Preference, Priority, REQUEST_HEADERS};
pub(crate) use literal::Literal;
pub use names::{RequestedModel, UnknownModel};
pub use prefix_hash::PrefixHash;
pub use rights::{DeniedField, Overreach, Rights};
pub use routing_rule::Sender;
pub(crate) use routing_rule::{
    Conditions, Effects, HeaderCondition, HeaderMatch, RoutingRule, RuleTable, Span,
};
