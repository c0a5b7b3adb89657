//! Counts usage, cost and time of answers when they end; those of background answers when their usage is reported.

use std::time::Duration;

use crate::chat::Operation;
use crate::chat::Usage;
use crate::deployment::Deployment;
use crate::deployment::pricing;
use crate::record::RequestEnd;
use crate::record::RequestRecord;
use crate::record::Settlement;
use crate::units::Usd;

use super::recorder::Metrics;

impl Metrics {
    /// A chat task at the chat model costs less than the same tokens at the reasoning model, which would add hidden
    /// reasoning: the difference is a lower bound of what the choice saved.
    pub(super) fn chosen(&self, record: &RequestRecord) {
        if let (Some(saved), Some(answer)) = (record.saved_by_choice(), &record.answer) {
            self.priced.saved_by_choice(answer.deployment.model.name.as_str(), saved);
        }
    }

    /// An operation took so long; `labels` are operation, provider, model, deployment and billing.
    pub(super) fn took(&self, labels: [&str; 5], ended: RequestEnd, total: Duration) {
        let [operation, provider, model, at, billing] = labels;
        let error = ended.error().unwrap_or_default();
        let labels = [operation, provider, model, at, billing, error];
        self.gen_ai.duration.with_label_values(&labels).observe(total.as_secs_f64());
    }

    /// A stream began after so long; the labels are the same.
    pub(super) fn first_chunk(&self, labels: [&str; 5], first: Duration) {
        self.gen_ai.first_chunk.with_label_values(&labels).observe(first.as_secs_f64());
    }

    /// An answer made in the background has reported what it used.
    pub(super) fn reported(&self, settlement: &Settlement) {
        let (operation, answer) = (Operation::Responses.as_str(), &settlement.answer);
        self.used(operation, &answer.deployment, &answer.usage.unwrap_or_default(), answer.cost);
        self.keys.settled(settlement);
    }

    /// Counts the usage and the cost of an answer.
    pub(super) fn used(
        &self,
        operation: &str,
        deployment: &Deployment,
        usage: &Usage,
        cost: Option<Usd>,
    ) {
        let (provider, model) = (deployment.api.provider(), deployment.model.name.as_str());
        for (kind, tokens) in [("input", usage.prompt), ("output", usage.completion)] {
            let labels = [operation, provider, model, kind];
            self.gen_ai.tokens.with_label_values(&labels).observe(tokens.as_f64());
        }
        let name = [deployment.name.as_str()];
        self.priced.answered(deployment, usage, cost);
        if usage.estimated {
            self.usage_estimated.with_label_values(&name).inc();
        }
        if deployment.billing.is_provisioned()
            && let Some(saved) = pricing::pay_as_you_go_cost(deployment, usage)
        {
            // An answer that was asked twice, or that Azure's own spillover gave, was paid as well.
            let saved = saved.as_f64() - cost.map_or(0.0, Usd::as_f64);
            self.capacity.saved.with_label_values(&name).inc_by(saved.max(0.0));
        }
        if let Some(cost) = cost {
            self.cost.with_label_values(&name).inc_by(cost.as_f64());
        }
    }
}
