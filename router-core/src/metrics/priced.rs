//! Prices answers: their tokens, the service tier in which they were made, whether their price is known, and what
//! the choice of a model saved.

use prometheus::{CounterVec, IntCounterVec};

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
    tokens: IntCounterVec,
    saved_by_choice: CounterVec,
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
            tokens: make.count(
                "deployment_tokens_total",
                "Tokens of answers by deployment; cached tokens are part of the input.",
                &["deployment", "billing", "token_type"],
            )?,
            saved_by_choice: make.dollars(
                "saved_by_choice_usd_total",
                "Additional cost in US dollars of chat tasks at the reasoning model, at pay-as-you-go prices and without \
                 hidden reasoning, by the model that answered.",
                &["model"],
            )?,
        })
    }

    pub(super) fn saved_by_choice(&self, model: &str, saved: Usd) {
        self.saved_by_choice.with_label_values(&[model]).inc_by(saved.as_f64());
    }

    pub(super) fn answered(&self, deployment: &Deployment, usage: &Usage, cost: Option<Usd>) {
        let name = deployment.name.as_str();
        for (kind, tokens) in
            [("input", usage.prompt), ("cached", usage.cached), ("output", usage.completion)]
        {
            let labels = [name, deployment.billing.as_str(), kind];
            self.tokens.with_label_values(&labels).inc_by(tokens.0);
        }
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
