//! What is sent to the page: numbers, names from config and words of our own, as JSON.
//!
//! A full state tells everything; each second after it tells the sums anew, for they are small, and of what is long only
//! what was added.

use std::collections::BTreeMap;

use router_core::deployment::{Billing, Deployment};
use router_core::units::DeploymentName;
use router_core::waiting::QueueView;
use serde::Serialize;

use super::entry::{Entry, milliseconds, rounded};
use super::outcome::{Outcome, WAYS};
use super::series::{Level, Series, Step};
use super::standing::Stands;
use super::tally::{Done, HOLD_EDGES_MS, Holds, SCORE_BINS, Tally};

/// Everything.
#[derive(Debug, Serialize)]
pub(super) struct State {
    #[serde(flatten)]
    pub(super) now: Now,
    pub(super) history: History,
    /// Newest first.
    pub(super) decisions: Vec<Entry>,
}

/// One second more.
#[derive(Debug, Serialize)]
pub(super) struct Tick<'a> {
    #[serde(flatten)]
    pub(super) now: &'a Now,
    pub(super) step: StepView,
    /// Newest first.
    pub(super) decisions: Vec<&'a Entry>,
}

/// What holds at this moment.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Now {
    /// Told anew by each process.
    pub(super) boot: Box<str>,
    /// Counts the seconds of this process.
    pub(super) second: u64,
    pub(super) at_ms: u64,
    pub(super) started_ms: u64,
    pub(super) version: &'static str,
    pub(super) config: ConfigView,
    /// True where scores are only observed: one role serves everything.
    pub(super) observe: bool,
    /// The role that serves whatever names no model, where config forces one.
    pub(super) forced: Option<&'static str>,
    pub(super) draining: bool,
    pub(super) threshold: f64,
    pub(super) decisions_kept: usize,
    pub(super) in_flight: u64,
    pub(super) deployments: Vec<Health>,
    pub(super) totals: Totals,
}

#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct ConfigView {
    pub(super) version: Box<str>,
    /// True where the files have faults and the last good ones hold.
    pub(super) fault: bool,
}

/// How one deployment stands.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Health {
    pub(super) name: Box<str>,
    pub(super) model: Box<str>,
    pub(super) billing: &'static str,
    pub(super) area: Box<str>,
    pub(super) ptu: Option<f64>,
    pub(super) standing: &'static str,
    pub(super) cause: Option<&'static str>,
    pub(super) for_ms: Option<u64>,
    pub(super) in_flight: u32,
    pub(super) max_in_flight: Option<u32>,
    pub(super) utilization: Option<f64>,
    pub(super) level: Option<f64>,
    pub(super) capacity: Option<f64>,
    pub(super) requests_left: Option<u64>,
    pub(super) requests_limit: Option<u64>,
    pub(super) tokens_left: Option<u64>,
    pub(super) tokens_limit: Option<u64>,
    /// Of a provisioned deployment.
    pub(super) queue: Option<QueueHealth>,
    pub(super) answers: u64,
    pub(super) throttled: u64,
    pub(super) faults: u64,
    pub(super) cost_usd: f64,
}

/// The queue in front of a deployment.
#[derive(Debug, Clone, Serialize)]
pub(super) struct QueueHealth {
    waiting: usize,
    /// How long the oldest request has waited.
    longest_ms: u64,
    /// How many requests have left, by how.
    left: BTreeMap<&'static str, u64>,
}

impl From<QueueView> for QueueHealth {
    fn from(queue: QueueView) -> Self {
        let left = queue.left.into_iter().map(|(leaving, count)| (leaving.as_str(), count));
        let longest_ms = milliseconds(queue.longest_wait);
        Self { waiting: queue.waiting, longest_ms, left: left.collect() }
    }
}

impl Health {
    /// What config and counts say of a deployment, without what the state knows.
    pub(super) fn new(deployment: &Deployment, stands: Stands) -> Self {
        Self {
            name: deployment.name.as_str().into(),
            model: deployment.model.name.as_str().into(),
            billing: deployment.billing.as_str(),
            area: deployment.area.to_string().into(),
            ptu: match &deployment.billing {
                Billing::Provisioned(provisioned) => Some(provisioned.ptu),
                Billing::PayAsYouGo(_) => None,
            },
            max_in_flight: deployment.max_in_flight,
            ..Self::named(deployment.name.as_str(), stands)
        }
    }

    /// A deployment of which no more than its name is known.
    pub(super) fn named(name: &str, stands: Stands) -> Self {
        Self {
            name: name.into(),
            model: "".into(),
            billing: "",
            area: "".into(),
            ptu: None,
            standing: stands.word,
            cause: stands.cause,
            for_ms: stands.time.map(milliseconds),
            in_flight: 0,
            max_in_flight: None,
            utilization: None,
            level: None,
            capacity: None,
            requests_left: None,
            requests_limit: None,
            tokens_left: None,
            tokens_limit: None,
            queue: None,
            answers: 0,
            throttled: 0,
            faults: 0,
            cost_usd: 0.0,
        }
    }

    /// The same with what it has done.
    pub(super) fn with(mut self, done: Done) -> Self {
        self.answers = done.answers;
        self.throttled = done.throttled;
        self.faults = done.faults;
        self.cost_usd = done.cost.as_f64();
        self
    }
}

/// The counts since the process began.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Totals {
    requests: u64,
    ways: BTreeMap<&'static str, u64>,
    routes: Vec<RouteView>,
    spills: Vec<SpillView>,
    holds: HoldsView,
    scores: Scores,
    money: MoneyView,
}

#[derive(Debug, Clone, Serialize)]
struct RouteView {
    deployment: Box<str>,
    cause: &'static str,
    way: &'static str,
    requests: u64,
}

#[derive(Debug, Clone, Serialize)]
struct SpillView {
    deployment: Box<str>,
    cause: &'static str,
    requests: u64,
}

#[derive(Debug, Clone, Default, Serialize)]
struct HoldsView {
    entered: u64,
    gave_up: u64,
    held_ms: u64,
    buckets: Vec<Bucket>,
}

#[derive(Debug, Clone, Serialize)]
struct Bucket {
    up_to_ms: Option<u64>,
    entered: u64,
    gave_up: u64,
}

#[derive(Debug, Clone, Default, Serialize)]
struct Scores {
    chat: [u64; SCORE_BINS],
    reasoning: [u64; SCORE_BINS],
}

#[derive(Debug, Clone, Default, Serialize)]
struct MoneyView {
    paid_usd: f64,
    payg_usd: f64,
    saved_payg_usd: f64,
    reasoning_usd: f64,
    saved_reasoning_usd: f64,
    unpriced: u64,
    /// What scores would have saved where they are only observed.
    would_save_usd: f64,
    observed_usd: f64,
}

impl From<&Tally> for Totals {
    fn from(tally: &Tally) -> Self {
        let routes = tally.routes.iter().map(|((name, cause, way), requests)| RouteView {
            deployment: name.as_ref().map_or("", DeploymentName::as_str).into(),
            cause,
            way: way.as_str(),
            requests: *requests,
        });
        let spills = tally.spills.iter().map(|((name, cause), requests)| SpillView {
            deployment: name.as_str().into(),
            cause,
            requests: *requests,
        });
        let [saved_payg, saved_reasoning] = tally.money.saved();
        Self {
            requests: tally.requests,
            ways: Outcome::ALL.into_iter().map(Outcome::as_str).zip(tally.ways).collect(),
            routes: routes.collect(),
            spills: spills.collect(),
            holds: HoldsView::from(&tally.holds),
            scores: Scores { chat: tally.chat_scores, reasoning: tally.reasoning_scores },
            money: MoneyView {
                paid_usd: rounded(tally.money.paid.as_f64(), 1e9),
                payg_usd: rounded(tally.money.pay_as_you_go.instead.as_f64(), 1e9),
                saved_payg_usd: rounded(saved_payg, 1e9),
                reasoning_usd: rounded(tally.money.reasoning.instead.as_f64(), 1e9),
                saved_reasoning_usd: rounded(saved_reasoning, 1e9),
                unpriced: tally.money.unpriced,
                would_save_usd: rounded(-tally.money.observed.saved(), 1e9),
                observed_usd: rounded(tally.money.observed.paid.as_f64(), 1e9),
            },
        }
    }
}

impl From<&Holds> for HoldsView {
    fn from(holds: &Holds) -> Self {
        let edges = HOLD_EDGES_MS.into_iter().map(Some).chain([None]);
        let bins = holds.entered.into_iter().zip(holds.gave_up);
        Self {
            entered: holds.entered.iter().sum(),
            gave_up: holds.gave_up.iter().sum(),
            held_ms: milliseconds(holds.time),
            buckets: edges
                .zip(bins)
                .map(|(up_to_ms, (entered, gave_up))| Bucket { up_to_ms, entered, gave_up })
                .collect(),
        }
    }
}

/// A level: how full, tokens, 429s.
type LevelView = (f64, f64, u32);

/// One second.
#[derive(Debug, Serialize)]
pub(super) struct StepView {
    at_ms: u64,
    ways: [u32; WAYS],
    saved: [f64; 2],
    levels: BTreeMap<Box<str>, LevelView>,
}

impl StepView {
    pub(super) fn new(at_ms: u64, step: &Step, levels: &BTreeMap<DeploymentName, Level>) -> Self {
        let levels = levels.iter().map(|(name, level)| (name.as_str().into(), told(level)));
        Self { at_ms, ways: step.ways, saved: short(step.saved), levels: levels.collect() }
    }
}

/// The seconds that are kept, oldest first.
#[derive(Debug, Serialize)]
pub(super) struct History {
    end_ms: u64,
    ways: Vec<[u32; WAYS]>,
    saved: Vec<[f64; 2]>,
    levels: BTreeMap<Box<str>, Vec<Option<LevelView>>>,
}

impl History {
    pub(super) fn new(end_ms: u64, series: &Series) -> Self {
        let levels = series.levels.iter().map(|(name, ring)| {
            (name.as_str().into(), ring.iter().map(|level| level.as_ref().map(told)).collect())
        });
        Self {
            end_ms,
            ways: series.steps.iter().map(|step| step.ways).collect(),
            saved: series.steps.iter().map(|step| short(step.saved)).collect(),
            levels: levels.collect(),
        }
    }
}

fn told(level: &Level) -> LevelView {
    (rounded(level.utilization, 1e4), level.tokens.round(), level.throttled)
}

fn short(saved: [f64; 2]) -> [f64; 2] {
    saved.map(|dollars| rounded(dollars, 1e9))
}
