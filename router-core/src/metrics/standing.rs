//! Gauges of the deployments' current state, read at each scrape: cooling, in flight, utilization.
//!
//! They cover the deployments of the current config; a change of config changes what is read, not
//! what is registered.

use std::sync::{Arc, PoisonError, RwLock};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{CounterVec, GaugeVec, Opts, Registry};
use tokio::time::Instant;

use crate::decision::Rules;
use crate::deployment::Catalog;
use crate::fallback::RetryTokens;
use crate::policy::Priority;
use crate::task::Classifier;
use crate::task::SegmentCounts;
use crate::task::Task;
use crate::units::DeploymentName;
use crate::waiting::Leaving;
use crate::waiting::Waiting;

use super::ptu_costs::PtuCosts;
use super::recorder::NAMESPACE;
use super::retirement;

/// The deployments whose state is read at a scrape. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Watched(Arc<RwLock<Current>>);

#[derive(Debug)]
struct Current {
    waiting: Arc<Waiting>,
    catalog: Catalog,
    forced: Option<Task>,
    retries: RetryTokens,
    /// The classifier whose segments are counted.
    classifier: Classifier,
    /// True until the next scrape: series of deployments that are gone must go.
    renewed: bool,
}

impl Current {
    fn of(waiting: Arc<Waiting>, retries: &RetryTokens, rules: &Rules) -> Self {
        let (catalog, forced) = (rules.catalog.clone(), rules.policy.forced);
        let (retries, classifier) = (retries.clone(), rules.classifier.clone());
        Self { waiting, catalog, forced, retries, classifier, renewed: false }
    }
}

impl Watched {
    /// Makes what is known of deployments known to a registry.
    ///
    /// # Errors
    /// The registry holds one of the names already.
    pub(crate) fn register(
        registry: &Registry,
        waiting: Arc<Waiting>,
        retries: &RetryTokens,
        rules: &Rules,
    ) -> Result<Self, prometheus::Error> {
        let watched = Self(Arc::new(RwLock::new(Current::of(waiting, retries, rules))));
        StandingCollector::register(registry, watched.clone())?;
        Ok(watched)
    }

    /// Config has changed: from now on these are read.
    pub(crate) fn renew(&self, waiting: Arc<Waiting>, retries: &RetryTokens, rules: &Rules) {
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        *current = Current { renewed: true, ..Current::of(waiting, retries, rules) };
    }
}

fn queue_left() -> Result<CounterVec, prometheus::Error> {
    let opts = |name: &str, help: &str| Opts::new(name, help).namespace(NAMESPACE);
    CounterVec::new(
        opts(
            "queue_left_total",
            "Requests that left the queue of a deployment: entered, spilled to another one, refused after \
         their wait, gave up (the caller disconnected), or shed (full or standing queue).",
        ),
        &["deployment", "how"],
    )
}

#[derive(Debug)]
struct StandingCollector {
    watched: Watched,
    retires: GaugeVec,
    disabled: GaugeVec,
    forced: GaugeVec,
    cooling: GaugeVec,
    in_flight: GaugeVec,
    utilization: GaugeVec,
    level: GaugeVec,
    learned_rate: GaugeVec,
    learned_window: GaugeVec,
    unused: CounterVec,
    costs: PtuCosts,
    queue_length: GaugeVec,
    queue_left: CounterVec,
    retries_left: GaugeVec,
    retries_most: GaugeVec,
    segments: CounterVec,
}

fn segments() -> Result<CounterVec, prometheus::Error> {
    let help = "Segments of scored turns, by whether their features were remembered (hit) or computed (miss).";
    CounterVec::new(Opts::new("scored_segments_total", help).namespace(NAMESPACE), &["cache"])
}

fn forced() -> Result<GaugeVec, prometheus::Error> {
    let help = "1 for the role that routing.force_role sets, else 0.";
    GaugeVec::new(Opts::new("forced_role", help).namespace(NAMESPACE), &["role"])
}

fn unlabelled(name: &str, help: &str) -> Result<GaugeVec, prometheus::Error> {
    GaugeVec::new(Opts::new(name, help).namespace(NAMESPACE), &[])
}

fn register_build(registry: &Registry) -> Result<(), prometheus::Error> {
    let help = "Always 1; the label is the version of the program.";
    let opts = Opts::new("build_info", help).namespace(NAMESPACE);
    let build = GaugeVec::new(opts, &["version"])?;
    build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1.0);
    registry.register(Box::new(build))
}

impl StandingCollector {
    fn register(registry: &Registry, watched: Watched) -> Result<(), prometheus::Error> {
        let opts = |name: &str, help: &str| Opts::new(name, help).namespace(NAMESPACE);
        let gauge = |name: &str, help: &str| GaugeVec::new(opts(name, help), &["deployment"]);
        let collector = Self {
            watched,
            retires: gauge(
                "model_retires_timestamp_seconds",
                "Unix time at which the model of a deployment retires, in seconds.",
            )?,
            disabled: gauge(
                "deployment_disabled",
                "1 if the configuration disables the deployment, else 0.",
            )?,
            forced: forced()?,
            cooling: gauge(
                "deployment_cooling",
                "1 while a deployment is in a wait or cooldown, else 0.",
            )?,
            in_flight: gauge("deployment_in_flight", "Requests in flight to a deployment.")?,
            utilization: gauge(
                "provisioned_utilization_ratio",
                "Estimated utilization of a provisioned deployment; above 1 it returns 429.",
            )?,
            level: gauge(
                "provisioned_level_tokens",
                "Estimated level of a provisioned deployment's bucket, in normalized tokens.",
            )?,
            learned_rate: gauge(
                "provisioned_rate_ratio",
                "Drain rate of our tokens relative to the configured rate; below 1 if other clients use the deployment.",
            )?,
            learned_window: gauge(
                "provisioned_window_seconds",
                "Learned time in which a full bucket drains, in seconds.",
            )?,
            unused: CounterVec::new(
                opts(
                    "provisioned_unused_tokens_total",
                    "Normalized tokens of provisioned capacity that were paid for and not used.",
                ),
                &["deployment"],
            )?,
            costs: PtuCosts::new(Instant::now())?,
            queue_length: GaugeVec::new(
                opts("queue_length", "Requests that wait for a full provisioned deployment."),
                &["deployment", "priority"],
            )?,
            queue_left: queue_left()?,
            retries_left: unlabelled(
                "retry_budget_attempts",
                "Further attempts after faults that the retry budget allows now, for all requests together.",
            )?,
            retries_most: unlabelled(
                "retry_budget_limit_attempts",
                "The most further attempts that the budget gathers.",
            )?,
            segments: segments()?,
        };
        registry.register(Box::new(collector))?;
        register_build(registry)
    }

    fn gauges(&self) -> [&GaugeVec; 13] {
        let Self { retires, disabled, forced, cooling, in_flight, utilization, level, .. } = self;
        let Self {
            learned_rate,
            learned_window,
            queue_length,
            costs,
            retries_left,
            retries_most,
            ..
        } = self;
        [
            retires,
            disabled,
            forced,
            cooling,
            in_flight,
            utilization,
            level,
            learned_rate,
            learned_window,
            queue_length,
            retries_left,
            retries_most,
            &costs.price,
        ]
    }

    fn all(&self) -> impl Iterator<Item = &dyn Collector> {
        let gauges = self.gauges().into_iter().map(|gauge| gauge as &dyn Collector);
        let counts: [&dyn Collector; 4] =
            [&self.unused, &self.queue_left, &self.costs.spent, &self.segments];
        gauges.chain(counts)
    }

    fn read(&self, current: &Current, now: Instant) {
        self.costs.read(&current.catalog, now);
        self.retries_left.with_label_values::<&str>(&[]).set(current.retries.level(now));
        self.retries_most.with_label_values::<&str>(&[]).set(current.retries.most());
        self.read_segments(current.classifier.segment_counts().unwrap_or_default());
        for role in Task::ALL {
            let forced = f64::from(u8::from(current.forced == Some(role)));
            self.forced.with_label_values(&[role.as_str()]).set(forced);
        }
        for deployment in current.catalog.deployments() {
            let label = [deployment.name.as_str()];
            if let Some(seconds) = retirement::of(deployment) {
                self.retires.with_label_values(&label).set(seconds);
            }
            let disabled = f64::from(u8::from(!deployment.enabled));
            self.disabled.with_label_values(&label).set(disabled);
            let standing = current.waiting.state().standing(&deployment.name);
            // One that is full is left alone as well, though nobody but the twin says until when.
            let full = standing.twin.is_some_and(|twin| !twin.wait(now).is_zero());
            let cooling = f64::from(u8::from(full || standing.cooling(now).is_some()));
            self.cooling.with_label_values(&label).set(cooling);
            self.in_flight.with_label_values(&label).set(f64::from(standing.in_flight));
            let Some(twin) = standing.twin else { continue };
            self.read_queue(&current.waiting, &deployment.name);
            for (gauge, value) in [
                (&self.utilization, twin.utilization(now)),
                (&self.level, twin.level(now)),
                (&self.learned_rate, twin.drift().rate_ratio()),
                (&self.learned_window, twin.drift().window()),
            ] {
                gauge.with_label_values(&label).set(value);
            }
            let unused = self.unused.with_label_values(&label);
            if twin.unused(now) < unused.get() {
                // Another deployment under the same name: it counts from nothing.
                unused.reset();
            }
            unused.inc_by((twin.unused(now) - unused.get()).max(0.0));
        }
    }
}

impl StandingCollector {
    fn read_segments(&self, SegmentCounts { hits, misses }: SegmentCounts) {
        for (cache, count) in [("hit", hits), ("miss", misses)] {
            let segments = self.segments.with_label_values(&[cache]);
            let count = as_float(count);
            if count < segments.get() {
                // The scorer of another configuration counts from nothing.
                segments.reset();
            }
            segments.inc_by((count - segments.get()).max(0.0));
        }
    }

    fn read_queue(&self, waiting: &Waiting, deployment: &DeploymentName) {
        for priority in Priority::ALL {
            let length = u32::try_from(waiting.queue_length(deployment, priority));
            let labels = [deployment.as_str(), priority.as_str()];
            self.queue_length.with_label_values(&labels).set(length.map_or(f64::MAX, f64::from));
        }
        let Some(counts) = waiting.queue_counts(deployment) else { return };
        for how in Leaving::ALL {
            let left = self.queue_left.with_label_values(&[deployment.as_str(), how.as_str()]);
            let count = counts.count(how);
            if count < left.get() {
                // Another deployment under the same name: it counts from nothing.
                left.reset();
            }
            left.inc_by((count - left.get()).max(0.0));
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn as_float(count: u64) -> f64 {
    count as f64
}

impl Collector for StandingCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.all().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        // Held to the end, so that no scrape sees series that another is about to fill.
        let mut current = self.watched.0.write().unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut current.renewed) {
            self.gauges().into_iter().for_each(GaugeVec::reset);
        }
        self.read(&current, Instant::now());
        self.all().flat_map(Collector::collect).collect()
    }
}
