//! A fault of a configuration: key, origin and problem.
//!
//! Faults (nothing starts) and warnings (it starts, but needs attention) share this type, because
//! both are shown in one line. A problem never repeats the value of a credential.

use std::fmt;
use std::path::PathBuf;

/// The keys that lead to a value, from the top.
///
/// A key that is not a bare key of TOML is shown in quotes: `models."gpt-5.2".retires`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Vec<String>);

impl Key {
    /// The key below this one.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        let mut parts = self.0.clone();
        parts.push(name.to_owned());
        Self(parts)
    }

    /// The keys, from the top; none for the file as a whole.
    pub fn parts(&self) -> &[String] {
        &self.0
    }

    /// The environment variable that sets this key.
    pub fn variable(&self) -> String {
        format!("ROUTER__{}", self.0.join("__").to_uppercase())
    }
}

impl From<Vec<String>> for Key {
    fn from(parts: Vec<String>) -> Self {
        Self(parts)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bare = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
        for (index, part) in self.0.iter().enumerate() {
            let gap = if index == 0 { "" } else { "." };
            if !part.is_empty() && part.chars().all(bare) {
                write!(out, "{gap}{part}")?;
            } else {
                write!(out, "{gap}{part:?}")?;
            }
        }
        Ok(())
    }
}

/// Source of a value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere, or in a text without a name.
    #[default]
    Unnamed,
    /// In the model records that come with this library.
    Shipped,
    /// In a file.
    File(PathBuf),
    /// In the environment, by the key's variable.
    Environment,
}

/// One thing that is wrong, or that somebody should look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Source of the value, or the table that lacks it.
    pub origin: Origin,
    /// The key; empty if the whole file is meant.
    pub key: Key,
    /// The fault and the allowed values, in one line.
    pub problem: String,
    /// For a warning: `check` reports it as a fault. A router that already runs with such a value
    /// still starts.
    pub strict: bool,
}

impl Fault {
    /// A fault whose origin is not known yet.
    pub(super) fn new(key: Key, problem: impl Into<String>) -> Self {
        Self { origin: Origin::Unnamed, key, problem: problem.into(), strict: false }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = self.key.parts().is_empty();
        match &self.origin {
            Origin::Environment if !whole => {
                return write!(out, "{}: {}", self.key.variable(), self.problem);
            }
            Origin::Unnamed | Origin::Environment => {}
            Origin::Shipped => out.write_str("shipped model records: ")?,
            Origin::File(path) => write!(out, "{}: ", path.display())?,
        }
        if !whole {
            write!(out, "{}: ", self.key)?;
        }
        out.write_str(&self.problem)
    }
}

/// Every fault of a configuration, shown one a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", lines(.0))]
pub struct ConfigFaults(pub Vec<Fault>);

fn lines(faults: &[Fault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_one_line_with_its_origin() {
        let key = Key::default().child("models").child("gpt-5.2").child("retires");
        let mut fault = Fault::new(key, "must be a day");
        assert_eq!(fault.to_string(), "models.\"gpt-5.2\".retires: must be a day");
        fault.origin = Origin::File("a/b.toml".into());
        assert_eq!(fault.to_string(), "a/b.toml: models.\"gpt-5.2\".retires: must be a day");
        fault.key = Key::default();
        assert_eq!(fault.to_string(), "a/b.toml: must be a day");
        fault.key = Key::default().child("server").child("drain_ms");
        fault.origin = Origin::Environment;
        assert_eq!(fault.to_string(), "ROUTER__SERVER__DRAIN_MS: must be a day");
        fault.origin = Origin::Shipped;
        assert_eq!(fault.to_string(), "shipped model records: server.drain_ms: must be a day");
    }
}
