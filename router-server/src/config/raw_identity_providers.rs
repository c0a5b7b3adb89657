//! The tables `[identity_providers.NAME]` as written.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A table `[identity_providers.NAME]`: an issuer whose tokens callers may show in place of a key.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub(crate) struct IdentityProvider {
    /// The issuer, exactly as in the claim `iss` of its tokens; required.
    pub(crate) issuer: Option<String>,
    /// The values of the claim `aud` that are accepted: the ids of the router at the issuer; required.
    pub(crate) audiences: Option<Vec<String>>,
    /// Address of the issuer's public keys (JWKS); that of the issuer's `/.well-known/openid-configuration`.
    pub(crate) jwks_url: Option<String>,
    /// A file (PEM) of certificate authorities trusted for the issuer in addition to the system's; none.
    pub(crate) ca_file: Option<PathBuf>,
    /// The keys that tokens stand for; the first grant that matches a token counts; required.
    pub(crate) grants: Option<Vec<Grant>>,
}

/// One entry of `grants`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Grant {
    /// The key, of `[keys.NAME]`, whose rights and limits apply; required.
    pub(crate) key: Option<String>,
    /// Claims that the token must have, each with this value or with a list that contains it; none: every token.
    pub(crate) claims: BTreeMap<String, String>,
}
