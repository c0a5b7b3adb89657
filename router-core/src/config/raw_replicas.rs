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
    /// Number of routers that serve together, 1 to 1000; 1. It only makes `check` warn of values that each would count alone.
    pub count: Option<i64>,
    /// Prefix of all its Redis keys: routers with the same prefix share their state; model-router.
    pub prefix: Option<String>,
    /// Interval at which routers exchange changes, 5 to 1000; 25.
    pub sync_ms: Option<i64>,
    /// Longest time that a request waits for a value that only others know, 0 to 1000; 5.
    pub budget_ms: Option<i64>,
    /// After this time of silence a router counts as gone, 500 to 60000; 3000.
    pub ttl_ms: Option<i64>,
}
