//! What becomes of the state when config changes: who stays, and with what of what is known of it.
//!
//! Calls of the old config are still under way and give back what they took, so a deployment that stays has one standing for
//! both configs. One that is another under its old name begins anew, and calls under way end in the old one's standing.

use std::collections::BTreeMap;

use tokio::time::Instant;

use crate::capacity::Settings;
use crate::deployment::Catalog;
use crate::deployment::Deployment;
use crate::units::DeploymentName;

use super::event::Cooldowns;

/// How a deployment stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Everything that is known of it holds.
    Whole,
    /// The same, but for what its config or credential were to blame for.
    Mended,
}

impl Kept {
    /// How a deployment of the same name, at the same address, stays; `None` where it is another one. `rekeyed` is true where
    /// it is entered with another credential.
    pub fn of(before: &Deployment, after: &Deployment, rekeyed: bool) -> Option<Self> {
        let same = before.model.name == after.model.name
            && before.billing.is_provisioned() == after.billing.is_provisioned()
            && before.azure_deployment == after.azure_deployment;
        let written = before.api == after.api && before.area == after.area;
        same.then_some(if written && !rekeyed { Self::Whole } else { Self::Mended })
    }
}

/// A new config, as far as the state goes.
#[derive(Debug, Clone, Copy)]
pub struct Renewal<'r> {
    /// The deployments from now on.
    pub catalog: &'r Catalog,
    /// How long deployments are left alone after faults.
    pub cooldowns: Cooldowns,
    /// What config says about capacity.
    pub settings: &'r Settings,
    /// Those that stay; all others begin anew.
    pub kept: &'r BTreeMap<DeploymentName, Kept>,
    /// The moment.
    pub now: Instant,
}
