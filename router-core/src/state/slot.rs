//! The state of one deployment, behind a lock of its own.
//!
//! The lock is held for a few instructions and never across an await.

use std::sync::{Arc, Mutex};

use tokio::time::Instant;

use crate::capacity::DeploymentState;
use crate::capacity::Quota;
use crate::capacity::Settings;
use crate::capacity::Size;
use crate::capacity::Twin;
use crate::deployment::Area;
use crate::deployment::Billing;
use crate::deployment::Deployment;
use crate::deployment::Provisioned;
use crate::units::DeploymentName;
use crate::units::ModelName;

use super::quota_pool::Locked;
use super::quota_pool::QuotaPools;
use super::quota_pool::SharedQuota;
use super::renewal::Kept;
use super::renewal::Renewal;

/// The state of one deployment.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) name: DeploymentName,
    /// Deployments of one model in one area draw on one pool; provisioned ones have capacity of their own.
    pub(super) pool: Option<(ModelName, Area)>,
    /// The configured billing; what was learned of the quota is in the state.
    pub(super) billing: Billing,
    /// The quota that it shares with other deployments.
    quota: Option<SharedQuota>,
    /// Shared by the configurations in which the deployment stays.
    state: Arc<Mutex<DeploymentState>>,
}

impl Slot {
    /// Nothing learned yet.
    pub(super) fn new(
        deployment: &Deployment,
        pools: &QuotaPools,
        settings: &Settings,
        now: Instant,
    ) -> Self {
        let mut state = DeploymentState::default();
        match &deployment.billing {
            Billing::Provisioned(provisioned) => {
                state.twin = size(provisioned, settings).map(|size| Twin::new(size, now));
            }
            Billing::PayAsYouGo(budget) => state.quota = Quota::new(*budget),
        }
        Self::over(deployment, pools, Arc::new(Mutex::new(state)))
    }

    fn over(
        deployment: &Deployment,
        pools: &QuotaPools,
        state: Arc<Mutex<DeploymentState>>,
    ) -> Self {
        let pool = (deployment.model.name.clone(), deployment.area);
        Self {
            name: deployment.name.clone(),
            pool: (!deployment.billing.is_provisioned()).then_some(pool),
            billing: deployment.billing.clone(),
            quota: pools.of_deployment(deployment),
            state,
        }
    }

    /// The slot of the same deployment under a new configuration.
    pub(super) fn renewed(
        &self,
        deployment: &Deployment,
        pools: &QuotaPools,
        kept: Kept,
        renewal: &Renewal<'_>,
    ) -> Self {
        let mut state = self.lock();
        if kept == Kept::Mended {
            state.cooldown.mend();
        }
        match &deployment.billing {
            Billing::Provisioned(provisioned) => {
                let size = size(provisioned, renewal.settings);
                state.twin = size.map(|size| match state.twin {
                    Some(twin) => twin.resized(size, renewal.now),
                    None => Twin::new(size, renewal.now),
                });
            }
            // The quota that responses reported holds until the configured one changes.
            Billing::PayAsYouGo(budget)
                if self.billing != deployment.billing && deployment.quota_pool.is_none() =>
            {
                state.quota.set_budget(*budget);
            }
            Billing::PayAsYouGo(_) => {}
        }
        drop(state);
        Self::over(deployment, pools, Arc::clone(&self.state))
    }

    pub(super) fn lock(&self) -> Locked<'_> {
        Locked::new(&self.state, self.quota.as_ref())
    }

    /// True if both count against one quota.
    pub(super) fn shares_quota(&self, other: &Self) -> bool {
        let quotas = self.quota.as_ref().zip(other.quota.as_ref());
        quotas.is_some_and(|(one, other)| Arc::ptr_eq(one, other))
    }
}

/// The bucket of a provisioned deployment; `None` if its model's rates are unknown.
fn size(provisioned: &Provisioned, settings: &Settings) -> Option<Size> {
    let rate = provisioned.rate?;
    Some(Size {
        rate: provisioned.ptu * rate.input_tpm_per_ptu / 60.0,
        window: provisioned.window,
        output_ratio: rate.output_ratio,
        missing_output: settings.missing_output,
        cached_discount: settings.cached_discount,
    })
}
