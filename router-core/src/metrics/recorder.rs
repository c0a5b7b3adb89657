//! Records the metrics of requests: decisions, attempts, answers, usage, cost and time.

use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{
    CounterVec, Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts,
    Registry,
};

use crate::deployment::Deployment;
use crate::error_kind::Kind;
use crate::fallback::Ended;
use crate::fallback::Step;
use crate::record::Decided;
use crate::record::RequestEnd;
use crate::task::Task;

use super::choices::Choices;
use super::keys::Keys;
use super::observed::Observed;
use super::priced::Priced;
use super::provisioned::Capacity;

/// All metrics of a router.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    decisions: IntCounterVec,
    score: HistogramVec,
    choices: Choices,
    other_languages: IntCounterVec,
    attempts: IntCounterVec,
    fallbacks: IntCounterVec,
    refusals: IntCounterVec,
    unanswered: IntCounter,
    wait_asked: HistogramVec,
    overhead: Histogram,
    pub(super) cost: CounterVec,
    pub(super) priced: Priced,
    adapted: IntCounterVec,
    streams: IntCounterVec,
    pub(super) usage_estimated: IntCounterVec,
    surprises: Surprises,
    in_flight: Gauge,
    pub(super) capacity: Capacity,
    pub(super) keys: Keys,
    pub(super) observed: Observed,
    pub(super) gen_ai: GenAi,
}

/// The names that are shared with every client of a model service.
///
/// **Source:** `OpenTelemetry`, semantic conventions for generative AI, status "development": a change there is a change
/// of this block alone.
#[derive(Debug, Clone)]
pub(super) struct GenAi {
    pub(super) duration: HistogramVec,
    pub(super) first_chunk: HistogramVec,
    pub(super) tokens: HistogramVec,
}

/// Metrics of deployments that deviate from the configuration.
#[derive(Debug, Clone)]
struct Surprises {
    model_mismatches: IntCounterVec,
    spillovers: IntCounterVec,
}

impl Surprises {
    fn register(make: &Maker<'_>) -> Result<Self, prometheus::Error> {
        Ok(Self {
            model_mismatches: make.count(
                "model_mismatches_total",
                "Answers whose model differs from the configured one.",
                &["deployment"],
            )?,
            spillovers: make.count(
                "native_spillovers_total",
                "Answers that Azure's native spillover served in place of a provisioned deployment.",
                &["deployment"],
            )?,
        })
    }
}

/// Seconds from 10 µs, doubling: our own time.
fn overhead_buckets() -> Vec<f64> {
    (0..16).map(|power| 1e-5 * f64::from(1u32 << power)).collect()
}

/// Seconds from 5 ms: waits that upstreams ask for.
const WAIT_BUCKETS: [f64; 12] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0];

/// Seconds from 10 ms, doubling to 81.92.
fn duration_buckets() -> Vec<f64> {
    (0..14).map(|power| 0.01 * f64::from(1u32 << power)).collect()
}

/// Tokens from 1, times 4 to 67,108,864.
fn token_buckets() -> Vec<f64> {
    (0..14).map(|power| f64::from(1u32 << (2 * power))).collect()
}

const GEN_AI: [&str; 3] = ["gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model"];

impl GenAi {
    fn register(make: &Maker<'_>) -> Result<Self, prometheus::Error> {
        Ok(Self {
            duration: make.shared(
                "gen_ai_client_operation_duration_seconds",
                "Time from the request to the end of its answer, in seconds; error_type is empty for an answer.",
                duration_buckets(),
                &[&GEN_AI[..], &["deployment", "billing", "error_type"]].concat(),
            )?,
            first_chunk: make.shared(
                "gen_ai_client_operation_time_to_first_chunk_seconds",
                "Time to the first content of a stream, in seconds.",
                duration_buckets(),
                &[&GEN_AI[..], &["deployment", "billing"]].concat(),
            )?,
            tokens: make.shared(
                "gen_ai_client_token_usage",
                "Tokens per answer, by input and output.",
                token_buckets(),
                &[&GEN_AI[..], &["gen_ai_token_type"]].concat(),
            )?,
        })
    }
}

impl Metrics {
    /// Makes all metrics known to a registry.
    ///
    /// # Errors
    /// The registry holds one of the names already: one registry serves one router.
    pub(crate) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let make = Maker(registry);
        let deployment = &["deployment"][..];
        Ok(Self {
            decisions: make.count("decisions_total", "Decisions, by task and preferred model; the task is named if the caller chose the model.", &["task", "model"])?,
            score: make.histogram(
                "score",
                "Probability that a request needs reasoning, 0 to 1.",
                (1..=20).map(|step| f64::from(step) / 20.0).collect(),
                &["task"],
            )?,
            choices: Choices::register(&make)?,
            other_languages: other_languages(&make)?,
            attempts: make.count(
                "attempts_total",
                "Attempts sent to deployments, by outcome.",
                &["deployment", "billing", "outcome"],
            )?,
            fallbacks: make.count(
                "fallbacks_total",
                "Requests that moved on to another deployment, by cause.",
                &["from", "to", "cause"],
            )?,
            refusals: make.count("refusals_total", "Requests that the router refused or that no deployment answered, by error code.", &["kind"])?,
            unanswered: make.zero("unanswered_total", "Valid and allowed requests that no deployment answered; callers' mistakes, limits of keys and callers that left are not among them.")?,
            wait_asked: make.waits("wait_asked_seconds", "Waits that deployments requested, in seconds.")?,
            overhead: make.single(
                "overhead_seconds",
                "Time spent in the router itself, without upstream time, in seconds.",
                overhead_buckets(),
            )?,
            cost: make.dollars("cost_usd_total", "Cost in US dollars of answers billed by the token.", &["deployment"])?,
            priced: Priced::register(&make)?,
            adapted: make.count(
                "adapted_total",
                "Fields changed or removed because the model does not accept them.",
                &["model", "field"],
            )?,
            streams: make.count(
                "streams_total",
                "Streams, by how they ended.",
                &["deployment", "ended"],
            )?,
            usage_estimated: make.count(
                "usage_estimated_total",
                "Answers without usage figures, whose usage was estimated.",
                deployment,
            )?,
            surprises: Surprises::register(&make)?,
            in_flight: make.level("in_flight", "Requests in flight at the router.")?,
            capacity: Capacity::register(&make)?,
            keys: Keys::register(&make)?,
            observed: Observed::register(&make)?,
            gen_ai: GenAi::register(&make)?,
        })
    }

    /// A request has come; the guard counts it until it is dropped.
    pub(crate) fn enter(&self) -> InFlight {
        self.in_flight.inc();
        InFlight(self.in_flight.clone())
    }

    pub(super) fn decided(&self, decided: &Decided) {
        let task = decided.task.map_or("named", Task::as_str);
        let model = decided.first.as_ref().map_or("none", |first| first.model.name.as_str());
        self.decisions.with_label_values(&[task, model]).inc();
        if let Some(verdict) = decided.verdict {
            let score = f64::from(verdict.score.value());
            self.score.with_label_values(&[verdict.task.as_str()]).observe(score);
            if verdict.other_language {
                self.other_languages.with_label_values(&[task]).inc();
            }
        }
        self.choices.decided(decided);
        self.decided_observed(decided);
    }

    pub(crate) fn attempted(&self, trail: &[Step]) {
        for step in trail {
            let Deployment { name, billing, .. } = &*step.deployment;
            let labels = [name.as_str(), billing.as_str(), step.ended.as_str()];
            self.attempts.with_label_values(&labels).inc();
            if let Ended::Throttled(kind, wait) = step.ended {
                let labels = [name.as_str(), kind.as_str()];
                self.capacity.throttles.with_label_values(&labels).inc();
                self.wait_asked.with_label_values(&[name.as_str()]).observe(wait.as_secs_f64());
            }
        }
    }

    pub(super) fn fell_back(&self, from: &Deployment, to: &Deployment, cause: &str) {
        self.fallbacks.with_label_values(&[from.name.as_str(), to.name.as_str(), cause]).inc();
    }

    pub(crate) fn refused(&self, kind: Kind) {
        self.refusals.with_label_values(&[kind.as_str()]).inc();
    }

    pub(super) fn unanswered(&self) {
        self.unanswered.inc();
    }

    pub(super) fn overhead(&self, overhead: Duration) {
        self.overhead.observe(overhead.as_secs_f64());
    }

    pub(super) fn adapted(&self, deployment: &Deployment, fields: &[&'static str]) {
        for field in fields {
            self.adapted.with_label_values(&[deployment.model.name.as_str(), field]).inc();
        }
    }

    pub(super) fn stream_ended(&self, deployment: &Deployment, ended: RequestEnd) {
        let how = match ended {
            RequestEnd::Served => "whole",
            RequestEnd::Interrupted => "interrupted",
            RequestEnd::Rejected | RequestEnd::Refused(_) => "rejected",
            RequestEnd::HungUp => "hung_up",
        };
        self.streams.with_label_values(&[deployment.name.as_str(), how]).inc();
    }

    pub(super) fn mismatched(&self, deployment: &Deployment) {
        self.surprises.model_mismatches.with_label_values(&[deployment.name.as_str()]).inc();
    }

    pub(super) fn spilled_over(&self, deployment: &Deployment) {
        self.surprises.spillovers.with_label_values(&[deployment.name.as_str()]).inc();
    }
}

/// Counts a request while it lasts.
#[derive(Debug)]
pub(crate) struct InFlight(Gauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Makes metrics and registers them.
pub(super) struct Maker<'r>(&'r Registry);

/// Ours are told from others' by this.
pub(super) const NAMESPACE: &str = "model_router";

impl Maker<'_> {
    fn known<M: Collector + Clone + 'static>(&self, metric: M) -> Result<M, prometheus::Error> {
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    /// A counter without labels, which shows 0 from the start.
    pub(super) fn zero(&self, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
        self.known(IntCounter::with_opts(Opts::new(name, help).namespace(NAMESPACE))?)
    }

    pub(super) fn count(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<IntCounterVec, prometheus::Error> {
        self.known(IntCounterVec::new(Opts::new(name, help).namespace(NAMESPACE), labels)?)
    }

    pub(super) fn dollars(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<CounterVec, prometheus::Error> {
        self.known(CounterVec::new(Opts::new(name, help).namespace(NAMESPACE), labels)?)
    }

    fn level(&self, name: &str, help: &str) -> Result<Gauge, prometheus::Error> {
        self.known(Gauge::with_opts(Opts::new(name, help).namespace(NAMESPACE))?)
    }

    fn histogram(
        &self,
        name: &str,
        help: &str,
        buckets: Vec<f64>,
        labels: &[&str],
    ) -> Result<HistogramVec, prometheus::Error> {
        let options = HistogramOpts::new(name, help).namespace(NAMESPACE).buckets(buckets);
        self.known(HistogramVec::new(options, labels)?)
    }

    pub(super) fn waits(&self, name: &str, help: &str) -> Result<HistogramVec, prometheus::Error> {
        self.histogram(name, help, WAIT_BUCKETS.to_vec(), &["deployment"])
    }

    fn single(
        &self,
        name: &str,
        help: &str,
        buckets: Vec<f64>,
    ) -> Result<Histogram, prometheus::Error> {
        let options = HistogramOpts::new(name, help).namespace(NAMESPACE).buckets(buckets);
        self.known(Histogram::with_opts(options)?)
    }

    /// A name shared with others, without our namespace.
    fn shared(
        &self,
        name: &str,
        help: &str,
        buckets: Vec<f64>,
        labels: &[&str],
    ) -> Result<HistogramVec, prometheus::Error> {
        self.known(HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets), labels)?)
    }
}

/// The count of requests in other languages; 0 before the first one.
fn other_languages(make: &Maker<'_>) -> Result<IntCounterVec, prometheus::Error> {
    let help = "Scored requests in other languages than English and Korean, by task.";
    let counts = make.count("other_languages_total", help, &["task"])?;
    for task in Task::ALL {
        counts.with_label_values(&[task.as_str()]);
    }
    Ok(counts)
}
