//! Quotas that several deployments share: Azure counts one quota for a subscription, region and model, and config names it.
//!
//! A pool holds the one count. While a deployment's state is locked, the pool's count stands in place of the deployment's own,
//! so decisions and events need no special case.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::capacity::DeploymentState;
use crate::capacity::Quota;
use crate::deployment::Billing;
use crate::deployment::Budget;
use crate::deployment::Catalog;
use crate::deployment::Deployment;

/// A quota that several deployments share.
pub(super) type SharedQuota = Arc<Mutex<Quota>>;

/// All pools by their names, with what config says of each.
#[derive(Debug, Clone, Default)]
pub(super) struct QuotaPools(BTreeMap<Box<str>, (Budget, SharedQuota)>);

impl QuotaPools {
    /// The pools of a catalog. One that was there `before` goes on counting, under the budget that config says now.
    pub(super) fn of(catalog: &Catalog, before: &Self) -> Self {
        let mut budgets: BTreeMap<Box<str>, Budget> = BTreeMap::new();
        for deployment in catalog.deployments() {
            if let (Some(pool), Billing::PayAsYouGo(said)) =
                (&deployment.quota_pool, &deployment.billing)
            {
                let budget = budgets.entry(pool.clone()).or_default();
                let Budget { requests_per_minute, tokens_per_minute } = *said;
                budget.requests_per_minute = budget.requests_per_minute.or(requests_per_minute);
                budget.tokens_per_minute = budget.tokens_per_minute.or(tokens_per_minute);
            }
        }
        let pool = |(name, budget): (Box<str>, Budget)| {
            let quota = match before.0.get(&name) {
                Some((said, quota)) => {
                    if *said != budget {
                        lock(quota).set_budget(budget);
                    }
                    Arc::clone(quota)
                }
                None => Arc::new(Mutex::new(Quota::new(budget))),
            };
            (name, (budget, quota))
        };
        Self(budgets.into_iter().map(pool).collect())
    }

    /// The quota that a deployment shares; `None` if it has one of its own.
    pub(super) fn of_deployment(&self, deployment: &Deployment) -> Option<SharedQuota> {
        let (_, quota) = self.0.get(deployment.quota_pool.as_ref()?)?;
        Some(Arc::clone(quota))
    }
}

/// A deployment's state while it is locked, with the quota of its pool in place of its own.
pub(super) struct Locked<'s> {
    state: MutexGuard<'s, DeploymentState>,
    /// Locked after the state, always.
    shared: Option<MutexGuard<'s, Quota>>,
}

impl<'s> Locked<'s> {
    pub(super) fn new(state: &'s Mutex<DeploymentState>, shared: Option<&'s SharedQuota>) -> Self {
        // A lock that a panic left behind still holds a whole value.
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = shared.map(|quota| lock(quota));
        if let Some(quota) = &shared {
            state.quota = **quota;
        }
        Self { state, shared }
    }
}

impl Deref for Locked<'_> {
    type Target = DeploymentState;
    fn deref(&self) -> &DeploymentState {
        &self.state
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut DeploymentState {
        &mut self.state
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        if let Some(quota) = &mut self.shared {
            **quota = self.state.quota;
        }
    }
}

fn lock(quota: &SharedQuota) -> MutexGuard<'_, Quota> {
    quota.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::*;
    use crate::capacity::Admission;
    use crate::capacity::Load;
    use crate::capacity::Settings;
    use crate::deployment::sample;
    use crate::model::ServiceTier;
    use crate::policy::Priority;
    use crate::state::CapacityState;
    use crate::state::Cooldowns;
    use crate::state::Event;

    fn deployment(name: &str, pool: Option<&str>, requests: Option<u64>) -> Deployment {
        let budget = Budget { requests_per_minute: requests, tokens_per_minute: None };
        Deployment {
            billing: Billing::PayAsYouGo(budget),
            quota_pool: pool.map(Box::from),
            ..sample::pay_as_you_go(name, "gpt-4o")
        }
    }

    fn admission() -> Admission {
        Admission {
            load: Load::default(),
            tight: None,
            expected: None,
            home: None,
            priority: Priority::Interactive,
            limit: 1.0,
            patience: Duration::ZERO,
            reader_patience: Duration::ZERO,
            bound: false,
            key: 0,
            standing_wait: None,
            insists: false,
        }
    }

    #[test]
    fn a_pool_is_counted_once_and_throttled_together() {
        let now = Instant::now();
        let all = [
            deployment("a", Some("east"), Some(600)),
            deployment("b", Some("east"), None),
            deployment("c", None, Some(600)),
        ];
        let catalog = Catalog::new(all);
        let cooldowns = Cooldowns {
            fault: Duration::from_secs(1),
            fault_max: Duration::from_secs(1),
            misconfigured: Duration::from_secs(1),
        };
        let state = CapacityState::new(&catalog, cooldowns, &Settings::default(), now);
        for name in ["a", "b", "b"] {
            let deployment = catalog.deployment(name).unwrap();
            let entry = admission().entry(deployment);
            state.enter(&deployment.name, &entry, false, now).unwrap();
        }
        let name = |name: &str| catalog.deployment(name).unwrap().name.clone();
        let left = |of: &str| state.standing(&name(of)).quota.left(now).0.map(|left| left.left);
        assert_eq!([left("a"), left("b"), left("c")], [Some(597), Some(597), Some(600)]);
        let wait = Duration::from_millis(43);
        state.learn(&name("a"), Event::Throttled(ServiceTier::Standard, wait), now);
        let cools = |of: &str| state.standing(&name(of)).cooling(now).is_some();
        assert_eq!([cools("a"), cools("b"), cools("c")], [true, true, false]);
        state.learn(&name("c"), Event::Throttled(ServiceTier::Standard, wait), now);
        state.learn(&name("a"), Event::Throttled(ServiceTier::Flex, 99 * wait), now);
        let flex =
            |of: &str| state.standing(&name(of)).cooling_in(ServiceTier::Flex, now).is_some();
        assert_eq!([flex("a"), flex("b")], [true, false]);
    }
}
