//! The present state as JSON for the page: numbers, names from the configuration and the router's own words.

use std::collections::BTreeMap;
use std::sync::Arc;

use router_core::deployment::{Billing, Deployment};
use router_core::waiting::QueueView;
use serde::Serialize;

use crate::budgets::Budget;

use super::entry::{milliseconds, rounded};
use super::standing::Stands;
use super::trouble::Trouble;

/// The state at one moment; sent to every open page once a second.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Now {
    /// Differs for each process.
    pub(super) boot: Box<str>,
    /// Counts the seconds of this process.
    pub(super) second: u64,
    pub(super) at_ms: u64,
    pub(super) started_ms: u64,
    pub(super) version: &'static str,
    pub(super) config: ConfigView,
    /// True in observe mode: one role serves everything.
    pub(super) observe: bool,
    /// The role that `routing.force_role` sets.
    pub(super) forced: Option<&'static str>,
    pub(super) draining: bool,
    pub(super) threshold: f64,
    pub(super) decisions_kept: usize,
    pub(super) in_flight: u64,
    /// Most severe first; empty if nothing is wrong.
    pub(super) problems: Vec<Trouble>,
    pub(super) deployments: Vec<Health>,
    pub(super) budgets: Vec<BudgetView>,
    /// The names of the keys in the configuration; empty if callers show none.
    pub(super) keys: Arc<[Box<str>]>,
    /// The beginning of the history, earlier runs of the router included.
    pub(super) counted_since_ms: u64,
}

#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct ConfigView {
    pub(super) version: Box<str>,
    /// True if newer files have faults and the last good version stays in use.
    pub(super) fault: bool,
}

/// A budget of a key or a team.
#[derive(Debug, Clone, Serialize)]
pub(super) struct BudgetView {
    owner: &'static str,
    name: Box<str>,
    span: &'static str,
    limit_usd: f64,
    spent_usd: f64,
    renews: String,
}

impl From<&Budget> for BudgetView {
    fn from(budget: &Budget) -> Self {
        Self {
            owner: budget.owner.as_str(),
            name: (&*budget.name).into(),
            span: budget.span.as_str(),
            limit_usd: rounded(budget.limit.as_f64(), 1e6),
            spent_usd: rounded(budget.spent.as_f64(), 1e6),
            renews: budget.renews.to_string(),
        }
    }
}

/// The state of one deployment.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Health {
    pub(super) name: Box<str>,
    pub(super) model: Box<str>,
    pub(super) billing: &'static str,
    pub(super) area: Box<str>,
    pub(super) ptu: Option<f64>,
    pub(super) usd_per_hour: Option<f64>,
    pub(super) standing: &'static str,
    pub(super) cause: Option<&'static str>,
    pub(super) for_ms: Option<u64>,
    pub(super) in_flight: u32,
    pub(super) max_in_flight: Option<u32>,
    /// Of a provisioned deployment.
    pub(super) ptu_level: Option<LevelView>,
    pub(super) requests_left: Option<u64>,
    pub(super) requests_limit: Option<u64>,
    pub(super) tokens_left: Option<u64>,
    pub(super) tokens_limit: Option<u64>,
    /// Of a provisioned deployment.
    pub(super) queue: Option<QueueHealth>,
}

/// The level of a provisioned deployment by the router's model of it, in normalized tokens. Used, reserved and idle add up to
/// the capacity, unless the deployment is over-full: idle is 0 then.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct LevelView {
    pub(super) capacity: f64,
    /// Of finished calls, not drained yet.
    pub(super) used: f64,
    /// By running calls.
    pub(super) reserved: f64,
    pub(super) idle: f64,
    /// Used and reserved, as a share of the capacity.
    pub(super) utilization: f64,
}

impl LevelView {
    /// From the capacity, the level, and the part of the level that running calls have reserved.
    pub(super) fn new(capacity: f64, level: f64, reserved: f64) -> Self {
        let (whole, reserved) = (capacity.round(), reserved.round());
        let used = (level.round() - reserved).max(0.0);
        Self {
            capacity: whole,
            used,
            reserved,
            idle: (whole - used - reserved).max(0.0),
            utilization: if capacity > 0.0 { rounded(level / capacity, 1e4) } else { 0.0 },
        }
    }
}

/// The queue in front of a deployment.
#[derive(Debug, Clone, Serialize)]
pub(super) struct QueueHealth {
    waiting: usize,
    /// The wait of the oldest request.
    longest_ms: u64,
    /// Requests that have left, by how they left.
    left: BTreeMap<&'static str, u64>,
}

impl From<QueueView> for QueueHealth {
    fn from(queue: QueueView) -> Self {
        let left = queue.left.into_iter().map(|(leaving, count)| (leaving.as_str(), count));
        let longest_ms = milliseconds(queue.longest_wait);
        Self { waiting: queue.waiting, longest_ms, left: left.collect() }
    }
}

impl Health {
    /// The configuration of a deployment; its state is set later.
    pub(super) fn new(deployment: &Deployment, stands: Stands) -> Self {
        let provisioned = match &deployment.billing {
            Billing::Provisioned(provisioned) => Some(provisioned),
            Billing::PayAsYouGo(_) => None,
        };
        Self {
            name: deployment.name.as_str().into(),
            model: deployment.model.name.as_str().into(),
            billing: deployment.billing.as_str(),
            area: deployment.area.to_string().into(),
            ptu: provisioned.map(|provisioned| provisioned.ptu),
            usd_per_hour: provisioned
                .and_then(|provisioned| provisioned.usd_per_hour)
                .map(|price| rounded(price.as_f64(), 1e6)),
            standing: stands.word,
            cause: stands.cause,
            for_ms: stands.time.map(milliseconds),
            in_flight: 0,
            max_in_flight: deployment.max_in_flight,
            ptu_level: None,
            requests_left: None,
            requests_limit: None,
            tokens_left: None,
            tokens_limit: None,
            queue: None,
        }
    }
}
