//! The table `[notify]` as written. A part of [`super::raw`].

use serde::{Deserialize, Serialize};

use super::raw::SecretReference;

/// The table `[notify]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Notify {
    /// Address that notices of budgets are posted to: `https://`, or `http://` on this machine; no default: nowhere.
    pub url: Option<String>,
    /// The place of the secret that notices are signed with; required with `url`.
    pub secret: Option<SecretReference>,
}
