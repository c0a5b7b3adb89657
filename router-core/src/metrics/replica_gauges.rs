//! The state of the exchange with other replicas, read at each scrape.

use std::sync::Arc;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Counter, Gauge, Opts, Registry};
use tokio::time::Instant;

use crate::state::ReplicaStatus;
use crate::state::Replicas;

use super::recorder::NAMESPACE;

/// How it stands with the other replicas, read at each scrape. Registered only where there may be some.
#[derive(Debug)]
pub(crate) struct ReplicaCollector {
    replicas: Arc<Replicas>,
    connected: Gauge,
    known: Gauge,
    age: Gauge,
    trip: Gauge,
    meetings: Counter,
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
            connected: gauge("replicas_connected", "1 while the other replicas are met.")?,
            known: gauge("replicas_known", "Replicas that are there, this one included.")?,
            age: gauge("replicas_sync_age_seconds", "Since the last meeting that succeeded.")?,
            trip: gauge("replicas_sync_seconds", "How long the last meeting took.")?,
            meetings: counter("replicas_syncs_total", "Meetings with the other replicas.")?,
            failures: counter("replicas_sync_failures_total", "Meetings that failed.")?,
        }))
    }

    fn all(&self) -> [&dyn Collector; 6] {
        let Self { connected, known, age, trip, meetings, failures, .. } = self;
        [connected, known, age, trip, meetings, failures]
    }
}

impl Collector for ReplicaCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.all().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let status = self.replicas.status(Instant::now());
        let ReplicaStatus { connected, replicas, age, trip, meetings, failures } = status;
        self.connected.set(f64::from(u8::from(connected)));
        self.known.set(f64::from(u32::try_from(replicas).unwrap_or(u32::MAX)));
        // Without a meeting yet there is no age; no meeting for ever is what alarms should see.
        self.age.set(age.map_or(f64::INFINITY, |age| age.as_secs_f64()));
        self.trip.set(trip.as_secs_f64());
        for (counter, value) in [(&self.meetings, meetings), (&self.failures, failures)] {
            let value = f64::from(u32::try_from(value).unwrap_or(u32::MAX));
            counter.inc_by((value - counter.get()).max(0.0));
        }
        self.all().into_iter().flat_map(Collector::collect).collect()
    }
}
