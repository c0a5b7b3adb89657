//! The tables `[keys.NAME]` as written. A part of [`super::raw`].

use serde::{Deserialize, Serialize};

/// A table `[keys.NAME]`: a caller's key.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Key {
    /// The hashes of the keys that callers of this name show, as `router-server key hash` prints them; required unless a grant
    /// of `[identity_providers.NAME]` names the key.
    pub hashes: Option<Vec<String>>,
    /// True if it is accepted; true.
    pub enabled: Option<bool>,
    /// The last day, in UTC, on which it is accepted, such as `2027-06-30`; no default.
    pub expires: Option<String>,
    /// The team that it belongs to: one of `[teams.NAME]`; no default.
    pub team: Option<String>,
    /// Words for its owner's own use, which `GET /v1/usage` repeats; none.
    pub tags: Option<Vec<String>>,
    /// True if it may see `/metrics`, `/v1/route`, `/` and `/readyz?verbose`; false.
    pub operator: Option<bool>,
    /// The roles that it may use: `reasoning`, `chat`; both.
    pub roles: Option<Vec<String>>,
    /// The models that it may use; those of `roles` where that is given, else all.
    pub models: Option<Vec<String>>,
    /// The deployments that it may use; all.
    pub deployments: Option<Vec<String>>,
    /// The area in which all its requests are processed, inside `routing.residency`; no bound of its own.
    pub residency: Option<String>,
    /// The best priority that it may have: `interactive` or `batch`; interactive.
    pub priority: Option<String>,
    /// The one preference that it may have: `cost`, `fast` or `balanced`; the caller's own.
    pub prefer: Option<String>,
    /// The longest time that its requests may be held for a provisioned deployment; no bound of its own.
    pub max_wait_ms: Option<i64>,
    /// The fields that its requests may not have, at any depth, such as `file_id` or `prompt.id`; none.
    pub deny_fields: Option<Vec<String>>,
    /// The most requests to models that begin in any 60 seconds; no bound.
    pub requests_per_minute: Option<i64>,
    /// The most tokens, of prompts and answers, in any 60 seconds; no bound.
    pub tokens_per_minute: Option<i64>,
    /// The maximum number of concurrent requests; no bound.
    pub max_in_flight: Option<i64>,
    /// Budget of a UTC day; no bound.
    pub daily_budget_usd: Option<f64>,
    /// Budget of a UTC month; no bound.
    pub monthly_budget_usd: Option<f64>,
}

/// A table `[teams.NAME]`: keys that share one budget in addition to their own.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Team {
    /// Budget of all its keys in a UTC day; no bound.
    pub daily_budget_usd: Option<f64>,
    /// Budget of all its keys in a UTC month; no bound.
    pub monthly_budget_usd: Option<f64>,
    /// The most tokens of all its keys, of prompts and answers, in any 60 seconds; no bound.
    pub tokens_per_minute: Option<i64>,
}
