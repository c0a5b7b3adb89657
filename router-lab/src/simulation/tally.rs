//! The result of every call under one policy, and the derived figures.

use std::time::Duration;

use serde::Serialize;

use crate::simulation_args::PolicyName;

use super::stage::Stage;
use super::workload::as_f64;

/// Deployment type that served a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServedBy {
    /// A provisioned deployment.
    Provisioned,
    /// A pay-as-you-go deployment.
    PayAsYouGo,
    /// Nobody: the caller saw a failure.
    Nobody,
}

/// Outcome of one call.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fate {
    /// Time at which it was sent to the deployment that served it.
    pub sent: Duration,
    /// Deployment type that served it.
    pub by: ServedBy,
    /// By how much its answer came later than one that nothing held up.
    pub added: Duration,
    /// The answer was cut shorter than the caller allowed.
    pub truncated: bool,
    /// Pay-as-you-go cost, discarded attempts included.
    pub usd: f64,
    /// Normalized tokens used on provisioned deployments, discarded attempts included.
    pub provisioned_tokens: f64,
}

impl Fate {
    /// Nobody served it.
    pub const fn failed(sent: Duration, added: Duration) -> Self {
        Self {
            sent,
            by: ServedBy::Nobody,
            added,
            truncated: false,
            usd: 0.0,
            provisioned_tokens: 0.0,
        }
    }
}

/// Outcome of all calls under one policy.
#[derive(Debug, Clone, PartialEq)]
pub struct Tally {
    /// The policy.
    pub policy: PolicyName,
    /// The fates, in the order of the calls.
    pub fates: Vec<Fate>,
    /// Number of 429 responses from deployments.
    pub refusals: u64,
}

/// The figures of one policy.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    /// Its name.
    pub policy: &'static str,
    /// Amount paid for pay-as-you-go.
    pub payg_usd: f64,
    /// The share of the possible saving that was reached. A call that nobody served has saved nothing: it counts at its
    /// pay-as-you-go price.
    pub saving_share: f64,
    /// Normalized tokens served, as a share of what the PTUs serve in the span.
    pub utilization: f64,
    /// 429s met for each call.
    pub upstream_429_per_arrival: f64,
    /// Calls that ended in a failure.
    pub visible_failures: usize,
    /// Answers cut shorter than their callers allowed.
    pub visible_truncations: usize,
    /// The median of what was added to an answer's time.
    pub added_p50_ms: f64,
    /// Its 99th percentile.
    pub added_p99_ms: f64,
}

impl Tally {
    /// The figures, given what all calls cost on pay-as-you-go and the least that can be paid.
    pub fn figures(&self, stage: &Stage, all_payg_usd: f64, bound_usd: f64) -> Figures {
        let paid: f64 = self.fates.iter().map(|fate| fate.usd).sum();
        let failed = |fate: &Fate| fate.by == ServedBy::Nobody;
        let calls = self.fates.iter().zip(stage.calls.iter());
        let lost: f64 =
            calls.filter(|(fate, _)| failed(fate)).map(|(_, call)| stage.price(call)).sum();
        let served: f64 = self.fates.iter().map(|fate| fate.provisioned_tokens).sum();
        let room: f64 = stage.pools.iter().map(|pool| pool.rate() * stage.span.as_secs_f64()).sum();
        let waits = self.waits();
        let arrivals = as_f64(u64::try_from(self.fates.len()).unwrap_or(u64::MAX));
        Figures {
            policy: self.policy.as_str(),
            payg_usd: paid,
            saving_share: share(all_payg_usd - paid - lost, all_payg_usd - bound_usd),
            utilization: share(served, room),
            upstream_429_per_arrival: share(as_f64(self.refusals), arrivals),
            visible_failures: self.fates.iter().filter(|fate| failed(fate)).count(),
            visible_truncations: self.fates.iter().filter(|fate| fate.truncated).count(),
            added_p50_ms: milliseconds(quantile(&waits, 50)),
            added_p99_ms: milliseconds(quantile(&waits, 99)),
        }
    }

    /// Delay added to each served call, in ascending order.
    pub fn waits(&self) -> Vec<Duration> {
        let served = self.fates.iter().filter(|fate| fate.by != ServedBy::Nobody);
        let mut waits: Vec<Duration> = served.map(|fate| fate.added).collect();
        waits.sort_unstable();
        waits
    }
}

/// A part of a whole; nothing if there is no whole.
pub fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

/// The value that `percent` of the sorted values do not exceed.
pub fn quantile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(rank).copied().unwrap_or_default()
}

/// A duration in milliseconds.
pub fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}
