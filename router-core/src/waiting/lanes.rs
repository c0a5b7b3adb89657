//! The lanes of a queue: one for each key, or one for all if the order does not tell keys apart. They share capacity by
//! reserved tokens, and each stands or not by itself.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::capacity::QueueOrder;

use super::request::Request;

/// A lane that has not been empty for this long is standing: a burst would have drained.
const STANDING: Duration = Duration::from_secs(1);

/// From this many lanes on, those are forgotten that are owed nothing.
const MOST_LANES: usize = 4_096;

/// The part of the queue that belongs to one key.
#[derive(Debug, Clone, Copy, Default)]
struct Lane {
    waiting: usize,
    /// Since when it has not been empty.
    busy_since: Option<Instant>,
    /// The virtual time up to which it has been served.
    served: f64,
}

/// The lanes of one queue.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    order: QueueOrder,
    by_key: HashMap<u64, Lane>,
    /// The virtual time at which the request started that entered last.
    virtual_time: f64,
}

impl Lanes {
    pub(super) fn order(&self) -> QueueOrder {
        self.order
    }

    /// Changes the order; nobody waits in a lane any more.
    pub(super) fn set_order(&mut self, order: QueueOrder) {
        self.order = order;
        self.by_key.clear();
    }

    /// Forgets everything: without competition nobody owes anybody anything.
    pub(super) fn clear(&mut self) {
        self.by_key.clear();
        self.virtual_time = 0.0;
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// The lane of a request.
    pub(super) fn of(&self, request: &Request) -> u64 {
        match self.order {
            QueueOrder::Fair => request.key,
            QueueOrder::ControlledDelay | QueueOrder::FirstCome => 0,
        }
    }

    /// A request joins its lane.
    pub(super) fn occupy(&mut self, request: &Request, now: Instant) {
        let lane = self.by_key.entry(self.of(request)).or_default();
        lane.waiting += 1;
        lane.busy_since.get_or_insert(now);
    }

    /// A request leaves its lane.
    pub(super) fn leave(&mut self, request: &Request) {
        if let Some(lane) = self.by_key.get_mut(&self.of(request)) {
            lane.waiting = lane.waiting.saturating_sub(1);
            if lane.waiting == 0 {
                lane.busy_since = None;
            }
        }
    }

    /// A request entered the deployment: its lane has been served by its weight.
    pub(super) fn serve(&mut self, request: &Request) {
        let lane = self.of(request);
        let start = self.start(lane);
        self.virtual_time = start;
        if self.by_key.len() >= MOST_LANES {
            self.by_key.retain(|_, lane| lane.waiting > 0 || lane.served > start);
        }
        self.by_key.entry(lane).or_default().served = start + request.weight;
    }

    /// True if the lane of a waiting request holds others too.
    pub(super) fn is_shared(&self, request: &Request) -> bool {
        self.by_key.get(&self.of(request)).is_some_and(|lane| lane.waiting > 1)
    }

    /// Since when the lane of a request has been standing, or will be if it does not drain.
    pub(super) fn stands_from(&self, request: &Request) -> Option<Instant> {
        let busy_since = self.by_key.get(&self.of(request))?.busy_since;
        busy_since.filter(|_| self.order != QueueOrder::FirstCome).map(|since| since + STANDING)
    }

    pub(super) fn is_standing(&self, request: &Request, now: Instant) -> bool {
        self.stands_from(request).is_some_and(|from| now >= from)
    }

    /// The virtual time at which the next request of a lane starts.
    pub(super) fn start(&self, lane: u64) -> f64 {
        self.by_key.get(&lane).map_or(0.0, |lane| lane.served).max(self.virtual_time)
    }
}
