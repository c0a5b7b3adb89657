//! The tables `[roles.reasoning]` and `[roles.chat]` as written.

use serde::{Deserialize, Serialize};

/// The tables `[roles.reasoning]` and `[roles.chat]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Roles {
    /// The role of tasks that need reasoning.
    pub reasoning: Role,
    /// The role of simple chat.
    pub chat: Role,
}

/// A role.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Role {
    /// Names of models, the preferred one first.
    pub models: Option<Vec<String>>,
    /// The effort of requests that set none: `none`, `minimal`, `low`, `medium`, `high`, `xhigh`, `max`.
    pub effort: Option<String>,
    /// Treatment of requests if no deployment may serve the role: `downgrade` or `reject`.
    pub on_unavailable: Option<String>,
    /// Longest time to an upstream's first byte; reasoning 600000, chat 60000.
    pub first_byte_timeout_ms: Option<i64>,
}
