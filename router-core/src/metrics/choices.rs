//! Counts what chose the model of each request: rules, the number that chose between the roles, and the effort.

use prometheus::{IntCounter, IntCounterVec};

use crate::record::Decided;

use super::recorder::Maker;

/// The counters of choices.
#[derive(Debug, Clone)]
pub(super) struct Choices {
    rules: IntCounterVec,
    tasks: IntCounterVec,
    efforts: IntCounterVec,
    downgrades: IntCounter,
}

impl Choices {
    pub(super) fn register(make: &Maker<'_>) -> Result<Self, prometheus::Error> {
        Ok(Self {
            rules: make.count(
                "rule_matches_total",
                "Requests that a rule of the configuration matched, by rule.",
                &["rule"],
            )?,
            tasks: make.count(
                "choices_total",
                "Scored requests by the number that chose (type, benefit or value), the task by type, and the chosen task.",
                &["by", "type", "task"],
            )?,
            efforts: make.count(
                "effort_decisions_total",
                "Decisions by preferred model and reasoning effort; models without efforts are not counted.",
                &["model", "effort"],
            )?,
            downgrades: make.zero(
                "downgrades_total",
                "Reasoning tasks that the chat role served: the reasoning role had no deployment for them.",
            )?,
        })
    }

    pub(super) fn decided(&self, decided: &Decided) {
        if decided.downgraded {
            self.downgrades.inc();
        }
        if let Some(rule) = &decided.rule {
            self.rules.with_label_values(&[rule]).inc();
        }
        if let Some(tradeoff) = decided.tradeoff {
            let (by, task) = (tradeoff.chosen_by.as_str(), tradeoff.task.as_str());
            self.tasks.with_label_values(&[by, tradeoff.by_type.as_str(), task]).inc();
        }
        if let (Some(model), Some(effort)) = (&decided.model, decided.effort) {
            self.efforts.with_label_values(&[model.as_str(), effort.as_str()]).inc();
        }
    }
}
