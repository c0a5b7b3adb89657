//! The used quota of pay-as-you-go deployments, summed over replicas.
//!
//! Each run reports its totals since its start, so that an entry that is lost or read twice does no
//! harm. Only the growth counts against the quota.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::capacity::Taken;
use crate::state::CapacityState;
use crate::units::DeploymentName;

use super::change::QuotaUse;

/// The used quota that this run has reported, and the part of other runs' that is counted here.
#[derive(Debug, Default)]
pub(super) struct SharedQuotas {
    reported: BTreeMap<DeploymentName, Taken>,
    counted: BTreeMap<Box<str>, Run>,
}

#[derive(Debug)]
struct Run {
    last: Instant,
    totals: BTreeMap<DeploymentName, Taken>,
}

/// Use of the quota of an earlier minute no longer counts.
const MINUTE: Duration = Duration::from_secs(60);

/// A run that has reported nothing for this long is forgotten: all of its entries are too old to count.
const FORGOTTEN: Duration = Duration::from_secs(5 * 60);

/// The most runs whose totals are remembered.
const MOST_RUNS: usize = 1_024;

impl SharedQuotas {
    /// The totals that have changed since they were reported.
    pub(super) fn changes(&self, state: &CapacityState) -> Vec<QuotaUse> {
        let changed = |(deployment, to): (DeploymentName, Taken)| {
            let from = self.reported.get(&deployment).copied().unwrap_or_default();
            (from != to).then_some(QuotaUse { deployment, from, to })
        };
        state.taken().into_iter().filter_map(changed).collect()
    }

    /// These totals have arrived.
    pub(super) fn delivered(&mut self, quotas: Vec<QuotaUse>) {
        let totals = quotas.into_iter().map(|quota| (quota.deployment, quota.to));
        self.reported.extend(totals);
    }

    /// Counts the growth of another run's total, which was written at the moment `written`.
    pub(super) fn count(
        &mut self,
        run: &str,
        quota: &QuotaUse,
        written: Instant,
        state: &CapacityState,
    ) {
        let now = Instant::now();
        self.counted.retain(|_, run| now.saturating_duration_since(run.last) < FORGOTTEN);
        if self.counted.len() >= MOST_RUNS && !self.counted.contains_key(run) {
            return;
        }
        let totals = BTreeMap::new();
        let run = self.counted.entry(run.into()).or_insert(Run { last: now, totals });
        run.last = now;
        let QuotaUse { deployment, from, to } = quota;
        let before = run.totals.insert(deployment.clone(), *to).unwrap_or(*from);
        let taken = Taken {
            requests: to.requests.saturating_sub(before.requests),
            tokens: to.tokens.saturating_sub(before.tokens),
        };
        if taken != Taken::default() && now.saturating_duration_since(written) < MINUTE {
            state.change(deployment, |known| known.quota.take_elsewhere(written, taken));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capacity::Settings;
    use crate::deployment::Billing;
    use crate::deployment::Budget;
    use crate::deployment::Catalog;
    use crate::deployment::Deployment;
    use crate::deployment::sample;
    use crate::state::Cooldowns;

    fn state(now: Instant) -> CapacityState {
        let budget = Budget { requests_per_minute: Some(600), tokens_per_minute: None };
        let deployment = Deployment {
            billing: Billing::PayAsYouGo(budget),
            ..sample::pay_as_you_go("payg", "gpt-4o")
        };
        let cooldowns = Cooldowns { fault: MINUTE, fault_max: MINUTE, misconfigured: MINUTE };
        CapacityState::new(&Catalog::new([deployment]), cooldowns, &Settings::default(), now)
    }

    fn left(state: &CapacityState, now: Instant) -> u64 {
        let mut left = 0;
        state.for_each(|_, known| left = known.quota.left(now).0.unwrap().left);
        left
    }

    #[test]
    fn only_growth_counts_however_often_it_is_read() {
        let now = Instant::now();
        let (state, mut quotas) = (state(now), SharedQuotas::default());
        let total = |from, to| QuotaUse {
            deployment: "payg".try_into().unwrap(),
            from: Taken { requests: from, tokens: 0 },
            to: Taken { requests: to, tokens: 0 },
        };
        // A newcomer does not count what the run had sent before.
        for (from, to, remaining) in [(100, 105, 595), (100, 105, 595), (105, 108, 592)] {
            quotas.count("a", &total(from, to), now, &state);
            assert_eq!(left(&state, now), remaining, "{from} to {to}");
        }
        // An entry between was lost: its growth is in the next total.
        quotas.count("a", &total(110, 112), now, &state);
        assert_eq!(left(&state, now), 588);
        assert!(quotas.changes(&state).is_empty(), "what others sent is not reported as ours");
    }
}
