//! Counts the hourly cost of provisioned deployments, used or not, at the configured price of their PTUs.
//!
//! The counter grows with time while the router runs. Several replicas each count the whole cost: take the maximum over them.
//! Not done here: their savings, which answers count (`saved_usd_total`).

use std::sync::{Mutex, PoisonError};

use prometheus::{CounterVec, GaugeVec, Opts};
use tokio::time::Instant;

use crate::deployment::Billing;
use crate::deployment::Catalog;
use crate::units::Usd;

use super::recorder::NAMESPACE;

const SECONDS_OF_HOUR: f64 = 3_600.0;

/// The costs of all provisioned deployments that have a price.
#[derive(Debug)]
pub(super) struct PtuCosts {
    pub(super) price: GaugeVec,
    pub(super) spent: CounterVec,
    /// Until when they are counted.
    counted: Mutex<Instant>,
}

impl PtuCosts {
    pub(super) fn new(now: Instant) -> Result<Self, prometheus::Error> {
        let opts = |name: &str, help: &str| Opts::new(name, help).namespace(NAMESPACE);
        Ok(Self {
            price: GaugeVec::new(
                opts(
                    "provisioned_usd_per_hour",
                    "What a provisioned deployment costs an hour, used or not, in US dollars.",
                ),
                &["deployment"],
            )?,
            spent: CounterVec::new(
                opts(
                    "provisioned_cost_usd_total",
                    "What a provisioned deployment has cost while this router ran, used or not, in US dollars.",
                ),
                &["deployment"],
            )?,
            counted: Mutex::new(now),
        })
    }

    /// Counts the time since the last call.
    pub(super) fn read(&self, catalog: &Catalog, now: Instant) {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let hours = now.saturating_duration_since(*counted).as_secs_f64() / SECONDS_OF_HOUR;
        *counted = now;
        for deployment in catalog.deployments() {
            let Billing::Provisioned(provisioned) = &deployment.billing else { continue };
            let Some(price) = provisioned.usd_per_hour.map(Usd::as_f64) else { continue };
            let label = [deployment.name.as_str()];
            self.price.with_label_values(&label).set(price);
            self.spent.with_label_values(&label).inc_by(price * hours);
        }
    }
}
