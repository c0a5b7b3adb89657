//! Chooses the models for a task, by configuration and by the caller's choices. The module root.

pub mod choice;
pub mod choose;
pub mod effort;
pub mod feature_headers;
pub mod hints;
pub mod literal;
pub mod names;
pub mod prefix_hash;
pub mod rights;
pub mod routing_rule;
mod rule_match;

pub use choice::{CacheKey, HostedTools, Mode, ModelChoice, OnUnavailable, Policy, Role, Target};
pub use choose::{Added, ChoiceSettings, Choose, Preset, ReasoningValue};
pub use effort::{EffortLadder, RoleEffort};
pub use feature_headers::{Companion, CompanionHint, Names, switches};
pub use hints::{HintFault, Hints, Preference, Priority, REQUEST_HEADERS, RequestHeader};
pub use literal::Literal;
pub use names::{RequestedModel, UnknownModel};
pub use prefix_hash::{MOST_HASHED, PrefixHash, PrefixHashFault};
pub use rights::{DeniedField, Overreach, Rights};
pub use routing_rule::{
    Conditions, Effects, HeaderCondition, HeaderMatch, RoutingRule, RuleTable, Sender, Span,
};
