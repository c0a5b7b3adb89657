//! The table `[replicas]` as written.

use serde::{Deserialize, Serialize};

use super::raw::SecretReference;

/// The table `[replicas]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Replicas {
    /// The Redis over which routers share what they know: `redis://host:port/database`, `rediss://` with TLS; no default:
    /// each router is alone.
    pub url: Option<String>,
    /// The user at that Redis; no default.
    pub username: Option<String>,
    /// The password there; no default.
    pub password: Option<SecretReference>,
    /// How many routers serve together, 1 to 1000; 1. It only makes `check` warn of what they would each count alone.
    pub count: Option<i64>,
    /// What all its keys begin with: routers of one prefix share what they know; model-router.
    pub prefix: Option<String>,
    /// How often routers tell each other what is new, 5 to 1000; 25.
    pub sync_ms: Option<i64>,
    /// How long a request waits for what only others know, 0 to 1000; 5.
    pub budget_ms: Option<i64>,
    /// After this time of silence a router counts as gone, 500 to 60000; 3000.
    pub ttl_ms: Option<i64>,
}
