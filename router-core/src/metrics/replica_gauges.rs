//! The state of the exchange with other replicas, read at each scrape.

use std::sync::Arc;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Counter, Gauge, Opts, Registry};
use tokio::time::Instant;

use crate::replicas::ReplicaStatus;
use crate::replicas::Replicas;

use super::recorder::NAMESPACE;

/// The state of the exchange with other replicas. Registered only if `[replicas]` is configured.
#[derive(Debug)]
pub(crate) struct ReplicaCollector {
    replicas: Arc<Replicas>,
    connected: Gauge,
    known: Gauge,
    age: Gauge,
    trip: Gauge,
    syncs: Counter,
    failures: Counter,
}

impl ReplicaCollector {
    pub(crate) fn register(
        registry: &Registry,
        replicas: Arc<Replicas>,
    ) -> Result<(), prometheus::Error> {
        let opts = |name: &str, help: &str| Opts::new(name, help).namespace(NAMESPACE);
        let gauge = |name: &str, help: &str| Gauge::with_opts(opts(name, help));
        let counter = |name: &str, help: &str| Counter::with_opts(opts(name, help));
        registry.register(Box::new(Self {
            replicas,
            connected: gauge(
                "replicas_connected",
                "1 while syncs with the other replicas succeed, else 0.",
            )?,
            known: gauge("replicas_known", "Replicas that report, this one included.")?,
            age: gauge(
                "replicas_sync_age_seconds",
                "Time since the last successful sync, in seconds.",
            )?,
            trip: gauge(
                "replicas_sync_seconds",
                "Duration of the last successful sync, in seconds.",
            )?,
            syncs: counter("replicas_syncs_total", "Successful syncs with the other replicas.")?,
            failures: counter(
                "replicas_sync_failures_total",
                "Failed syncs with the other replicas.",
            )?,
        }))
    }

    fn all(&self) -> [&dyn Collector; 6] {
        let Self { connected, known, age, trip, syncs, failures, .. } = self;
        [connected, known, age, trip, syncs, failures]
    }
}

impl Collector for ReplicaCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.all().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let status = self.replicas.status(Instant::now());
        let ReplicaStatus { connected, replicas, age, trip, syncs, failures } = status;
        self.connected.set(f64::from(u8::from(connected)));
        self.known.set(f64::from(u32::try_from(replicas).unwrap_or(u32::MAX)));
        // Before the first sync the age is infinite, so that alerts on it fire.
        self.age.set(age.map_or(f64::INFINITY, |age| age.as_secs_f64()));
        self.trip.set(trip.as_secs_f64());
        for (counter, value) in [(&self.syncs, syncs), (&self.failures, failures)] {
            let value = f64::from(u32::try_from(value).unwrap_or(u32::MAX));
            counter.inc_by((value - counter.get()).max(0.0));
        }
        self.all().into_iter().flat_map(Collector::collect).collect()
    }
}
