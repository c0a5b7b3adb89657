//! The usage of a key at another run of a router, as last reported, and the part of it that counts
//! now.

use std::time::Duration;

use tokio::time::Instant;

use crate::decision::Moment;
use crate::ledger::Used;
use crate::units::Day;
use crate::units::Usd;

use super::usage_report::Spent;

/// The usage of a key at another run.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct OtherRun {
    /// Time of its report of rates, and the rates, without the spending.
    pub(super) rates: Option<(Instant, Used)>,
    pub(super) spent: Option<Spent>,
}

/// The time for which a rate counts.
const MINUTE: Duration = Duration::from_secs(60);

impl OtherRun {
    pub(super) fn merge(&mut self, spent: Spent, today: Day) {
        // The clocks of two hosts can differ by a day, not by more. A later date would hide all earlier spending.
        if spent.on.days_since(today) > 1 {
            return;
        }
        self.spent = Some(self.spent.map_or(spent, |before| before.with(spent)));
    }

    pub(super) fn reported_within(&self, span: Duration, now: Instant) -> bool {
        self.rates.is_some_and(|(at, _)| now.saturating_duration_since(at) <= span)
    }

    /// The usage that counts now: rates for a minute, running requests while the run exists, spending in its day and month.
    pub(super) fn used(&self, Moment { now, today }: Moment, ttl: Duration) -> Used {
        let mut used = match self.rates {
            Some((at, rates)) if now.saturating_duration_since(at) < MINUTE => rates,
            Some(_) | None => Used::default(),
        };
        if !self.reported_within(ttl, now) {
            (used.in_flight, used.held) = (0, Usd::ZERO);
        }
        if let Some(spent) = self.spent.filter(|spent| spent.counts(today)) {
            used.month = spent.month;
            used.day = if spent.on == today { spent.day } else { Usd::ZERO };
        }
        used
    }

    pub(super) fn matters(&self, Moment { now, today }: Moment) -> bool {
        let later = |spent: Spent| spent.on > today;
        self.reported_within(MINUTE, now)
            || self.spent.is_some_and(|spent| spent.counts(today) || later(spent))
    }
}
