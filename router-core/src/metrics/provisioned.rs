//! The use of provisioned deployments: held requests, spilled requests with their cause, and
//! savings.

use std::sync::Arc;

use prometheus::{CounterVec, HistogramVec, IntCounterVec};

use crate::deployment::Deployment;
use crate::fallback::Note;
use crate::selection::Exclusion;

use super::recorder::{Maker, Metrics};

/// Metrics of the use of provisioned deployments.
#[derive(Debug, Clone)]
pub(super) struct Capacity {
    holds: IntCounterVec,
    held: HistogramVec,
    spills: IntCounterVec,
    pub(super) saved: CounterVec,
    asked_again: IntCounterVec,
    pub(super) throttles: IntCounterVec,
}

impl Capacity {
    pub(super) fn register(make: &Maker<'_>) -> Result<Self, prometheus::Error> {
        let deployment = &["deployment"][..];
        Ok(Self {
            holds: make.count(
                "holds_total",
                "Requests held for a full provisioned deployment, by how the wait ended; entered: it then accepted them.",
                &["deployment", "ended"],
            )?,
            held: make.waits("queue_wait_seconds", "Time that requests waited for a full provisioned deployment, in seconds.")?,
            spills: make.count(
                "spills_total",
                "Requests that left a full provisioned deployment, by cause.",
                &["deployment", "cause"],
            )?,
            saved: make.dollars(
                "saved_usd_total",
                "Pay-as-you-go price in US dollars of the answers that provisioned deployments served; what the deployments \
                 cost by the hour is not subtracted.",
                deployment,
            )?,
            asked_again: make.count(
                "asked_again_total",
                "Answers cut off by a learned cap and asked again.",
                deployment,
            )?,
            throttles: make.count("throttles_total", "429 responses of deployments, by kind.", &["deployment", "kind"])?,
        })
    }
}

impl Metrics {
    /// Counts the events other than attempts: holds, spills, repeated requests.
    pub(super) fn noted(&self, passed_over: &[(Arc<Deployment>, Exclusion)], notes: &[Note]) {
        let Capacity { holds, held, spills, asked_again, .. } = &self.capacity;
        for (deployment, cause) in passed_over {
            spills.with_label_values(&[deployment.name.as_str(), cause.as_str()]).inc();
        }
        for note in notes {
            match note {
                Note::Held { deployment, took, entered, .. } => {
                    let name = deployment.name.as_str();
                    let ended = if *entered { "entered" } else { "gave_up" };
                    holds.with_label_values(&[name, ended]).inc();
                    held.with_label_values(&[name]).observe(took.as_secs_f64());
                }
                Note::Spilled { deployment, cause } => {
                    let labels = [deployment.name.as_str(), cause.as_str()];
                    spills.with_label_values(&labels).inc();
                }
                Note::Recovering { .. } | Note::Outrun { .. } => {}
                Note::AskedAgain { deployment, .. } => {
                    asked_again.with_label_values(&[deployment.name.as_str()]).inc();
                }
            }
        }
    }
}
