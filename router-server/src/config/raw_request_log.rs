//! The table `[request_log]` as written.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The table `[request_log]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RequestLog {
    /// The file; no default: no log.
    pub(crate) path: Option<PathBuf>,
    /// Beyond this size a new file is begun; no default: never.
    pub(crate) max_bytes: Option<i64>,
    /// Number of full files kept, as `.1` to `.5`; 5.
    pub(crate) keep: Option<i64>,
}
