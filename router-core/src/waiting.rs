//! Who waits for a full provisioned deployment, and who is next?
//!
//! A line for each deployment: interactive before batch, the oldest first. Only the first of a line asks for room, when the
//! twin expects some and whenever a call under way ends, and one that may enter a fuller deployment than all before it; each
//! that enters lets the next one ask. So as many are sent as keep
//! the level at the capacity, and never all at once. A waiter leaves its line by being dropped, as when its caller hangs up.
//!
//! No task is spawned and nothing is polled: a line moves only inside the futures that wait in it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::capacity::Entry;
use crate::capacity::Load;
use crate::capacity::Standing;
use crate::capacity::Ticket;
use crate::deployment::Catalog;
use crate::policy::Priority;
use crate::state::CapacityState;
use crate::state::Closed;
use crate::state::Event;
use crate::state::Renewal;
use crate::units::DeploymentName;

/// The state, with a line in front of each deployment.
#[derive(Debug)]
pub struct Waiting {
    state: Arc<dyn CapacityState>,
    /// Shared by the configs in which a deployment stays, so that those who wait under the old one keep their turn.
    lines: Vec<(DeploymentName, Arc<Line>)>,
    most: usize,
}

#[derive(Debug, Default)]
struct Line(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    waiters: BTreeMap<Turn, Waiter>,
    next: u64,
}

/// The order of a line: who goes first, since when it is here, and a number that tells two of one moment apart.
type Turn = (Priority, Instant, u64);

#[derive(Debug)]
struct Waiter {
    bell: Arc<Notify>,
    /// What it reserves.
    ahead: f64,
    /// The level up to which it may enter.
    mark: f64,
}

/// The shortest time after which the first of a line asks again.
const LEAST_GAP: Duration = Duration::from_millis(1);

impl Line {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_empty(&self) -> bool {
        self.lock().waiters.is_empty()
    }

    /// Lets the first ask, and after it those that may enter a fuller deployment than all before them.
    fn ring(&self) {
        let mut highest = f64::NEG_INFINITY;
        for waiter in self.lock().waiters.values() {
            if waiter.mark > highest {
                highest = waiter.mark;
                waiter.bell.notify_one();
            }
        }
    }
}

/// A place in a line; leaving it lets the next one ask.
struct Place<'l> {
    line: &'l Line,
    turn: Turn,
    bell: Arc<Notify>,
}

impl Place<'_> {
    /// True where nobody before it could enter as well.
    fn is_next(&self) -> bool {
        let inner = self.line.lock();
        let Some(own) = inner.waiters.get(&self.turn) else { return false };
        inner.waiters.range(..self.turn).all(|(_, before)| before.mark < own.mark)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.line.lock().waiters.remove(&self.turn);
        self.line.ring();
    }
}

impl Waiting {
    /// Lines before the deployments of the catalog, of at most `most` waiters each.
    pub fn new(state: Arc<dyn CapacityState>, catalog: &Catalog, most: usize) -> Self {
        let names = catalog.deployments().iter().map(|known| known.name.clone());
        let lines = names.map(|name| (name, Arc::default())).collect();
        Self { state, lines, most }
    }

    /// The same lines under a new config's state. All who wait ask again: there may be more room than before.
    #[must_use]
    pub fn renewed(
        &self,
        state: Arc<dyn CapacityState>,
        renewal: &Renewal<'_>,
        most: usize,
    ) -> Self {
        let line = |name: &DeploymentName| {
            let before = self.lines.binary_search_by(|(known, _)| known.cmp(name)).ok();
            let before = before.filter(|_| renewal.kept.contains_key(name));
            let line = before.and_then(|at| self.lines.get(at));
            line.map(|(_, line)| Arc::clone(line)).unwrap_or_default()
        };
        let names = renewal.catalog.deployments().iter().map(|known| known.name.clone());
        let lines = names.map(|name| (name.clone(), line(&name))).collect();
        self.lines.iter().for_each(|(_, line)| line.ring());
        Self { state, lines, most }
    }

    /// The state behind it.
    pub fn state(&self) -> &Arc<dyn CapacityState> {
        &self.state
    }

    fn line(&self, deployment: &DeploymentName) -> Option<&Line> {
        let at = self.lines.binary_search_by(|(name, _)| name.cmp(deployment)).ok()?;
        self.lines.get(at).map(|(_, line)| &**line)
    }

    /// How many wait for a deployment.
    pub fn queued(&self, deployment: &DeploymentName) -> usize {
        self.line(deployment).map_or(0, |line| line.lock().waiters.len())
    }

    /// Learns what happened, and lets the first in line ask: room may have come free.
    pub fn learn(&self, deployment: &DeploymentName, event: Event, now: Instant) {
        self.state.learn(deployment, event, now);
        if let Some(line) = self.line(deployment) {
            line.ring();
        }
    }

    /// Enters at once, if nobody with more right waits and there is room; the request came at `since`, and `now` is now.
    ///
    /// # Errors
    /// There is none; where it is full, for how long, nearly, behind those who wait.
    pub fn enter(
        &self,
        deployment: &DeploymentName,
        entry: &Entry,
        (since, now): (Instant, Instant),
    ) -> Result<Ticket, Closed> {
        let line = self.line(deployment).filter(|line| !line.is_empty());
        let before = line.map_or((0, 0.0), |line| {
            let mark = self.state.see(deployment, |standing| standing.mark(entry));
            let inner = line.lock();
            // Those of a lower priority, or who came later, or who need more room than there will be, are not before us.
            let before = inner.waiters.range(..=(entry.priority, since, u64::MAX));
            let before = before.filter(|(_, waiter)| waiter.mark >= mark);
            before.fold((0, 0.0), |(count, sum), (_, waiter)| (count + 1, sum + waiter.ahead))
        });
        if before.0 == 0 {
            match self.state.enter(deployment, entry, false, now) {
                Err(Closed::Full(_)) => {}
                over => return over,
            }
        }
        let wait = |standing: &Standing| standing.expected_wait(entry, before.1, now);
        Err(Closed::Full(self.state.see(deployment, wait)))
    }

    /// Waits since `since` until there is room, at most until `until`; `None` where none came, or where too many wait already.
    pub async fn hold(
        &self,
        deployment: &DeploymentName,
        entry: &Entry,
        (since, until): (Instant, Instant),
    ) -> Option<Ticket> {
        let place = self.join(deployment, entry, since)?;
        let longest = self.state.changes_every().max(LEAST_GAP);
        loop {
            let now = Instant::now();
            let mut again = until;
            if place.is_next() {
                match self.state.enter(deployment, entry, false, now) {
                    Ok(ticket) => return Some(ticket),
                    Err(Closed::Full(wait)) => again = now + wait.clamp(LEAST_GAP, longest),
                    // Who ends there rings.
                    Err(Closed::Busy) => {}
                    Err(Closed::Recovering) => return None,
                }
            }
            if now >= until {
                return None;
            }
            tokio::select! {
                biased;
                () = place.bell.notified() => {}
                () = tokio::time::sleep_until(again.min(until)) => {}
            }
        }
    }

    fn join(
        &self,
        deployment: &DeploymentName,
        entry: &Entry,
        since: Instant,
    ) -> Option<Place<'_>> {
        let line = self.line(deployment)?;
        let standing = self.state.standing(deployment);
        let (twin, mark) = (standing.twin?, standing.mark(entry));
        let Load { prompt, cached, cap, .. } = entry.load;
        let ahead = twin.size().reserved(prompt, cached, cap);
        let bell = Arc::new(Notify::new());
        let mut inner = line.lock();
        if inner.waiters.len() >= self.most {
            return None;
        }
        let turn = (entry.priority, since, inner.next);
        inner.next += 1;
        inner.waiters.insert(turn, Waiter { bell: Arc::clone(&bell), ahead, mark });
        drop(inner);
        Some(Place { line, turn, bell })
    }
}
