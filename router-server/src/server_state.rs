//! The state that outlives a configuration: the metrics registry, whether the process drains, the
//! number of running requests, and the result of the last reload.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus::{Gauge, GaugeVec, IntCounterVec, Opts, Registry};
use router_core::clock;
use router_core::memory::Budget;

use crate::bound_gauges::Bounds;
use crate::bound_gauges::Count;
use crate::budgets::BudgetGauges;
use crate::dashboard::Dashboard;
use crate::notify::Notifier;
use crate::tokens::KeySource;
use crate::traces::Tracer;

/// State that all configurations of a running server share.
#[derive(Debug)]
pub(crate) struct ServerState {
    pub(crate) registry: Registry,
    /// The dashboard's data.
    pub(crate) dashboard: Arc<Dashboard>,
    /// Since when the server runs.
    pub(crate) since: SystemTime,
    /// Makes spans of requests; `None` if nobody wants any.
    pub(crate) tracer: Option<Arc<Tracer>>,
    draining: AtomicBool,
    /// Use of the bounds: memory of request bodies, connections, and running requests.
    pub(crate) bounds: Bounds,
    reloads: RwLock<Reloads>,
    /// Sends notices of budgets.
    pub(crate) notifier: Notifier,
    /// Public keys of the issuers of the running configuration: the next one goes on with them.
    pub(crate) issuers: Mutex<Vec<Arc<KeySource>>>,
    /// Budgets as they are shown.
    pub(crate) budget_gauges: BudgetGauges,
    told: Told,
}

/// The running configuration, and the result of the last reload.
#[derive(Debug, Clone)]
pub(crate) struct Reloads {
    /// The word for the configuration that runs.
    pub(crate) version: Box<str>,
    /// Since when it runs.
    pub(crate) loaded: SystemTime,
    /// The last reload; `None` before the first.
    pub(crate) last: Option<Reload>,
}

/// A reload.
#[derive(Debug, Clone)]
pub(crate) struct Reload {
    /// When.
    pub(crate) at: SystemTime,
    /// The reason why the configuration was not taken; empty if it was.
    pub(crate) faults: Vec<String>,
    /// The keys that differ and cannot change while the server runs.
    pub(crate) needs_restart: Vec<&'static str>,
}

/// The same as metrics.
#[derive(Debug)]
struct Told {
    successful: Gauge,
    loaded: Gauge,
    reloads: IntCounterVec,
    version: GaugeVec,
    /// Has a line where the listener speaks TLS.
    expires: GaugeVec,
}

impl Told {
    fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let options = |name: &str, help: &str| Opts::new(name, help).namespace("model_router");
        let told = Self {
            successful: Gauge::with_opts(options(
                "config_last_reload_successful",
                "1 if the last reload succeeded, 0 if the files have faults.",
            ))?,
            loaded: Gauge::with_opts(options(
                "config_last_reload_success_timestamp_seconds",
                "Unix time of the last successful reload, in seconds.",
            ))?,
            reloads: IntCounterVec::new(
                options("config_reloads_total", "Reloads of the configuration, by result."),
                &["result"],
            )?,
            version: GaugeVec::new(
                options("config_info", "Always 1; the label identifies the running configuration."),
                &["version"],
            )?,
            expires: GaugeVec::new(
                options(
                    "tls_certificate_expires_timestamp_seconds",
                    "When the listener's certificate ends, or the first of its chain, in seconds since 1970.",
                ),
                &[],
            )?,
        };
        registry.register(Box::new(told.successful.clone()))?;
        registry.register(Box::new(told.loaded.clone()))?;
        registry.register(Box::new(told.reloads.clone()))?;
        registry.register(Box::new(told.version.clone()))?;
        registry.register(Box::new(told.expires.clone()))?;
        // Both lines are there from the start, so that a first failure is a rise.
        for result in ["success", "failure"] {
            drop(told.reloads.with_label_values(&[result]));
        }
        Ok(told)
    }

    fn runs(&self, version: &str, loaded: SystemTime) {
        let since = loaded.duration_since(UNIX_EPOCH).unwrap_or_default();
        self.successful.set(1.0);
        self.loaded.set(since.as_secs_f64());
        self.version.reset();
        self.version.with_label_values(&[version]).set(1.0);
    }
}

impl ServerState {
    /// A server begins with a configuration.
    pub(crate) fn new(
        registry: Registry,
        version: &str,
        tracer: Option<Arc<Tracer>>,
    ) -> Result<Self, prometheus::Error> {
        let told = Told::register(&registry)?;
        let budget_gauges = BudgetGauges::register(&registry)?;
        let bounds = Bounds {
            bodies: Arc::new(Budget::new(0)),
            responses: Arc::default(),
            connections: Count::default(),
            slots: Count::default(),
        };
        bounds.clone().register(&registry)?;
        let notifier = Notifier::register(&registry)?;
        let now = clock::wall();
        told.runs(version, now);
        Ok(Self {
            registry,
            dashboard: Arc::new(Dashboard::new(now)),
            since: now,
            tracer,
            draining: AtomicBool::new(false),
            bounds,
            reloads: RwLock::new(Reloads { version: version.into(), loaded: now, last: None }),
            issuers: Mutex::default(),
            budget_gauges,
            notifier,
            told,
        })
    }

    /// From now on readiness is false.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    pub(crate) fn draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Room for one more request, held until it is dropped; `None` if `most` are under way.
    pub(crate) fn admit(&self, most: usize) -> Option<Permit> {
        let one_more = |count: usize| (count < most).then_some(count + 1);
        let order = Ordering::Relaxed;
        let under_way = &self.bounds.slots.used;
        under_way.fetch_update(order, order, one_more).ok()?;
        Some(Permit(Arc::clone(under_way)))
    }

    /// True if one more request has room now; the room is not taken.
    pub(crate) fn has_room(&self, most: usize) -> bool {
        self.bounds.slots.used.load(Ordering::Relaxed) < most
    }

    /// The listener shows another certificate, which ends then; `None` if it shows none.
    pub(crate) fn certificate(&self, expires: Option<Duration>) {
        self.told.expires.reset();
        if let Some(expires) = expires {
            self.told.expires.with_label_values::<&str>(&[]).set(expires.as_secs_f64());
        }
    }

    /// Another configuration runs.
    pub(crate) fn reloaded(&self, version: &str, needs_restart: Vec<&'static str>) {
        let now = clock::wall();
        self.told.reloads.with_label_values(&["success"]).inc();
        self.told.runs(version, now);
        let last = Some(Reload { at: now, faults: Vec::new(), needs_restart });
        let mut reloads = self.reloads.write().unwrap_or_else(PoisonError::into_inner);
        *reloads = Reloads { version: version.into(), loaded: now, last };
    }

    /// The new configuration is rejected; the previous one stays.
    pub(crate) fn kept(&self, faults: Vec<String>) {
        self.told.reloads.with_label_values(&["failure"]).inc();
        self.told.successful.set(0.0);
        let mut reloads = self.reloads.write().unwrap_or_else(PoisonError::into_inner);
        reloads.last = Some(Reload { at: clock::wall(), faults, needs_restart: Vec::new() });
    }

    pub(crate) fn reloads(&self) -> Reloads {
        self.reloads.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Room for a request while it lasts.
#[derive(Debug)]
pub(crate) struct Permit(Arc<AtomicUsize>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_counted_over_all_configurations_and_given_back() {
        let process = ServerState::new(Registry::new(), "a", None).unwrap();
        let first = process.admit(2);
        let second = process.admit(2);
        assert!(first.is_some() && second.is_some() && process.admit(2).is_none());
        assert!(process.admit(3).is_some(), "a larger bound of a new configuration");
        drop(first);
        assert!(process.admit(1).is_none() && process.admit(2).is_some());
    }
}
