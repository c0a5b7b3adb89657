//! The key `quota_pool`: deployments that share one quota must agree on what it is.

use std::sync::Arc;

use crate::deployment::Billing;
use crate::deployment::Deployment;

use super::table::Table;

const NAME: &str = "quota_pool";

/// Compares each deployment with the first of its pool. A limit that one of them does not state is the other's.
pub(super) fn check(deployments: &[Deployment], table: &Table<'_>) {
    let pooled = || deployments.iter().filter(|one| !one.billing.is_provisioned());
    for (at, deployment) in pooled().enumerate() {
        let same = |other: &&Deployment| other.quota_pool == deployment.quota_pool;
        let before = pooled().take(at).find(same);
        let (Some(pool), Some(first)) = (&deployment.quota_pool, before) else { continue };
        let fault = |what: &str| {
            let problem = format!("{pool} is also {}'s, which has another {what}", first.name);
            table.sub(deployment.name.as_str()).fault(NAME, problem);
        };
        if !Arc::ptr_eq(&first.model, &deployment.model) {
            fault("model");
        }
        if first.area != deployment.area {
            fault("area");
        }
        if let (Billing::PayAsYouGo(one), Billing::PayAsYouGo(other)) =
            (&first.billing, &deployment.billing)
        {
            let differs = |one: Option<u64>, other: Option<u64>| {
                one.zip(other).is_some_and(|(one, other)| one != other)
            };
            if differs(one.requests_per_minute, other.requests_per_minute) {
                fault("requests_per_minute");
            }
            if differs(one.tokens_per_minute, other.tokens_per_minute) {
                fault("tokens_per_minute");
            }
        }
    }
}
