//! Collects what the dashboard shows and sends it to whoever watches.
//!
//! It outlives a configuration: whoever samples says by which router and configuration the moment is to be told. Requests
//! end under its lock, so nothing is done there but counting; texts for browsers are made once a second, outside of it. It
//! holds no router, for routers hold it.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use router_core::fallback::Ended;
use router_core::policy::Mode;
use router_core::record::{Observer, RequestRecord};
use router_core::router::ModelRouter;
use router_core::task::Task;
use router_core::units::DeploymentName;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::entry::{Entry, milliseconds, rounded};
use super::feed;
use super::feed::Feed;
use super::ring::Ring;
use super::series::{Level, Series, Step};
use super::standing::Stands;
use super::tally::Tally;
use super::view::{ConfigView, Health, History, Now, State, StepView, Tick, Totals};

/// The decisions that are kept.
const ENTRIES: usize = 100;

/// The browsers that may watch at once.
const MOST_FEEDS: usize = 32;

/// What is true of the server at the moment of a sample, beside what its router knows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    /// Which configuration holds.
    pub(crate) config: Box<str>,
    /// True where newer files have faults.
    pub(crate) fault: bool,
    /// True while the process is ending.
    pub(crate) draining: bool,
}

/// Why nobody can watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoFeed {
    /// As many watch as may.
    Full,
    /// The server is ending.
    Closed,
}

/// What is shown, and who watches.
#[derive(Debug)]
pub(crate) struct Dashboard(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    now: Now,
    tally: Tally,
    series: Series,
    /// The second that is not over yet.
    open: Open,
    entries: Ring<Entry>,
    counted: u64,
    told: u64,
    /// `None` once the server is ending.
    feeds: Option<Vec<mpsc::Sender<Bytes>>>,
}

/// What the second under way has brought.
#[derive(Debug, Default)]
struct Open {
    step: Step,
    throttled: BTreeMap<DeploymentName, u32>,
    saved: [f64; 2],
}

impl Dashboard {
    /// Nothing counted yet.
    pub(crate) fn new(wall: SystemTime) -> Self {
        let boot = RandomState::new().build_hasher().finish();
        let now = Now {
            boot: format!("{boot:016x}").into(),
            started_ms: unix_ms(wall),
            version: env!("CARGO_PKG_VERSION"),
            decisions_kept: ENTRIES,
            ..Now::default()
        };
        Self(Mutex::new(Inner {
            now,
            tally: Tally::default(),
            series: Series::default(),
            open: Open::default(),
            entries: Ring::new(ENTRIES),
            counted: 0,
            told: 0,
            feeds: Some(Vec::new()),
        }))
    }

    /// Closes a second: reads how the router's deployments stand and tells whoever watches.
    pub(crate) fn sample(
        &self,
        router: &ModelRouter,
        facts: Facts,
        now: Instant,
        wall: SystemTime,
    ) {
        let (deployments, mut levels) = standings(router, now);
        let mut inner = self.lock();
        let Open { step, throttled, saved } = std::mem::take(&mut inner.open);
        for (name, level) in &mut levels {
            level.throttled = throttled.get(name).copied().unwrap_or_default();
        }
        inner.open.saved = inner.tally.money.saved();
        let [payg, reasoning] = inner.open.saved;
        let [payg_before, reasoning_before] = saved;
        let step = Step { saved: [payg - payg_before, reasoning - reasoning_before], ..step };
        inner.series.push(step, &levels);
        inner.moment(router, facts, deployments, unix_ms(wall));
        inner.tell(&step, &levels);
    }

    /// Everything that is known, as JSON.
    pub(crate) fn state(&self) -> Bytes {
        let state = self.lock().state();
        Bytes::from(serde_json::to_string(&state).unwrap_or_default())
    }

    /// One browser more that watches.
    ///
    /// # Errors
    /// As many watch as may, or the server is ending.
    pub(crate) fn watch(&self) -> Result<Feed, NoFeed> {
        let mut inner = self.lock();
        let feeds = inner.feeds.as_mut().ok_or(NoFeed::Closed)?;
        feeds.retain(|feed| !feed.is_closed());
        if feeds.len() >= MOST_FEEDS {
            return Err(NoFeed::Full);
        }
        let (feed, sender) = Feed::new();
        feeds.push(sender);
        let state = inner.state();
        drop(inner);
        Ok(feed.after(feed::event("state", &state)))
    }

    /// Ends all feeds, so that none of them holds up the server's end; there will be no others.
    pub(crate) fn close(&self) {
        self.lock().feeds = None;
    }

    /// A lock that a panic left behind still holds whole counts.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Dashboard {
    fn closed(&self, record: &RequestRecord) {
        let mut entry = Entry::of(record);
        let mut inner = self.lock();
        let way = inner.tally.add(record);
        inner.open.step.count(way);
        for step in &record.attempts {
            if matches!(step.ended, Ended::Throttled(..)) {
                *inner.open.throttled.entry(step.deployment.name.clone()).or_default() += 1;
            }
        }
        inner.counted += 1;
        entry.number = inner.counted;
        inner.entries.push(entry);
    }
}

impl Inner {
    /// What holds from now on.
    fn moment(&mut self, router: &ModelRouter, facts: Facts, all: Vec<Health>, at_ms: u64) {
        let Facts { config, fault, draining } = facts;
        let done = |name: &str| self.tally.deployments.get(name).copied().unwrap_or_default();
        let known = |name: &str| all.iter().any(|health| &*health.name == name);
        let gone = self.tally.deployments.keys().filter(|name| !known(name.as_str()));
        let gone = gone.map(|name| Health::named(name.as_str(), Stands::REMOVED));
        let gone: Vec<Health> = gone.collect();
        self.now.in_flight = all.iter().map(|health| u64::from(health.in_flight)).sum();
        self.now.deployments = all
            .into_iter()
            .chain(gone)
            .map(|health| {
                let done = done(&health.name);
                health.with(done)
            })
            .collect();
        self.now.totals = Totals::from(&self.tally);
        self.now.second += 1;
        self.now.at_ms = at_ms;
        self.now.config = ConfigView { version: config, fault };
        self.now.draining = draining;
        self.now.observe = matches!(router.rules().policy.mode, Mode::Observe(_));
        self.now.forced = router.rules().policy.forced.map(Task::as_str);
        let threshold = router.rules().classifier.threshold();
        self.now.threshold = rounded(f64::from(threshold.value()), 1e4);
    }

    /// Sends the second to all who watch, and drops those who do not read.
    fn tell(&mut self, step: &Step, levels: &BTreeMap<DeploymentName, Level>) {
        let told = std::mem::replace(&mut self.told, self.counted);
        let Some(feeds) = self.feeds.as_mut().filter(|feeds| !feeds.is_empty()) else { return };
        let fresh = self.entries.iter().rev().take_while(|entry| entry.number > told);
        let tick = Tick {
            now: &self.now,
            step: StepView::new(self.now.at_ms, step, levels),
            decisions: fresh.collect(),
        };
        let event = feed::event("tick", &tick);
        feeds.retain(|feed| feed.try_send(event.clone()).is_ok());
    }

    fn state(&self) -> State {
        let entries = self.entries.iter().rev().filter(|entry| entry.number <= self.told);
        State {
            now: self.now.clone(),
            history: History::new(self.now.at_ms, &self.series),
            decisions: entries.cloned().collect(),
        }
    }
}

/// How the deployments stand, and how full the provisioned ones are.
fn standings(router: &ModelRouter, now: Instant) -> (Vec<Health>, BTreeMap<DeploymentName, Level>) {
    let rules = router.rules();
    let mut levels = BTreeMap::new();
    let mut all = Vec::with_capacity(rules.catalog.deployments().len());
    for deployment in rules.catalog.deployments() {
        let standing = router.standing(&deployment.name);
        let stands = if deployment.enabled {
            Stands::of(&standing, rules.capacity.ramp, now)
        } else {
            Stands::DISABLED
        };
        let mut health = Health::new(deployment, stands);
        health.in_flight = standing.in_flight;
        if let Some(twin) = standing.twin {
            let (utilization, tokens) = (twin.utilization(now), twin.level(now));
            let level = Level { utilization, tokens, throttled: 0 };
            levels.insert(deployment.name.clone(), level);
            health.utilization = Some(rounded(utilization, 1e4));
            health.level = Some(tokens.round());
            health.capacity = Some(twin.capacity().round());
            health.queue = router.queue(&deployment.name).map(Into::into);
        }
        let (requests, tokens) = standing.quota.left(now);
        health.requests_left = requests.map(|requests| requests.left);
        health.requests_limit = requests.map(|requests| requests.limit);
        health.tokens_left = tokens.map(|tokens| tokens.left);
        health.tokens_limit = tokens.map(|tokens| tokens.limit);
        all.push(health);
    }
    (all, levels)
}

fn unix_ms(wall: SystemTime) -> u64 {
    milliseconds(wall.duration_since(UNIX_EPOCH).unwrap_or_default())
}
