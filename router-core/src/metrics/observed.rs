//! In observe mode: what the score would have chosen, and what that would have cost.

use prometheus::{CounterVec, IntCounterVec};

use crate::record::Decided;
use crate::task::Task;
use crate::units::Usd;

use super::recorder::{Maker, Metrics};

/// Metrics of the mode `observe`.
#[derive(Debug, Clone)]
pub(super) struct Observed {
    decisions: IntCounterVec,
    cost: CounterVec,
}

impl Observed {
    pub(super) fn register(make: &Maker<'_>) -> Result<Self, prometheus::Error> {
        Ok(Self {
            decisions: make.count(
                "observed_decisions_total",
                "Scored requests while scores are only observed: the task that served, and the one that would have.",
                &["task", "would"],
            )?,
            cost: make.dollars(
                "observed_cost_usd_total",
                "What answers cost at pay-as-you-go prices while scores are only observed: as served, and as they would have been.",
                &["choice"],
            )?,
        })
    }
}

impl Metrics {
    pub(super) fn decided_observed(&self, decided: &Decided) {
        if let Some(would) = decided.would {
            let served = decided.task.map_or("named", Task::as_str);
            self.observed.decisions.with_label_values(&[served, would.as_str()]).inc();
        }
    }

    /// An answer has ended that was scored and only observed. Both prices or none: else they could not be compared.
    pub(super) fn observed(&self, served: Option<Usd>, would: Option<Usd>) {
        if let (Some(served), Some(would)) = (served, would) {
            for (choice, cost) in [("served", served), ("would", would)] {
                self.observed.cost.with_label_values(&[choice]).inc_by(cost.as_f64());
            }
        }
    }
}
