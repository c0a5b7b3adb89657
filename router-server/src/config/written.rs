//! All tables of a configuration as written: to show them, and as a JSON Schema.

use router_core::config::raw::Raw;
use router_core::config::{ConfigFaults, Hide, Layers, Unwritable};
#[cfg(feature = "schema")]
use serde_json::Value;

use super::tables::Tables;

/// The tables of the router and of the server, unchecked.
#[derive(Debug)]
pub(crate) struct Written {
    router: Raw,
    pub(crate) tables: Tables,
}

impl Written {
    /// All layers without the shipped model records.
    ///
    /// # Errors
    /// Every fault of reading; values are not checked.
    pub(crate) fn read(layers: &Layers) -> Result<Self, ConfigFaults> {
        let (router, tables) = layers.raw()?;
        Ok(Self { router, tables })
    }

    /// Hides what a support ticket should not reveal.
    pub(crate) fn redacted(mut self) -> Self {
        let mut hide = Hide::default();
        self.router.redact(&mut hide);
        self.tables.redact(&mut hide);
        self
    }

    /// The values that are set, as TOML.
    ///
    /// # Errors
    /// A path is not Unicode.
    pub(crate) fn to_toml(&self) -> Result<String, Unwritable> {
        self.router.to_toml_with(&self.tables)
    }
}

/// The JSON Schema of all tables.
#[cfg(feature = "schema")]
pub(crate) fn schema() -> Value {
    let mut schema = router_core::config::schema();
    let own = router_core::config::schema_of::<Tables>("Tables of the server");
    for part in ["properties", "$defs"] {
        let entries = own.get(part).and_then(Value::as_object).cloned().unwrap_or_default();
        if let Some(whole) = schema.get_mut(part).and_then(Value::as_object_mut) {
            whole.extend(entries);
        }
    }
    schema
}
