//! Tables of the program around the router, such as a server: they are in the same files, and the router does not use them.
//!
//! The server has tables for its listener, its log and the identities of callers. An embedding program can load a server's
//! file: these tables are accepted there and not checked. A program with [`ProgramTables`] of its own reads and checks them
//! together with the router's, so that all faults are reported at once, each with its file and key.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::upstream::SecretSource;

use super::fault::Key;
use super::raw::Raw;
use super::table::Table;

/// The names of these tables.
pub(super) const PROGRAM_TABLES: [&str; 5] =
    ["server", "request_log", "identity_providers", "notify", "traces"];

/// Reads and checks the tables that belong to the program around the router.
pub trait ProgramTables: Default + Serialize + DeserializeOwned {
    /// The checked settings.
    type Settings;

    /// Checks the tables, records every fault under its key, and returns the settings. They are used only if no fault was
    /// found in any table.
    fn check(&self, router: &Raw, top: &Table<'_>) -> Self::Settings;

    /// True if callers are identified as this key by other means than a hash. Without them, a key must have a hash.
    fn needs_no_hash(&self, key: &str) -> bool;

    /// The secrets that the settings refer to, each with its key. A secret that does not exist is a warning.
    fn secrets(settings: &Self::Settings) -> Vec<(Key, SecretSource)>;
}

/// Accepts the tables as they are.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Unchecked {}

impl ProgramTables for Unchecked {
    type Settings = ();

    fn check(&self, _router: &Raw, _top: &Table<'_>) {}

    /// The embedding program identifies callers.
    fn needs_no_hash(&self, _key: &str) -> bool {
        true
    }

    fn secrets((): &()) -> Vec<(Key, SecretSource)> {
        Vec::new()
    }
}

/// A table of the program as written. Nothing in this crate reads its values.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProgramTable(Option<Value>);

impl ProgramTable {
    /// True if the table is not in any layer.
    pub(super) fn is_absent(&self) -> bool {
        self.0.is_none()
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for ProgramTable {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ProgramTable".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "object" })
    }
}

#[cfg(test)]
mod tests {
    use super::super::checked::Config;
    use crate::units::Day;

    const ROUTER: &str = r#"
        [endpoints.seoul]
        url = "https://seoul.openai.azure.com"
        api = "azure_v1"
        api_key = { env = "SEOUL_KEY" }
        [deployments.payg]
        endpoint = "seoul"
        model = "gpt-5.2"
        sku = "GlobalStandard"
        [roles]
        reasoning.models = ["gpt-5.2"]
        chat.models = ["gpt-5.2"]
    "#;

    fn faults(more: &str) -> String {
        let today = Day::try_from("2026-11-23").unwrap();
        let config = Config::from_toml(&format!("{ROUTER}\n{more}"), today);
        config.err().map(|faults| faults.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_servers_tables_are_accepted_unchecked() {
        let server = "[server]\nlisten = 7\nno_such_key = [1]\n[traces]\nendpoint = false\n[notify]\n[request_log]\n\
            keep = \"x\"\n[identity_providers.a]\ngrants = 1\n[keys.team]\n";
        assert_eq!(faults(server), "");
    }

    #[test]
    fn other_names_of_tables_are_faults() {
        assert!(faults("[serve]\nlisten = 7\n").starts_with("serve: unknown key"));
    }
}
