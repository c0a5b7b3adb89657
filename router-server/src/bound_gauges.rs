//! Exposes the use of the server's limits at each scrape: memory, connections and slots, each with its limit.
//!
//! Nothing is bounded here: budgets, connections and slots count themselves.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Gauge, GaugeVec, Opts, Registry};
use router_core::memory::Budget;

/// A number of things that are in use, and the most that there may be.
#[derive(Debug, Clone, Default)]
pub(crate) struct Count {
    pub(crate) used: Arc<AtomicUsize>,
    pub(crate) most: Arc<AtomicUsize>,
}

/// Sources of the gauges.
#[derive(Debug, Clone)]
pub(crate) struct Bounds {
    /// Memory held by request bodies.
    pub(crate) bodies: Arc<Budget>,
    /// Memory held by complete answers; set once there is a router.
    pub(crate) responses: Arc<OnceLock<Arc<Budget>>>,
    pub(crate) connections: Count,
    pub(crate) slots: Count,
}

#[derive(Debug)]
struct BoundCollector {
    bounds: Bounds,
    memory: GaugeVec,
    memory_limit: GaugeVec,
    connections: Gauge,
    connection_limit: Gauge,
    slots: Gauge,
    slot_limit: Gauge,
}

impl Bounds {
    /// Makes them known to a registry.
    pub(crate) fn register(self, registry: &Registry) -> Result<(), prometheus::Error> {
        let opts = |name: &str, help: &str| Opts::new(name, help).namespace("model_router");
        let gauge = |name: &str, help: &str| Gauge::with_opts(opts(name, help));
        let by_budget = |name: &str, help: &str| GaugeVec::new(opts(name, help), &["budget"]);
        registry.register(Box::new(BoundCollector {
            bounds: self,
            memory: by_budget(
                "memory_bytes",
                "Bytes that request bodies and complete answers hold.",
            )?,
            memory_limit: by_budget("memory_limit_bytes", "The most bytes that they may hold.")?,
            connections: gauge("connections", "Open connections of callers.")?,
            connection_limit: gauge("connections_limit", "The most open connections of callers.")?,
            slots: gauge(
                "slots",
                "Requests from the arrival of their body to the last byte sent.",
            )?,
            slot_limit: gauge("slots_limit", "The most such requests: server.max_in_flight.")?,
        }))
    }
}

impl BoundCollector {
    fn all(&self) -> [&dyn Collector; 6] {
        let Self { memory, memory_limit, connections, connection_limit, slots, slot_limit, .. } =
            self;
        [memory, memory_limit, connections, connection_limit, slots, slot_limit]
    }
}

impl Collector for BoundCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.all().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let budgets =
            [("bodies", Some(&self.bounds.bodies)), ("responses", self.bounds.responses.get())];
        for (name, budget) in budgets {
            let Some(budget) = budget else { continue };
            self.memory.with_label_values(&[name]).set(float(budget.held()));
            self.memory_limit.with_label_values(&[name]).set(float(budget.most()));
        }
        let read = |count: &AtomicUsize| float(count.load(Ordering::Relaxed));
        self.connections.set(read(&self.bounds.connections.used));
        self.connection_limit.set(read(&self.bounds.connections.most));
        self.slots.set(read(&self.bounds.slots.used));
        self.slot_limit.set(read(&self.bounds.slots.most));
        self.all().into_iter().flat_map(Collector::collect).collect()
    }
}

#[expect(clippy::cast_precision_loss, reason = "bytes and counts stay far below 2^53")]
fn float(count: usize) -> f64 {
    count as f64
}
