//! What only the moment of asking can tell: who is cooling, who is busy. Read from the state at each scrape.

use std::sync::Arc;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{GaugeVec, Opts, Registry};
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
        };
        registry.register(Box::new(collector))?;
        let build = GaugeVec::new(
            Opts::new("build_info", "The version that runs.").namespace(NAMESPACE),
            &["version"],
        )?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1.0);
        registry.register(Box::new(build))
    }
}

impl Collector for StandingCollector {
    fn desc(&self) -> Vec<&Desc> {
        let mut all = self.cooling.desc();
        all.extend(self.in_flight.desc());
        all
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let now = Instant::now();
        for name in &self.deployments {
            let standing = self.state.standing(name);
            let cooling = f64::from(u8::from(standing.cooling(now).is_some()));
            self.cooling.with_label_values(&[name.as_str()]).set(cooling);
            self.in_flight.with_label_values(&[name.as_str()]).set(f64::from(standing.in_flight));
        }
        let mut all = self.cooling.collect();
        all.extend(self.in_flight.collect());
        all
    }
}
