//! A team: keys that share one budget in addition to their own.
//!
//! A team has an account of its own in the ledger. Its name begins with a prefix that no key may have, so that replicas share
//! it and restore it as they do a key's.

use std::sync::Arc;

use crate::units::KeyName;

use super::allowance::Allowance;

/// Prefix of team account names.
pub(crate) const TEAM_PREFIX: &str = "team__";

/// The team of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Team {
    /// Its name in config.
    pub name: KeyName,
    /// The name of its account in the ledger.
    pub(crate) account: Arc<str>,
    /// Limits that the team's keys share.
    pub allowance: Allowance,
}

impl Team {
    /// A team of this name.
    pub fn new(name: KeyName, allowance: Allowance) -> Self {
        let account = format!("{TEAM_PREFIX}{name}").into();
        Self { name, account, allowance }
    }

    /// The name of its account in the ledger.
    pub fn account(&self) -> &str {
        &self.account
    }
}
