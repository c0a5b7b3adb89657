//! Collects what the dashboard shows and sends it to open pages.
//!
//! It outlives a configuration: [`Dashboard::sample`] is given the current router and the facts around it. A request that ends
//! takes the lock only to be counted; JSON is written outside of it. It holds no router, because routers hold it.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use router_core::policy::Mode;
use router_core::record::{Observer, RequestRecord, Settlement};
use router_core::router::ModelRouter;
use router_core::task::Task;
use router_core::units::Day;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::warn;

use crate::budgets::Budget;

use super::diagnosis::{self, Recent, Scene};
use super::entry::{Entry, milliseconds, rounded};
use super::feed;
use super::feed::Feed;
use super::filter::Filter;
use super::history_file;
use super::range_view::{Cut, RangeView};
use super::ring::Ring;
use super::rollup::{Level, Range, Rollup};
use super::standing::Stands;
use super::trouble;
use super::view::{BudgetView, ConfigView, Health, LevelView, Now};

/// The requests that are kept, so that a filter finds some.
const ENTRIES: usize = 1_000;

/// The requests that are sent to a page.
const SHOWN: usize = 100;

/// The pages that may be open at once.
const MOST_FEEDS: usize = 32;

/// Facts about the server at the moment of a sample, apart from what its router knows.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    /// The version of the configuration that runs.
    pub(crate) config: Box<str>,
    /// The faults of newer files; empty if there are none.
    pub(crate) reload_faults: Vec<String>,
    /// Time of the last reload, in milliseconds since 1970; 0 if there was none.
    pub(crate) reloaded_ms: u64,
    /// True while the process is ending.
    pub(crate) draining: bool,
    /// The day in UTC.
    pub(crate) today: Day,
    /// The budgets of keys and teams.
    pub(crate) budgets: Vec<Budget>,
    /// The names of the keys in the configuration.
    pub(crate) keys: Arc<[Box<str>]>,
}

/// The reason why a page receives no feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoFeed {
    /// As many pages are open as may be.
    Full,
    /// The server is ending.
    Closed,
}

/// The collected data and the open feeds.
#[derive(Debug)]
pub(crate) struct Dashboard(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    now: Now,
    history: Rollup,
    entries: Ring<Entry>,
    counted: u64,
    /// `None` once the server is ending.
    feeds: Option<Vec<mpsc::Sender<Bytes>>>,
}

/// The answer to a page: a range of time, and its latest requests.
#[derive(Debug, Serialize)]
struct Answered {
    #[serde(flatten)]
    view: RangeView,
    /// Newest first.
    decisions: Vec<Entry>,
}

impl Dashboard {
    /// An empty one.
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
            history: Rollup::default(),
            entries: Ring::new(ENTRIES),
            counted: 0,
            feeds: Some(Vec::new()),
        }))
    }

    /// Continues the history of a folder, if it holds one.
    pub(crate) fn restore(&self, folder: &Path) {
        if let Some(history) = history_file::read(folder) {
            self.lock().history = history;
        }
    }

    /// Writes the history to a folder. Blocks while the disk does; no lock is held meanwhile.
    pub(crate) fn keep(&self, folder: &Path) {
        let history = self.lock().history.clone();
        if let Err(error) = history_file::write(folder, &history) {
            warn!(%error, "the dashboard's history could not be written to server.state_dir");
        }
    }

    /// Ends a second: reads the state of the router's deployments and informs the open pages.
    pub(crate) fn sample(
        &self,
        router: &ModelRouter,
        facts: &Facts,
        now: Instant,
        wall: SystemTime,
    ) {
        let at_ms = unix_ms(wall);
        let deployments = health(router, now);
        let (recent, before) = {
            let mut inner = self.lock();
            let levels = deployments.iter().filter_map(level);
            inner.history.sample(at_ms, levels);
            (Recent::of(&inner.history, at_ms), inner.now.problems.clone())
        };
        let scene = Scene { router, facts, recent: &recent, before: &before, now, at_ms };
        let problems = trouble::sorted(&before, diagnosis::troubles(&scene), at_ms);
        let rules = router.rules();
        let threshold = rules.classifier.threshold();
        let mut inner = self.lock();
        let (mut next, since) = (inner.now.clone(), inner.history.since_ms());
        next.second += 1;
        next.at_ms = at_ms;
        next.config =
            ConfigView { version: facts.config.clone(), fault: !facts.reload_faults.is_empty() };
        next.observe = matches!(rules.policy.mode, Mode::Observe(_));
        next.forced = rules.policy.forced.map(Task::as_str);
        next.draining = facts.draining;
        next.threshold = rounded(f64::from(threshold.value()), 1e4);
        next.in_flight = deployments.iter().map(|health| u64::from(health.in_flight)).sum();
        next.problems = problems;
        next.deployments = deployments;
        next.budgets = facts.budgets.iter().map(BudgetView::from).collect();
        next.keys = Arc::clone(&facts.keys);
        next.counted_since_ms = since;
        let feeds = inner.feeds.as_mut().filter(|feeds| !feeds.is_empty());
        if let Some(feeds) = feeds {
            let event = feed::event("now", &next);
            // A page that does not read is dropped; it connects again.
            feeds.retain(|feed| feed.try_send(event.clone()).is_ok());
        }
        inner.now = next;
    }

    /// The present state, as JSON.
    pub(crate) fn state(&self) -> Bytes {
        let now = self.lock().now.clone();
        json(&now)
    }

    /// A range of time under a filter, as JSON. Takes milliseconds for a long history: it belongs on a thread that serves nobody.
    pub(crate) fn range(&self, range: Range, filter: Filter, wall: SystemTime) -> Bytes {
        let at_ms = unix_ms(wall);
        let (cut, decisions) = {
            let inner = self.lock();
            let steps = inner.history.range(range, at_ms);
            let decisions = inner.entries.iter().rev().filter(|entry| filter.has(entry));
            let decisions: Vec<Entry> = decisions.take(SHOWN).cloned().collect();
            let names = inner.history.names.clone();
            (Cut { range, filter, steps, names, at_ms }, decisions)
        };
        json(&Answered { view: cut.view(), decisions })
    }

    /// Opens a feed for a page.
    ///
    /// # Errors
    /// Too many pages are open, or the server is ending.
    pub(crate) fn watch(&self) -> Result<Feed, NoFeed> {
        let mut inner = self.lock();
        let feeds = inner.feeds.as_mut().ok_or(NoFeed::Closed)?;
        feeds.retain(|feed| !feed.is_closed());
        if feeds.len() >= MOST_FEEDS {
            return Err(NoFeed::Full);
        }
        let (feed, sender) = Feed::new();
        feeds.push(sender);
        let now = inner.now.clone();
        drop(inner);
        Ok(feed.after(feed::event("now", &now)))
    }

    /// Ends all feeds, so that none of them delays the server's end; no other is opened.
    pub(crate) fn close(&self) {
        self.lock().feeds = None;
    }

    /// After a panic under the lock the counts are still whole.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Dashboard {
    fn closed(&self, record: &RequestRecord) {
        let mut entry = Entry::of(record);
        let mut inner = self.lock();
        inner.history.add(record);
        inner.counted += 1;
        entry.number = inner.counted;
        inner.entries.push(entry);
    }

    fn settled(&self, settlement: &Settlement) {
        self.lock().history.settle(settlement);
    }
}

/// The state of each deployment.
fn health(router: &ModelRouter, now: Instant) -> Vec<Health> {
    let rules = router.rules();
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
            let (capacity, reserved) = (twin.capacity(), twin.reserved(now));
            health.ptu_level = Some(LevelView::new(capacity, twin.level(now), reserved));
            health.queue = router.queue(&deployment.name).map(Into::into);
        }
        let (requests, tokens) = standing.quota.left(now);
        health.requests_left = requests.map(|requests| requests.left);
        health.requests_limit = requests.map(|requests| requests.limit);
        health.tokens_left = tokens.map(|tokens| tokens.left);
        health.tokens_limit = tokens.map(|tokens| tokens.limit);
        all.push(health);
    }
    all
}

/// The sample of a provisioned deployment for the history.
fn level(health: &Health) -> Option<(&str, Level)> {
    let view = health.ptu_level.filter(|level| level.capacity > 0.0)?;
    let level = Level {
        samples: 1,
        used: view.used / view.capacity,
        reserved: view.reserved / view.capacity,
        peak: view.utilization,
        usd: health.usd_per_hour.unwrap_or_default() / 3_600.0,
    };
    Some((&*health.name, level))
}

fn json(value: &impl Serialize) -> Bytes {
    // Serializing our own types cannot fail.
    Bytes::from(serde_json::to_vec(value).unwrap_or_default())
}

fn unix_ms(wall: SystemTime) -> u64 {
    milliseconds(wall.duration_since(UNIX_EPOCH).unwrap_or_default())
}
