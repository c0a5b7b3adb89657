//! The order of one deployment's queue: who enters next, and who has waited too long. Pure: `now` is an argument.
//!
//! Interactive requests go before batch requests. Within a priority the keys share capacity by reserved tokens (start-time
//! fair queueing), so that a key with many requests delays another key by at most one request. Within a key the oldest
//! request goes first while its requests wait in a burst, and the newest once they have formed a standing queue: then the
//! oldest cannot be answered in time any more, and serving them first would make every answer late. A request that has
//! nowhere else to go leaves a standing queue early, so that its caller can try again while there is time. A request that
//! blocks the deployment, because it reserves far more than it will use, lets a few others of its key go first.
//!
//! The queue does not decide whether the deployment has capacity; the twin does.
//!
//! **Source:** Nichols and Jacobson, RFC 8289 (controlled delay); Maurer, "Fail at Scale", ACM Queue 13-8, 2015 (adaptive
//! last-in, first-out); Goyal, Vin and Cheng, "Start-time Fair Queueing", 1996.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::time::Instant;

use crate::capacity::QueueOrder;
use crate::policy::Priority;

use super::lanes::Lanes;
use super::request::{Joined, Numbered, Position, Request, Waiter};

/// The queue of one deployment.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiters: BTreeMap<u64, Waiter>,
    next: u64,
    lanes: Lanes,
}

impl Queue {
    /// Changes the order; all waiters count as having just joined.
    pub(super) fn set_order(&mut self, order: QueueOrder, now: Instant) {
        if self.lanes.order() == order {
            return;
        }
        self.lanes.set_order(order);
        for waiter in self.waiters.values() {
            self.lanes.occupy(&waiter.request, now);
        }
    }

    /// Number of waiting requests.
    pub(super) fn len(&self) -> usize {
        self.waiting().count()
    }

    /// The arrival of the oldest waiter.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.waiting().map(|one| one.waiter.request.since).min()
    }

    /// Number of waiting requests of a priority.
    pub(super) fn count(&self, priority: Priority) -> usize {
        self.waiting().filter(|one| one.waiter.request.priority == priority).count()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    /// Adds a request; `None` if `most` wait already and none of them has to make way for it.
    pub(super) fn join(&mut self, request: Request, most: usize, now: Instant) -> Option<Joined> {
        if self.len() >= most && !self.make_way(&request, now) {
            return None;
        }
        self.lanes.occupy(&request, now);
        let (number, waiter) = (self.next, Waiter::new(request));
        self.next += 1;
        let bell = Arc::clone(&waiter.bell);
        self.waiters.insert(number, waiter);
        Some(Joined { number, bell })
    }

    /// Wakes those who may try to enter.
    pub(super) fn ring(&self, now: Instant) {
        self.front(now).for_each(|one| one.waiter.bell.notify_one());
    }

    /// A waiter's permission to try to enter now.
    pub(super) fn position(&self, number: u64, now: Instant) -> Position {
        let Some(waiter) = self.waiters.get(&number) else { return Position::Shed };
        let late = self.leaves_at(number).is_some_and(|leaves| now >= leaves);
        // A newer request is worth more than one that has waited for long.
        if waiter.evicted || late && self.lanes.is_shared(&waiter.request) {
            Position::Shed
        } else if self.front(now).any(|other| other.number == number) {
            Position::Next
        } else {
            Position::Behind
        }
    }

    /// The time at which a waiter leaves if its lane stands still and holds newer requests; `None` if it may stay.
    pub(super) fn leaves_at(&self, number: u64) -> Option<Instant> {
        let request = self.waiters.get(&number)?.request;
        Some((request.since + request.standing_wait?).max(self.lanes.stands_from(&request)?))
    }

    /// True if a request that would join now would be the first to try.
    pub(super) fn would_be_next(&self, request: &Request, now: Instant) -> bool {
        let newcomer = Waiter::new(*request);
        let own = Numbered { number: self.next, waiter: &newcomer };
        self.waiting().all(|other| {
            let waiter = other.waiter;
            let passable = waiter.request.entry_level < request.entry_level && !waiter.is_barrier();
            passable || self.rank(own, other, now).is_lt()
        })
    }

    /// The tokens that enter before a request that would join now, as far as can be seen.
    pub(super) fn ahead_of(&self, request: &Request, now: Instant) -> f64 {
        let newest = request.standing_wait.is_some() && self.lanes.is_standing(request, now);
        let lane = self.lanes.of(request);
        let (mut ahead, mut own) = (0.0, 0.0);
        let mut backlogs: BTreeMap<u64, f64> = BTreeMap::new();
        for Numbered { waiter, .. } in self.waiting() {
            let other = &waiter.request;
            let other_lane = self.lanes.of(other);
            match other.priority.cmp(&request.priority) {
                // The deployment is too full for it when this request enters.
                _ if other.entry_level < request.entry_level => {}
                Ordering::Less => ahead += other.weight,
                Ordering::Equal if other_lane != lane => {
                    *backlogs.entry(other_lane).or_default() += other.weight;
                }
                Ordering::Equal if !newest && other.since <= request.since => own += other.weight,
                Ordering::Equal | Ordering::Greater => {}
            }
        }
        // In another lane only requests that start earlier count.
        let start = self.lanes.start(lane) + own;
        let before =
            |(lane, backlog): (u64, f64)| backlog.min((start - self.lanes.start(lane)).max(0.0));
        ahead + own + backlogs.into_iter().map(before).sum::<f64>()
    }

    /// A request entered: the waiter of that number, or a newcomer past the queue.
    pub(super) fn entered(&mut self, request: &Request, number: Option<u64>, now: Instant) {
        if self.waiters.is_empty() {
            return;
        }
        let entrant = Waiter::new(*request);
        let own = Numbered { number: number.unwrap_or(self.next), waiter: &entrant };
        let ahead = self.waiting().filter(|other| self.turn(*other, own, now).is_lt());
        let passed: Vec<u64> = ahead.map(|other| other.number).collect();
        for number in passed {
            if let Some(waiter) = self.waiters.get_mut(&number) {
                waiter.passed = waiter.passed.saturating_add(1);
            }
        }
        self.lanes.serve(request);
    }

    /// A waiter leaves, whether it entered or not.
    pub(super) fn leave(&mut self, number: u64) {
        let Some(waiter) = self.waiters.remove(&number) else { return };
        if self.waiters.is_empty() {
            self.lanes.clear();
            return;
        }
        self.lanes.leave(&waiter.request);
    }

    fn waiting(&self) -> impl Iterator<Item = Numbered<'_>> {
        let all = self.waiters.iter();
        let all = all.map(|(number, waiter)| Numbered { number: *number, waiter });
        all.filter(|one| !one.waiter.evicted)
    }

    /// Order in which two waiting requests try to enter.
    fn rank(&self, one: Numbered<'_>, other: Numbered<'_>, now: Instant) -> Ordering {
        let deferred = one.waiter.is_deferred().cmp(&other.waiter.is_deferred());
        self.fair(one, other).then(deferred).then_with(|| self.age(one, other, now))
    }

    /// Order of two waiting requests if neither blocked the deployment.
    fn turn(&self, one: Numbered<'_>, other: Numbered<'_>, now: Instant) -> Ordering {
        self.fair(one, other).then_with(|| self.age(one, other, now))
    }

    /// Interactive requests first, then those of the key that has been served least.
    fn fair(&self, one: Numbered<'_>, other: Numbered<'_>) -> Ordering {
        let (one, other) = (&one.waiter.request, &other.waiter.request);
        let start = |request: &Request| self.lanes.start(self.lanes.of(request));
        one.priority.cmp(&other.priority).then_with(|| start(one).total_cmp(&start(other)))
    }

    fn age(&self, one: Numbered<'_>, other: Numbered<'_>, now: Instant) -> Ordering {
        let (number, other_number) = (one.number, other.number);
        let (one, other) = (&one.waiter.request, &other.waiter.request);
        let age = (one.since, number).cmp(&(other.since, other_number));
        // A request that waits only briefly for a cheaper answer is served in its turn.
        let newest = self.lanes.of(one) == self.lanes.of(other)
            && one.standing_wait.is_some()
            && other.standing_wait.is_some()
            && self.lanes.is_standing(one, now);
        if newest { age.reverse() } else { age }
    }

    /// The waiters that may try to enter: the first, and those that may enter a fuller deployment than all before them. A
    /// waiter that was passed too often is not passed again.
    fn front(&self, now: Instant) -> impl Iterator<Item = Numbered<'_>> {
        let mut level = Some(f64::NEG_INFINITY);
        std::iter::from_fn(move || {
            let above = level?;
            let fuller = self.waiting().filter(|one| one.waiter.request.entry_level > above);
            let found = fuller.min_by(|one, other| self.rank(*one, *other, now))?;
            let found_at = found.waiter;
            level = (!found_at.is_barrier()).then_some(found_at.request.entry_level);
            Some(found)
        })
    }

    /// Evicts a waiter for a newcomer to a full queue: one of a lower priority, else one of the key with the largest backlog.
    /// False if that would be the newcomer itself.
    fn make_way(&mut self, newcomer: &Request, now: Instant) -> bool {
        let lowest = self.waiting().map(|one| one.waiter.request.priority).max();
        let lowest = lowest.filter(|lowest| *lowest >= newcomer.priority);
        let (QueueOrder::Fair, Some(lowest)) = (self.lanes.order(), lowest) else { return false };
        let mut backlogs: BTreeMap<u64, f64> = BTreeMap::new();
        let own = (lowest == newcomer.priority).then_some(*newcomer);
        let waiting = self.waiting().map(|one| one.waiter.request).chain(own);
        for request in waiting.filter(|request| request.priority == lowest) {
            *backlogs.entry(request.key).or_default() += request.weight;
        }
        let heaviest = backlogs.into_iter().max_by(|one, other| one.1.total_cmp(&other.1));
        let Some((key, _)) = heaviest else { return false };
        if own.is_some() && key == newcomer.key && !self.lanes.is_standing(newcomer, now) {
            return false;
        }
        let is_heavy = |request: &Request| request.key == key && request.priority == lowest;
        let heavy = self.waiting().filter(|one| is_heavy(&one.waiter.request));
        let last = heavy.max_by(|one, other| self.rank(*one, *other, now));
        let Some(number) = last.map(|one| one.number) else { return false };
        if let Some(waiter) = self.waiters.get_mut(&number) {
            waiter.evicted = true;
            waiter.bell.notify_one();
        }
        true
    }
}

#[cfg(test)]
mod tests;
