//! What only the moment of asking can tell: who is cooling, who is busy. Read from the state at each scrape.

use std::sync::Arc;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{CounterVec, GaugeVec, Opts, Registry};
use tokio::time::Instant;

use crate::deployment::Catalog;
use crate::state::CapacityState;
use crate::units::DeploymentName;

use super::recorder::NAMESPACE;

/// What only the moment of asking can tell: who is cooling, who is busy. Read from the state at each scrape.
#[derive(Debug)]
pub(crate) struct StandingCollector {
    state: Arc<dyn CapacityState>,
    deployments: Vec<DeploymentName>,
    cooling: GaugeVec,
    in_flight: GaugeVec,
    utilization: GaugeVec,
    level: GaugeVec,
    learned_rate: GaugeVec,
    learned_window: GaugeVec,
    unused: CounterVec,
}

impl StandingCollector {
    pub(crate) fn register(
        registry: &Registry,
        state: Arc<dyn CapacityState>,
        catalog: &Catalog,
    ) -> Result<(), prometheus::Error> {
        let gauge = |name: &str, help: &str| {
            GaugeVec::new(Opts::new(name, help).namespace(NAMESPACE), &["deployment"])
        };
        let collector = Self {
            state,
            deployments: catalog.deployments().iter().map(|known| known.name.clone()).collect(),
            cooling: gauge("deployment_cooling", "1 while a deployment is left alone.")?,
            in_flight: gauge("deployment_in_flight", "Requests at a deployment.")?,
            utilization: gauge(
                "provisioned_utilization_ratio",
                "How full a provisioned deployment is, by the twin; above 1 it refuses.",
            )?,
            level: gauge("provisioned_level_tokens", "Normalized tokens in the twin's bucket.")?,
            learned_rate: gauge(
                "provisioned_rate_ratio",
                "The rate at which our tokens drain, as a share of config's; below 1 where others use it.",
            )?,
            learned_window: gauge(
                "provisioned_window_seconds",
                "The learned time in which a full bucket drains.",
            )?,
            unused: CounterVec::new(
                Opts::new(
                    "provisioned_unused_tokens_total",
                    "Normalized tokens that were paid for and drained away unused.",
                )
                .namespace(NAMESPACE),
                &["deployment"],
            )?,
        };
        registry.register(Box::new(collector))?;
        let build = GaugeVec::new(
            Opts::new("build_info", "The version that runs.").namespace(NAMESPACE),
            &["version"],
        )?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1.0);
        registry.register(Box::new(build))
    }

    fn all(&self) -> [&dyn Collector; 7] {
        let Self { cooling, in_flight, utilization, level, learned_rate, .. } = self;
        let Self { learned_window, unused, .. } = self;
        [cooling, in_flight, utilization, level, learned_rate, learned_window, unused]
    }
}

impl Collector for StandingCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.all().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let now = Instant::now();
        for name in &self.deployments {
            let standing = self.state.standing(name);
            // One that is full is left alone as well, though nobody but the twin says until when.
            let full = standing.twin.is_some_and(|twin| !twin.wait(now).is_zero());
            let cooling = f64::from(u8::from(full || standing.cooling(now).is_some()));
            self.cooling.with_label_values(&[name.as_str()]).set(cooling);
            self.in_flight.with_label_values(&[name.as_str()]).set(f64::from(standing.in_flight));
            let Some(twin) = standing.twin else { continue };
            for (gauge, value) in [
                (&self.utilization, twin.utilization(now)),
                (&self.level, twin.level(now)),
                (&self.learned_rate, twin.drift().rate_ratio()),
                (&self.learned_window, twin.drift().window()),
            ] {
                gauge.with_label_values(&[name.as_str()]).set(value);
            }
            let unused = self.unused.with_label_values(&[name.as_str()]);
            unused.inc_by((twin.unused(now) - unused.get()).max(0.0));
        }
        self.all().into_iter().flat_map(Collector::collect).collect()
    }
}
