//! The table `[notify]` as written.

use router_core::config::raw::SecretReference;
use serde::{Deserialize, Serialize};

/// The table `[notify]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Notify {
    /// Address that notices of budgets are posted to: `https://`, or `http://` on this machine; no default: nowhere.
    pub(crate) url: Option<String>,
    /// The place of the secret that notices are signed with; required with `url`.
    pub(crate) secret: Option<SecretReference>,
}
