//! Metrics by key, for charge-back: usage, cost and refusals. Names come from config, never from
//! callers.

use prometheus::{CounterVec, IntCounterVec};

use crate::chat::Usage;
use crate::record::Answer;
use crate::record::RequestRecord;
use crate::record::Settlement;

use super::recorder::{Maker, Metrics};

/// The metrics by key, and of callers without one.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    requests: IntCounterVec,
    tokens: IntCounterVec,
    cost: CounterVec,
    unauthorized: IntCounterVec,
    residency: IntCounterVec,
}

impl Keys {
    pub(super) fn register(make: &Maker<'_>) -> Result<Self, prometheus::Error> {
        Ok(Self {
            requests: make.count(
                "key_requests_total",
                "Requests to models, by key; error is empty for an answer.",
                &["key", "error"],
            )?,
            tokens: make.count(
                "key_tokens_total",
                "Tokens used, by key.",
                &["key", "model", "token_type"],
            )?,
            cost: make.dollars(
                "key_cost_usd_total",
                "Cost in US dollars of answers billed by the token, by key.",
                &["key", "model"],
            )?,
            unauthorized: make.count(
                "unauthorized_total",
                "Requests without a valid key, by cause.",
                &["cause"],
            )?,
            residency: make.count(
                "residency_refusals_total",
                "Requests refused for their residency, by key; empty without keys.",
                &["key"],
            )?,
        })
    }
}

impl Metrics {
    pub(crate) fn unauthorized(&self, cause: &'static str) {
        self.keys.unauthorized.with_label_values(&[cause]).inc();
    }

    pub(crate) fn residency_refused(&self, key: Option<&str>) {
        self.keys.residency.with_label_values(&[key.unwrap_or_default()]).inc();
    }
}

impl Keys {
    /// A request has ended.
    pub(super) fn closed(&self, record: &RequestRecord) {
        let Some(key) = record.caller.name() else { return };
        let error = record.ended.error().unwrap_or_default();
        self.requests.with_label_values(&[key, error]).inc();
        if let Some(answer) = &record.answer {
            self.answered(key, answer);
        }
    }

    fn used(&self, key: &str, model: &str, usage: &Usage) {
        for (kind, tokens) in [("input", usage.prompt), ("output", usage.completion)] {
            self.tokens.with_label_values(&[key, model, kind]).inc_by(tokens.0);
        }
    }

    /// An answer made in the background has reported what it used.
    pub(super) fn settled(&self, settlement: &Settlement) {
        let Some(key) = settlement.caller.name() else { return };
        self.answered(key, &settlement.answer);
    }

    fn answered(&self, key: &str, answer: &Answer) {
        let model = answer.deployment.model.name.as_str();
        self.used(key, model, &answer.usage.unwrap_or_default());
        if let Some(cost) = answer.cost {
            self.cost.with_label_values(&[key, model]).inc_by(cost.as_f64());
        }
    }
}
