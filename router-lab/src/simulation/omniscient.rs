//! Goodput under overload of a policy that knows the length of each answer: what the router's goodput is compared with.
//!
//! It reserves no more than an answer needs, serves the oldest request that can still be answered in time, and never wastes a
//! token. Streams reserve their caps until they end, which no policy can change. A large reservation blocks the bucket for as
//! long as it lasts, and loses nothing if the bucket is nearly full; so it enters if nothing smaller waits.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use crate::simulation_args::Overload;

use super::stage::{Pool, Stage};
use super::tally::share;
use super::workload::Call;

/// Above this share of the bucket a reservation is large.
const LARGE_SHARE: f64 = 0.1;

/// The least step of time: a level that is nearly the capacity counts as it then.
const LEAST_STEP: Duration = Duration::from_micros(1);

/// Its goodput, as a share of what the PTUs can serve in the span.
#[must_use]
pub fn goodput(stage: &Stage, overload: &Overload) -> f64 {
    let (mut good, mut room) = (0.0, 0.0);
    for pool in &stage.pools {
        room += pool.rate() * stage.span.as_secs_f64();
        let own: Vec<&Call> = stage.calls.iter().filter(|call| call.task == pool.task).collect();
        let mut queue = Queue::new(pool, overload.client_timeout);
        good += if own.iter().any(|call| call.streamed) {
            queue.serve(&own)
        } else {
            queue.serve_in_turn(&own)
        };
    }
    share(good, room)
}

/// The bucket of a pool, and those who wait for it.
struct Queue<'s> {
    pool: &'s Pool,
    patience: Duration,
    rate: f64,
    capacity: f64,
    level: f64,
    now: Duration,
    waiting: Vec<&'s Call>,
    /// When reservations end, and their places in `returned`.
    ends: BinaryHeap<Reverse<(Duration, usize)>>,
    /// The tokens that each reservation returns when it ends.
    returned: Vec<f64>,
}

impl<'s> Queue<'s> {
    fn new(pool: &'s Pool, patience: Duration) -> Self {
        let windows = pool.tanks.iter();
        let windows = windows.map(|tank| tank.rate() * tank.settings.window.as_secs_f64());
        Self {
            pool,
            patience,
            rate: pool.rate(),
            capacity: windows.sum(),
            level: 0.0,
            now: Duration::ZERO,
            waiting: Vec::new(),
            ends: BinaryHeap::new(),
            returned: Vec::new(),
        }
    }

    fn tokens(&self, call: &Call) -> f64 {
        self.pool.normalized(&call.usage(call.output))
    }

    fn reserved(&self, call: &Call) -> f64 {
        let missing = self.pool.tanks.first().map(|tank| tank.settings.missing_max_tokens);
        let cap = call.cap.or(missing).filter(|_| call.streamed);
        cap.map_or_else(|| self.tokens(call), |cap| self.pool.normalized(&call.usage(cap)))
    }

    fn may_be_answered(&self, call: &Call, start: Duration) -> bool {
        start + call.ideal() <= call.at + self.patience
    }

    fn advance(&mut self, to: Duration) {
        let step = to.saturating_sub(self.now);
        self.level = (self.level - self.rate * step.as_secs_f64()).max(0.0);
        self.now = self.now.max(to);
    }

    /// The time until the level is back at the capacity.
    fn drains_in(&self) -> Duration {
        let seconds = ((self.level - self.capacity) / self.rate).max(0.0);
        Duration::try_from_secs_f64(seconds).unwrap_or_default()
    }

    /// The tokens answered if nothing is reserved beyond what is used: each call enters in its turn.
    fn serve_in_turn(&mut self, calls: &[&Call]) -> f64 {
        let mut good = 0.0;
        for call in calls {
            self.advance(call.at);
            // It enters when the level is back at the capacity, if it can still be answered then.
            let start = self.now + self.drains_in();
            if self.may_be_answered(call, start) {
                self.advance(start);
                self.level += self.tokens(call);
                good += self.tokens(call);
            }
        }
        good
    }

    /// The tokens answered if streams reserve their caps.
    fn serve(&mut self, calls: &[&'s Call]) -> f64 {
        let mut calls = calls.iter().copied().peekable();
        let mut good = 0.0;
        loop {
            let arrives = calls.peek().map(|call| call.at);
            let ends = self.ends.peek().map(|Reverse((at, _))| *at);
            let drained = self.now + self.drains_in().max(LEAST_STEP);
            let drained = (!self.waiting.is_empty()).then_some(drained);
            let Some(next) = [arrives, ends, drained].into_iter().flatten().min() else {
                return good;
            };
            self.advance(next);
            while let Some(call) = calls.next_if(|call| call.at <= self.now) {
                self.waiting.push(call);
            }
            while let Some(Reverse((at, place))) = self.ends.peek().copied()
                && at <= self.now
            {
                self.ends.pop();
                let returned = self.returned.get(place).copied().unwrap_or_default();
                self.level = (self.level - returned).max(0.0);
            }
            while let Some(call) = self.next() {
                self.level += self.reserved(call);
                good += self.tokens(call);
                self.ends.push(Reverse((self.now + call.ideal(), self.returned.len())));
                self.returned.push(self.reserved(call) - self.tokens(call));
            }
        }
    }

    /// Removes the call that enters now; `None` if none may.
    fn next(&mut self) -> Option<&'s Call> {
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.retain(|call| self.may_be_answered(call, self.now));
        self.waiting = waiting;
        if self.level > self.capacity {
            return None;
        }
        let is_large = |call: &Call| self.reserved(call) > LARGE_SHARE * self.capacity;
        let numbered = self.waiting.iter().enumerate();
        let (best, _) = numbered.min_by_key(|(_, call)| (is_large(call), call.at))?;
        Some(self.waiting.remove(best))
    }
}
