//! Corrects the model of a provisioned deployment's bucket by the deployment's responses.
//!
//! A 429 with a wait shows that the level is above the capacity by that much drain. A 200 shows that the level was at most
//! the capacity on arrival. A utilization header is a reading. Evidence about the past corrects only what no newer evidence
//! has corrected.

use std::time::Duration;

use tokio::time::Instant;

use super::twin::{Baseline, Ticket, Twin};

/// Additional share of the capacity believed free for each successful probe in a row. A 200 says
/// only "at most"; without a guess beyond it a rate that is far too low would be found out slowly. A guess too high costs
/// one 429, which says exactly how much.
const DOUBT_SHARE: f64 = 0.05;

/// Evidence within this much of what was expected corrects the level but teaches nothing about the deployment.
const TOLERANCE_SECONDS: f64 = 0.02;

/// A reading that differs from the expectation by less than this share of the capacity is ignored.
const READING_SHARE: f64 = 0.02;

/// Readings are compared over at least this time: each is only known to lie within some range.
const READING_SECONDS: f64 = 5.0;

/// A utilization above 100 % by less than this is rounded too much to derive a window from.
const LEAST_SHARE: f64 = 0.01;

/// Evidence closer together than this says more about rounding than about the rate.
const LEAST_SECONDS: f64 = 1.0;

impl Twin {
    /// The call was admitted: on its arrival the level was at most the capacity.
    pub fn accepted(&mut self, now: Instant, ticket: Ticket) {
        self.drain(now);
        let Some(sent) = ticket.sent.filter(|_| ticket.evidence == self.evidence) else { return };
        let over = ticket.over / self.drift.rate();
        if over <= TOLERANCE_SECONDS {
            return;
        }
        let streak = self.doubt.was_right(now);
        let believed = self.capacity() * DOUBT_SHARE * f64::from(streak);
        let before = ticket.over + self.capacity();
        let since = sent.saturating_duration_since(self.known.at).as_secs_f64();
        match self.known.over {
            Some(above) => self.drift.drained(ticket.added + believed, since - above),
            None => self.drift.filled(before / self.drift.rate()),
        }
        self.level = (self.level - ticket.over - believed).max(0.0);
        self.learned(Baseline {
            at: sent,
            over: Some(0.0),
            added: self.known.added - ticket.added,
        });
    }

    /// The call was refused: the level is above the capacity by `wait` of drain. If the deployment also reports its
    /// utilization, both together give the window.
    pub fn refused(&mut self, now: Instant, ticket: Ticket, wait: Duration, told: Option<f64>) {
        self.drain(now);
        self.ended(ticket);
        self.add(-ticket.reserved);
        let over = wait.as_secs_f64();
        if let Some(share) = told.map(|utilization| utilization - 1.0)
            && share >= LEAST_SHARE
        {
            self.drift.filled(over / share);
        }
        let expected = (self.level - self.capacity()) / self.drift.rate();
        let since = now.saturating_duration_since(self.known.at).as_secs_f64();
        let mut known = Baseline { at: now, over: Some(over), added: 0.0 };
        match self.known.over {
            Some(above) if since >= LEAST_SECONDS => {
                self.drift.drained(self.known.added, over - above + since);
            }
            // Too soon to derive a rate: the earlier baseline stays.
            Some(_) => known = self.known,
            None if told.is_none() && expected < over - TOLERANCE_SECONDS => {
                self.drift.filled(self.level / self.drift.rate() - over);
            }
            None => {}
        }
        if ticket.over > 0.0 {
            self.doubt.was_wrong(now);
        } else {
            self.guard.refused(now, over - expected);
        }
        self.doubt.told(now, wait);
        self.refused_until = Some(now + wait);
        self.level = self.capacity() + over * self.drift.rate();
        self.learned(known);
    }

    /// The deployment said in the head of an answer how full it is: 1.0 is 100 %. Whether it was so when the call arrived or
    /// when its answer began is not documented, so only what contradicts both moments is a reason to move.
    pub fn read(&mut self, now: Instant, ticket: Ticket, utilization: f64) {
        self.drain(now);
        // Evidence that may be older does not repeat a correction that newer evidence has made.
        if ticket.evidence != self.evidence || !(0.0..=100.0).contains(&utilization) {
            return;
        }
        let (told, near) = (utilization * self.capacity(), self.capacity() * READING_SHARE);
        // Nor whether what the call returns is in it.
        let (low, high) =
            (self.level.min(ticket.level) - ticket.reserved, self.level.max(ticket.level));
        let off = told - told.clamp(low - near, high + near);
        if off.abs() <= 0.0 {
            return;
        }
        let level = (self.level + off).max(0.0);
        let above = (level - self.capacity()) / self.drift.rate();
        let since = now.saturating_duration_since(self.known.at).as_secs_f64();
        let known = Baseline { at: now, over: (level > 0.0).then_some(above), added: 0.0 };
        self.level = level;
        let known = match self.known.over {
            // Too soon after the last evidence to learn a rate from; the level still counts.
            Some(_) if since < READING_SECONDS => self.known,
            Some(before) if level > 0.0 => {
                self.drift.drained(self.known.added, above - before + since);
                known
            }
            Some(_) | None => known,
        };
        self.learned(known);
    }
}
