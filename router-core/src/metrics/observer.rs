//! Counts requests: an observer of their records, and nothing else decides what is counted when.

use crate::record::Answer;
use crate::record::Observer;
use crate::record::RequestEnd;
use crate::record::RequestRecord;
use crate::record::Settlement;

use super::recorder::Metrics;

impl Observer for Metrics {
    fn head(&self, record: &RequestRecord) {
        if let Some(decided) = &record.decided {
            self.decided(decided);
            self.noted(&decided.passed_over, &record.notes);
        }
        self.attempted(&record.attempts);
        if let Some(overhead) = record.overhead {
            self.overhead(overhead);
        }
        let Some(answer) = &record.answer else { return };
        self.adapted(&answer.deployment, &record.adapted);
        if let Some(fell_back) = &record.fallback {
            self.fell_back(&fell_back.from, &answer.deployment, fell_back.cause);
        }
        if answer.spilled_over {
            self.spilled_over(&answer.deployment);
        }
    }

    fn closed(&self, record: &RequestRecord) {
        if let RequestEnd::Refused(kind) = record.ended {
            self.refused(kind);
        }
        if record.is_unanswered() {
            self.unanswered();
        }
        self.chosen(record);
        self.keys.closed(record);
        match &record.answer {
            Some(answer) => self.answered(record, answer),
            None => self.failed(record),
        }
    }

    fn settled(&self, settlement: &Settlement) {
        self.reported(settlement);
    }
}

impl Metrics {
    /// An answer has ended.
    fn answered(&self, record: &RequestRecord, answer: &Answer) {
        let deployment = &*answer.deployment;
        let operation = record.operation.as_str();
        let (provider, model) = (deployment.api.provider(), deployment.model.name.as_str());
        let (at, billing) = (deployment.name.as_str(), deployment.billing.as_str());
        let labels = [operation, provider, model, at, billing];
        self.took(labels, record.ended, answer.timing.total);
        if answer.is_refusal() {
            return;
        }
        if answer.is_of_another_model() {
            self.mismatched(deployment);
        }
        if answer.streamed {
            self.first_chunk(labels, answer.timing.first);
            self.stream_ended(deployment, record.ended);
        }
        if !record.pending {
            let usage = answer.usage.unwrap_or_default();
            self.used(operation, deployment, &usage, answer.usage.and(answer.cost));
        }
        let would = record.decided.as_ref().and_then(|decided| decided.would);
        if let Some(would) = would {
            self.observed(answer.instead.pay_as_you_go, answer.instead.task(would));
        }
    }

    /// A request has ended without an answer; it counts for the deployment that it would have gone to first.
    fn failed(&self, record: &RequestRecord) {
        let Some(decided) = &record.decided else { return };
        let [provider, at, billing] = decided
            .preferred
            .as_ref()
            .map_or(["none"; 3], |at| [at.api.provider(), at.name.as_str(), at.billing.as_str()]);
        let model = decided.model.as_ref().map_or("none", |name| name.as_str());
        let labels = [record.operation.as_str(), provider, model, at, billing];
        self.took(labels, record.ended, record.total);
    }
}
