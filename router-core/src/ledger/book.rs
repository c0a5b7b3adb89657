//! The figures of one account, in this process and elsewhere, and the check whether its limits admit
//! a request.

use std::time::Duration;

use crate::decision::Moment;
use crate::units::Day;
use crate::units::Tokens;
use crate::units::Usd;

use super::allowance::{Allowance, Left, LimitReached, RatesLeft, Span};
use super::amounts::{Estimate, Used};
use super::window::{MINUTE, Window};

/// The figures of one account.
#[derive(Debug)]
pub(super) struct Book {
    pub(super) requests: Window,
    pub(super) tokens: Window,
    pub(super) in_flight: u64,
    pub(super) held: Usd,
    /// The day of the last entry, and the spending of that day and of its month.
    pub(super) today: Day,
    pub(super) day: Usd,
    pub(super) month: Usd,
    pub(super) elsewhere: Used,
    /// When, and on which day, `elsewhere` was received.
    pub(super) told: Moment,
}

impl Book {
    pub(super) fn new(moment: Moment) -> Self {
        Self {
            requests: Window::new(moment.now),
            tokens: Window::new(moment.now),
            in_flight: 0,
            held: Usd::ZERO,
            today: moment.today,
            day: Usd::ZERO,
            month: Usd::ZERO,
            elsewhere: Used::default(),
            told: moment,
        }
    }

    /// Begins a new day, and a new month if it is one. A clock that was set back ends nothing.
    pub(super) fn turn(&mut self, today: Day) {
        if today <= self.today {
            return;
        }
        if today.first_of_month() != self.today.first_of_month() {
            self.month = Usd::ZERO;
        }
        self.day = Usd::ZERO;
        self.today = today;
    }

    pub(super) fn own(&mut self, Moment { now, today }: Moment) -> Used {
        self.turn(today);
        Used {
            requests: self.requests.used(now),
            tokens: self.tokens.used(now),
            in_flight: self.in_flight,
            held: self.held,
            day: self.day,
            month: self.month,
        }
    }

    fn others(&self, Moment { now, today }: Moment) -> Used {
        let day = self.told.today;
        let fresh = now.saturating_duration_since(self.told.now) < MINUTE;
        let rates = if fresh { self.elsewhere } else { Used::default() };
        // A clock that was set back ends nothing.
        let this_month = day.first_of_month() >= today.first_of_month();
        Used {
            day: if day >= today { self.elsewhere.day } else { Usd::ZERO },
            month: if this_month { self.elsewhere.month } else { Usd::ZERO },
            ..rates
        }
    }

    pub(super) fn all(&mut self, moment: Moment) -> Used {
        let (own, others) = (self.own(moment), self.others(moment));
        Used {
            requests: own.requests.saturating_add(others.requests),
            tokens: own.tokens.saturating_add(others.tokens),
            in_flight: own.in_flight.saturating_add(others.in_flight),
            held: own.held + others.held,
            day: own.day + others.day,
            month: own.month + others.month,
        }
    }

    pub(super) fn left(&mut self, allowance: &Allowance, moment: Moment) -> RatesLeft {
        let (now, others) = (moment.now, self.others(moment));
        // A report of other processes shows only that the usage is less than a minute old.
        let told = (self.told.now + MINUTE).saturating_duration_since(now);
        let left = |window: &mut Window, others: u64, limit: u64| Left {
            limit,
            remaining: limit.saturating_sub(window.used(now).saturating_add(others)),
            resets: window.empties(now).max(if others > 0 { told } else { Duration::ZERO }),
        };
        let (requests, tokens) = (allowance.requests_per_minute, allowance.tokens_per_minute);
        RatesLeft {
            requests: requests.map(|limit| left(&mut self.requests, others.requests, limit)),
            tokens: tokens.map(|limit| left(&mut self.tokens, others.tokens, limit)),
        }
    }

    /// Fails if the key's limit of concurrent requests is reached.
    pub(super) fn slot_free(
        &mut self,
        allowance: &Allowance,
        share: Option<u64>,
        moment: Moment,
    ) -> Result<(), LimitReached> {
        let (own, all) = (self.in_flight, self.all(moment).in_flight);
        let reached = match (allowance.max_in_flight, share) {
            (Some(limit), _) => (all >= limit).then_some(limit),
            (None, Some(share)) => (own >= share).then_some(share),
            (None, None) => None,
        };
        reached.map_or(Ok(()), |limit| Err(LimitReached::InFlight { limit }))
    }

    /// Fails if the key's requests of the last minute reach its rate.
    pub(super) fn rate_free(
        &mut self,
        allowance: &Allowance,
        moment: Moment,
    ) -> Result<(), LimitReached> {
        let Some(limit) = allowance.requests_per_minute else { return Ok(()) };
        let others = self.others(moment).requests;
        let wait = self.requests.wait(moment.now, 1, limit.saturating_sub(others));
        if wait.is_zero() { Ok(()) } else { Err(LimitReached::Requests { limit, wait }) }
    }

    /// The tokens to reserve, or the budget or rate that is used up.
    pub(super) fn room(
        &mut self,
        allowance: &Allowance,
        estimate: Estimate,
        moment: Moment,
    ) -> Result<u64, LimitReached> {
        let Moment { now, today } = moment;
        let (used, others) = (self.all(moment), self.others(moment));
        for (span, budget, renewed) in [
            (Span::Month, allowance.monthly_budget, today.first_of_next_month()),
            (Span::Day, allowance.daily_budget, today.next()),
        ] {
            let Some(budget) = budget else { continue };
            if used.spent(span) >= budget {
                return Err(LimitReached::Budget { payer: allowance.payer, span, budget, renewed });
            }
            if used.spent(span) + used.held >= budget {
                return Err(LimitReached::Held { payer: allowance.payer, span });
            }
        }
        let needed = estimate.prompt + estimate.output;
        let Some(limit) = allowance.tokens_per_minute else { return Ok(needed.0) };
        if estimate.prompt.0 > limit {
            return Err(LimitReached::TooLarge { limit, needed: estimate.prompt });
        }
        let needed = Tokens(needed.0.min(limit));
        let wait = self.tokens.wait(now, needed.0, limit.saturating_sub(others.tokens));
        if wait.is_zero() {
            return Ok(needed.0);
        }
        Err(LimitReached::Tokens { limit, needed, wait })
    }
}
