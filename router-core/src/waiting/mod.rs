//! The queues in front of full provisioned deployments.
//!
//! Each deployment has one queue (`queue.rs` defines its order). The first in a queue tries to enter when the twin predicts
//! capacity and whenever a call finishes; each that enters wakes the next. So as many requests are sent as keep the level at
//! the capacity, and never all at once. A waiter leaves its queue when its future is dropped, as when its caller hangs up.
//!
//! No task is spawned and nothing is polled: a queue moves only inside the futures that wait in it.

mod counts;
mod lanes;
mod queue;
mod request;
mod reserved_capacity;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::capacity::DeploymentState;
use crate::capacity::Entry;
use crate::capacity::Load;
use crate::capacity::Settings;
use crate::deployment::Catalog;
use crate::deployment::Deployment;
use crate::policy::Priority;
use crate::state::CapacityState;
use crate::state::Event;
use crate::state::NoRoom;
use crate::state::Renewal;
use crate::units::DeploymentName;

pub(crate) use counts::{Leaving, QueueCounts};
pub(crate) use reserved_capacity::ReservedCapacity;

use queue::Queue;
use request::{Position, Request};

/// The state, with a queue in front of each deployment.
#[derive(Debug)]
pub struct Waiting {
    state: Arc<CapacityState>,
    /// Shared by the configs in which a deployment stays, so that those who wait under the old one keep their turn.
    lines: Vec<(DeploymentName, Arc<Line>)>,
    most: usize,
}

#[derive(Debug, Default)]
struct Line {
    queue: Mutex<Queue>,
    /// True while the queue is not empty: without waiters a request takes no lock of the queue. A waiter sets it before it
    /// reads the state, and a change of the state is followed by a look at it, so no waiter misses a change.
    occupied: AtomicBool,
    counts: QueueCounts,
}

/// Between when a request may wait.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// Its arrival.
    pub since: Instant,
    /// The latest time at which it leaves.
    pub until: Instant,
}

/// A queue as an operator sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueView {
    /// Number of waiting requests.
    pub waiting: usize,
    /// Longest current wait.
    pub longest_wait: Duration,
    /// Counts of the ways in which requests left.
    pub left: [(Leaving, u64); Leaving::ALL.len()],
}

/// End of a wait.
#[derive(Debug)]
pub enum Held {
    /// It entered.
    Entered(ReservedCapacity),
    /// There was no capacity in time.
    Over,
    /// The queue was full, or standing for too long.
    Shed,
}

/// The shortest time after which the first of a queue tries again.
const LEAST_GAP: Duration = Duration::from_millis(1);

/// The longest: the level may fall sooner than predicted.
const MOST_GAP: Duration = Duration::from_secs(1);

/// A request blocks a deployment if it reserves this share of the capacity beyond what it is likely to use.
const BLOCKING_SHARE: f64 = 0.25;

/// A waiter that may have to leave looks again after this time.
const RECHECK: Duration = Duration::from_millis(100);

impl Line {
    fn is_empty(&self) -> bool {
        !self.occupied.load(Ordering::Acquire)
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in a queue; leaving it lets the next one try.
struct Place<'l> {
    line: &'l Line,
    request: Request,
    number: u64,
    bell: Arc<Notify>,
    leaving: Leaving,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut queue = self.line.lock();
        queue.leave(self.number);
        self.line.occupied.store(!queue.is_empty(), Ordering::Release);
        queue.ring(Instant::now());
        drop(queue);
        self.line.counts.left(self.leaving);
    }
}

impl Waiting {
    /// Queues before the deployments of the catalog.
    pub fn new(state: Arc<CapacityState>, catalog: &Catalog, settings: &Settings) -> Self {
        let now = Instant::now();
        let names = catalog.deployments().iter().map(|known| known.name.clone());
        let lines: Vec<_> = names.map(|name| (name, Arc::<Line>::default())).collect();
        for (_, line) in &lines {
            line.lock().set_order(settings.queue_order, now);
        }
        Self { state, lines, most: settings.queue_max }
    }

    /// The same queues under a new config's state. All who wait try again: there may be more capacity than before.
    #[must_use]
    pub fn renewed(&self, state: Arc<CapacityState>, renewal: &Renewal<'_>) -> Self {
        let line = |name: &DeploymentName| {
            let before = self.lines.binary_search_by(|(known, _)| known.cmp(name)).ok();
            let before = before.filter(|_| renewal.kept.contains_key(name));
            let line = before.and_then(|at| self.lines.get(at));
            line.map(|(_, line)| Arc::clone(line)).unwrap_or_default()
        };
        let names = renewal.catalog.deployments().iter().map(|known| known.name.clone());
        let lines: Vec<_> = names.map(|name| (name.clone(), line(&name))).collect();
        for (_, line) in &lines {
            line.lock().set_order(renewal.settings.queue_order, renewal.now);
        }
        self.lines.iter().for_each(|(_, line)| line.lock().ring(renewal.now));
        Self { state, lines, most: renewal.settings.queue_max }
    }

    /// The state behind it.
    pub fn state(&self) -> &Arc<CapacityState> {
        &self.state
    }

    fn line(&self, deployment: &DeploymentName) -> Option<&Line> {
        let at = self.lines.binary_search_by(|(name, _)| name.cmp(deployment)).ok()?;
        self.lines.get(at).map(|(_, line)| &**line)
    }

    /// The queue of a deployment; `None` for an unknown one.
    pub fn queue(&self, deployment: &DeploymentName, now: Instant) -> Option<QueueView> {
        let line = self.line(deployment)?;
        let queue = line.lock();
        let longest_wait = queue.oldest().map(|since| now.saturating_duration_since(since));
        let left = Leaving::ALL.map(|leaving| (leaving, line.counts.total(leaving)));
        Some(QueueView {
            waiting: queue.len(),
            longest_wait: longest_wait.unwrap_or_default(),
            left,
        })
    }

    /// Number of requests of a priority that wait for a deployment.
    pub(crate) fn queue_length(&self, deployment: &DeploymentName, priority: Priority) -> usize {
        self.line(deployment).map_or(0, |line| line.lock().count(priority))
    }

    /// Counts of how requests left the queue of a deployment; `None` for an unknown deployment.
    pub(crate) fn queue_counts(&self, deployment: &DeploymentName) -> Option<&QueueCounts> {
        self.line(deployment).map(|line| &line.counts)
    }

    /// Learns what happened, and lets the first in the queue try: capacity may have become free.
    pub fn learn(&self, deployment: &DeploymentName, event: Event, now: Instant) {
        self.state.learn(deployment, event, now);
        if let Some(line) = self.line(deployment).filter(|line| !line.is_empty()) {
            line.lock().ring(now);
        }
    }

    /// Enters at once if there is capacity and nobody who waits goes first.
    ///
    /// # Errors
    /// There is none; if the deployment is full, with the expected wait behind those who go first.
    pub fn enter(
        self: &Arc<Self>,
        deployment: &Arc<Deployment>,
        entry: &Entry,
        times: Times,
        now: Instant,
    ) -> Result<ReservedCapacity, NoRoom> {
        let name = &deployment.name;
        let line = self.line(name).filter(|line| !line.is_empty());
        let Some(line) = line else {
            return match self.reserve(deployment, entry, false, now) {
                Err(NoRoom::Full(_)) => Err(NoRoom::Full(self.expected(name, entry, 0.0, now))),
                over => over,
            };
        };
        let request = self.request(name, entry, times);
        let (next, ahead) = {
            let queue = line.lock();
            (queue.would_be_next(&request, now), queue.ahead_of(&request, now))
        };
        if next {
            match self.reserve(deployment, entry, false, now) {
                Err(NoRoom::Full(_)) => {}
                Ok(reserved) => {
                    line.lock().entered(&request, None, now);
                    return Ok(reserved);
                }
                over => return over,
            }
        }
        Err(NoRoom::Full(self.expected(name, entry, ahead, now)))
    }

    /// Reserves capacity without regard to the queue; with `probe` also at a deployment that the twin believes full, if it is
    /// time to find out.
    ///
    /// # Errors
    /// There is none.
    pub fn reserve(
        self: &Arc<Self>,
        deployment: &Arc<Deployment>,
        entry: &Entry,
        probe: bool,
        now: Instant,
    ) -> Result<ReservedCapacity, NoRoom> {
        let ticket = self.state.enter(&deployment.name, entry, probe, now)?;
        Ok(ReservedCapacity::new(self, deployment, ticket))
    }

    /// The wait of a request that arrived now, behind the present ones; never zero, for a caller who has just waited in
    /// vain.
    pub(crate) fn newcomers_wait(
        &self,
        deployment: &DeploymentName,
        entry: &Entry,
        now: Instant,
    ) -> Duration {
        let request = self.request(deployment, entry, Times { since: now, until: now });
        let ahead = self.line(deployment).map_or(0.0, |line| line.lock().ahead_of(&request, now));
        self.expected(deployment, entry, ahead, now).max(RECHECK)
    }

    fn expected(
        &self,
        deployment: &DeploymentName,
        entry: &Entry,
        ahead: f64,
        now: Instant,
    ) -> Duration {
        let wait = |standing: &DeploymentState| standing.expected_wait(entry, ahead, now);
        self.state.see(deployment, wait)
    }

    /// A request as its queue sees it.
    fn request(&self, deployment: &DeploymentName, entry: &Entry, times: Times) -> Request {
        let (weight, blocks, entry_level) = self.state.see(deployment, |standing| {
            let Load { prompt, cached, cap, .. } = entry.load;
            let mark = standing.mark(entry);
            let Some(twin) = &standing.twin else {
                // Keys share a queue by tokens; without a bucket a token is a token.
                let plain = prompt + entry.likely_cap.unwrap_or_default();
                return (plain.as_f64(), false, mark);
            };
            let weight = twin.size().reserved(prompt, cached, entry.likely_cap);
            let spare = twin.size().reserved(prompt, cached, cap) - weight;
            (weight, spare > BLOCKING_SHARE * twin.capacity(), mark)
        });
        let bound = times.until.saturating_duration_since(times.since);
        Request {
            priority: entry.priority,
            key: entry.key,
            weight,
            entry_level,
            blocks,
            since: times.since,
            standing_wait: entry.standing_wait.map(|wait| wait.min(bound)),
        }
    }

    /// Waits until there is capacity, at most until `times.until`.
    pub async fn hold(
        self: &Arc<Self>,
        deployment: &Arc<Deployment>,
        entry: &Entry,
        times: Times,
    ) -> Held {
        let Some(mut place) = self.join(&deployment.name, entry, times) else { return Held::Shed };
        loop {
            let now = Instant::now();
            let (position, leaves_at) = {
                let queue = place.line.lock();
                (queue.position(place.number, now), queue.leaves_at(place.number))
            };
            // A later arrival can force it to leave.
            let leaves_at = leaves_at.map(|leaves| leaves.max(now + RECHECK));
            let mut again = leaves_at.map_or(times.until, |leaves| leaves.min(times.until));
            match position {
                Position::Shed => {
                    place.leaving = Leaving::Shed;
                    return Held::Shed;
                }
                Position::Behind => {}
                Position::Next => match self.reserve(deployment, entry, false, now) {
                    Ok(reserved) => {
                        place.line.lock().entered(&place.request, Some(place.number), now);
                        place.leaving = Leaving::Entered;
                        return Held::Entered(reserved);
                    }
                    Err(NoRoom::Full(wait)) => {
                        again = again.min(now + wait.clamp(LEAST_GAP, MOST_GAP));
                    }
                    // A call that ends there rings.
                    Err(NoRoom::Busy) => {}
                    Err(NoRoom::Recovering) => {
                        place.leaving = Leaving::over(entry);
                        return Held::Over;
                    }
                },
            }
            if now >= times.until {
                place.leaving = Leaving::over(entry);
                return Held::Over;
            }
            tokio::select! {
                biased;
                () = place.bell.notified() => {}
                () = tokio::time::sleep_until(again.max(now + LEAST_GAP).min(times.until)) => {}
            }
        }
    }

    fn join(&self, deployment: &DeploymentName, entry: &Entry, times: Times) -> Option<Place<'_>> {
        let line = self.line(deployment)?;
        let request = self.request(deployment, entry, times);
        let mut queue = line.lock();
        let joined = queue.join(request, self.most, Instant::now());
        line.occupied.store(!queue.is_empty(), Ordering::Release);
        drop(queue);
        let Some(joined) = joined else {
            line.counts.left(Leaving::Shed);
            return None;
        };
        let (number, bell) = (joined.number, joined.bell);
        // Until it says otherwise, it is a caller who left.
        Some(Place { line, request, number, bell, leaving: Leaving::GaveUp })
    }
}
