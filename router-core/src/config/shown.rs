//! The raw configuration -> TOML that reads as the same configuration.
//!
//! Only set values are written: a written default would stay if the program's default changes.

use serde::Serialize;
use toml::{Table, Value};

use super::raw::Raw;

/// A configuration holds a value that TOML cannot say.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot be written as TOML: {0}")]
pub struct Unwritable(Box<str>);

impl Raw {
    /// All that is set, as TOML; the program's tables as they are written.
    ///
    /// ```
    /// use router_core::config::raw::Raw;
    /// let mut raw = Raw::default();
    /// raw.limits.deadline_ms = Some(5_000);
    /// assert_eq!(raw.to_toml()?, "[limits]\ndeadline_ms = 5000\n");
    /// # Ok::<(), router_core::config::Unwritable>(())
    /// ```
    ///
    /// # Errors
    /// A path is not Unicode.
    pub fn to_toml(&self) -> Result<String, Unwritable> {
        self.to_toml_with(&Table::new())
    }

    /// The same with these tables in place of the program's as they are written.
    ///
    /// # Errors
    /// A path is not Unicode.
    pub fn to_toml_with(&self, program: &impl Serialize) -> Result<String, Unwritable> {
        let unwritable = |fault: toml::ser::Error| Unwritable(fault.to_string().into());
        let mut tables = Table::try_from(self).map_err(unwritable)?;
        tables.extend(Table::try_from(program).map_err(unwritable)?);
        let inner_tables = [
            ("routing", &["signals"][..]),
            ("roles", &["reasoning", "chat"]),
            ("traces", &["headers"]),
        ];
        for (table, inner) in inner_tables {
            if let Some(Value::Table(table)) = tables.get_mut(table) {
                table.retain(|key, value| !inner.contains(&key) || !is_empty(value));
            }
        }
        // These tables are always there; one of the tables below them, such as an endpoint, only if it was written.
        tables.retain(|_, value| !is_empty(value));
        toml::to_string_pretty(&tables).map_err(unwritable)
    }
}

fn is_empty(value: &Value) -> bool {
    value.as_table().is_some_and(Table::is_empty)
}
