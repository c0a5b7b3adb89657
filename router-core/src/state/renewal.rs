//! Decides which deployments keep their state when the configuration changes.
//!
//! Calls of the old configuration still run and return what they reserved, so a deployment that stays shares one state with
//! the old configuration. A different deployment under an old name starts with an empty state; running calls of the old one
//! report to the old state.

use std::collections::BTreeMap;

use tokio::time::Instant;

use crate::capacity::Settings;
use crate::deployment::Catalog;
use crate::deployment::Deployment;
use crate::units::DeploymentName;

use super::event::Cooldowns;

/// The part of its state that a deployment keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// All of its state.
    Whole,
    /// All but the cooldowns that its configuration or credential caused.
    Mended,
}

impl Kept {
    /// The part that a deployment of the same name and address keeps; `None` if it is a different one. `rekeyed` is true if its
    /// credential has changed.
    pub fn of(before: &Deployment, after: &Deployment, rekeyed: bool) -> Option<Self> {
        let same = before.model.name == after.model.name
            && before.billing.is_provisioned() == after.billing.is_provisioned()
            && before.azure_deployment == after.azure_deployment;
        let written = before.api == after.api && before.area == after.area;
        same.then_some(if written && !rekeyed { Self::Whole } else { Self::Mended })
    }
}

/// The part of a new configuration that the state needs.
#[derive(Debug, Clone, Copy)]
pub struct Renewal<'r> {
    /// The deployments from now on.
    pub catalog: &'r Catalog,
    /// Cooldowns after faults.
    pub cooldowns: Cooldowns,
    /// Settings of capacity.
    pub settings: &'r Settings,
    /// The deployments that stay; all others start with an empty state.
    pub kept: &'r BTreeMap<DeploymentName, Kept>,
    /// The time of the change.
    pub now: Instant,
}
