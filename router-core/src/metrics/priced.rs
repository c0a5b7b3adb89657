//! How answers are priced: in which service tier they were made, and whether their price is known.

use prometheus::IntCounterVec;

use crate::chat::Usage;
use crate::deployment::Deployment;
use crate::deployment::pricing;
use crate::units::Usd;

use super::recorder::Maker;

/// Counts of answers.
#[derive(Debug, Clone)]
pub(super) struct Priced {
    tiers: IntCounterVec,
    unknown: IntCounterVec,
    at_least: IntCounterVec,
}

impl Priced {
    pub(super) fn register(make: &Maker<'_>) -> Result<Self, prometheus::Error> {
        Ok(Self {
            tiers: make.count(
                "service_tier_answers_total",
                "Answers of deployments with service tiers, by the tier asked for and the tier that answered.",
                &["deployment", "asked", "answered"],
            )?,
            unknown: make.count(
                "unpriced_answers_total",
                "Answers without a known price.",
                &["deployment"],
            )?,
            at_least: make.count(
                "partly_priced_answers_total",
                "Answers whose cost is a lower bound, because a hosted tool has no known price.",
                &["deployment"],
            )?,
        })
    }

    pub(super) fn answered(&self, deployment: &Deployment, usage: &Usage, cost: Option<Usd>) {
        let name = deployment.name.as_str();
        if let Some(asked) = deployment.service_tier {
            self.tiers.with_label_values(&[name, asked.as_str(), usage.tier.as_str()]).inc();
        }
        if cost.is_none() {
            self.unknown.with_label_values(&[name]).inc();
        }
        if pricing::is_at_least(deployment, usage) {
            self.at_least.with_label_values(&[name]).inc();
        }
    }
}
