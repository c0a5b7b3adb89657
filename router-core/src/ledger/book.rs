//! The account of each key: what its requests reserved when they begin, and what they really used when they end.
//!
//! Accounts outlive a config: a reload hands the ledger on. They are kept in this process. What replicas of the router
//! share goes through two calls, [`Ledger::all_own`] and [`Ledger::elsewhere`]: each tells the others what it used itself,
//! and takes what they used together; both are sums, so that a lost or doubled message does no harm, and no request
//! waits for either.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use crate::decision::Moment;
use crate::memory::Shares;
use crate::units::Day;
use crate::units::Tokens;
use crate::units::Usd;

use super::allowance::{Allowance, Left, LimitReached, RatesLeft, Span};
use super::entry::{Charged, Entry, Ticket};
use super::team::Team;
use super::window::{MINUTE, Window};

/// Expected use of a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Estimate {
    /// Its prompt, approximately.
    pub prompt: Tokens,
    /// Its answer: the maximum, or an estimate.
    pub output: Tokens,
    /// Expected cost; zero if no price is known.
    pub cost: Usd,
}

/// Actual use of a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bill {
    /// Prompt and answer, hidden reasoning included.
    pub tokens: Tokens,
    /// Cost; zero if no price is known.
    pub cost: Usd,
}

/// Use of a key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used {
    /// Requests begun in the last minute.
    pub requests: u64,
    /// Tokens in the last minute.
    pub tokens: u64,
    /// Running requests.
    pub in_flight: u64,
    /// Expected cost of running requests.
    pub held: Usd,
    /// Amount spent in this UTC day.
    pub day: Usd,
    /// Amount spent in this UTC month.
    pub month: Usd,
}

impl Used {
    /// Amount spent in the day or the month.
    pub fn spent(&self, span: Span) -> Usd {
        match span {
            Span::Day => self.day,
            Span::Month => self.month,
        }
    }
}

/// The accounts of all keys, by their names.
#[derive(Debug, Default)]
pub struct Ledger(RwLock<HashMap<Arc<str>, Arc<Account>>>);

#[derive(Debug)]
pub(super) struct Account {
    book: Mutex<Book>,
    /// What the key holds of the memory for bodies and answers.
    pub(super) memory: Shares,
}

#[derive(Debug)]
pub(super) struct Book {
    pub(super) requests: Window,
    pub(super) tokens: Window,
    pub(super) in_flight: u64,
    pub(super) held: Usd,
    /// The last day on which something was entered, and what was spent in it and in its month.
    pub(super) today: Day,
    pub(super) day: Usd,
    pub(super) month: Usd,
    elsewhere: Used,
    /// When, and on which day, `elsewhere` was received.
    told: Moment,
}

impl Ledger {
    /// Admits a request of a key, and reserves what it is expected to use until the ticket is settled or dropped.
    ///
    /// An answer longer than a minute's tokens is reserved as far as there is room in an empty minute: it is admitted
    /// when nothing else counts, and what it really uses counts in full.
    ///
    /// # Errors
    /// The first limit that is reached.
    pub fn admit(
        &self,
        key: &str,
        allowance: &Allowance,
        estimate: Estimate,
        moment: Moment,
    ) -> Result<Ticket, LimitReached> {
        let entry = self.enter(key, allowance, None, moment)?;
        let slot = entry.occupy(moment)?;
        Ok(entry.set_aside(estimate, moment)?.holding(slot))
    }

    /// Lets a request in by what its head says alone: the key's rate of requests, and whether it has a slot free. `share`
    /// bounds the slots of a key that has no bound of its own; it counts those of this process alone.
    ///
    /// The request counts against the rate from now on. It counts no more if the entry is dropped before anything was set
    /// aside for it.
    ///
    /// # Errors
    /// The first limit that is reached.
    pub fn enter(
        &self,
        key: &str,
        allowance: &Allowance,
        share: Option<u64>,
        moment: Moment,
    ) -> Result<Entry, LimitReached> {
        let account = self.account(key, moment);
        let entered = {
            let mut book = account.book();
            book.slot_free(allowance, share, moment)?;
            book.rate_free(allowance, moment)?;
            book.requests.enter(moment.now, 1)
        };
        let allowance = *allowance;
        Ok(Entry::new(account, allowance, share, entered))
    }

    /// Sets aside on a team's account what a request of one of its keys is expected to cost.
    ///
    /// # Errors
    /// The budget that is reached.
    pub fn admit_team(
        &self,
        team: &Team,
        estimate: Estimate,
        moment: Moment,
    ) -> Result<Ticket, LimitReached> {
        let account = self.account(&team.account, moment);
        Ticket::on(account, &team.allowance, estimate, moment)
    }

    /// Puts back what an account had spent on a day and in its month before this process began.
    pub fn restore(&self, key: &str, spent: Used, on: Day, moment: Moment) {
        let account = self.account(key, moment);
        let mut book = account.book();
        book.turn(on);
        if on == book.today {
            book.day += spent.day;
        }
        if on.first_of_month() == book.today.first_of_month() {
            book.month += spent.month;
        }
    }

    /// What another replica has charged an account, to be corrected here. Money is returned as far as any was spent from it here.
    pub fn charged_elsewhere(&self, key: &str, bill: Bill, on: Day, moment: Moment) -> Charged {
        Charged::elsewhere(self.account(key, moment), bill, on)
    }

    /// A key's use in this process; nothing if it has not been seen.
    pub fn own(&self, key: &str, moment: Moment) -> Used {
        let account = self.read().get(key).cloned();
        account.map(|account| account.book().own(moment)).unwrap_or_default()
    }

    /// What each key has used itself here, and the day to which its money belongs: today, or a later one where the clock was
    /// set back.
    pub fn all_own(&self, moment: Moment) -> Vec<(Arc<str>, Used, Day)> {
        let accounts: Vec<_> = self
            .read()
            .iter()
            .map(|(key, account)| (Arc::clone(key), Arc::clone(account)))
            .collect();
        let own = |(key, account): (Arc<str>, Arc<Account>)| {
            let mut book = account.book();
            let used = book.own(moment);
            (key, used, book.today)
        };
        accounts.into_iter().map(own).collect()
    }

    /// A key's use in all processes.
    pub fn used(&self, key: &str, moment: Moment) -> Used {
        let account = self.read().get(key).cloned();
        account.map(|account| account.book().all(moment)).unwrap_or_default()
    }

    /// Remainders of a key's rate limits, over all processes.
    pub fn left(&self, key: &str, allowance: &Allowance, moment: Moment) -> RatesLeft {
        let account = self.read().get(key).cloned();
        let Some(account) = account else { return RatesLeft::untouched(allowance) };
        account.book().left(allowance, moment)
    }

    /// Takes note of what other replicas have used of a key, all together; it counts until it is told again, rates for
    /// at most a minute, budgets until their day or month ends.
    pub fn elsewhere(&self, key: &str, used: Used, moment: Moment) {
        let account = self.account(key, moment);
        let mut book = account.book();
        book.elsewhere = used;
        book.told = moment;
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, HashMap<Arc<str>, Arc<Account>>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn account(&self, key: &str, moment: Moment) -> Arc<Account> {
        if let Some(account) = self.read().get(key) {
            return Arc::clone(account);
        }
        let mut accounts = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Account::new(Book::new(moment)));
        Arc::clone(accounts.entry(key.into()).or_insert_with(new))
    }
}

impl Account {
    fn new(book: Book) -> Self {
        Self { book: Mutex::new(book), memory: Shares::default() }
    }

    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn new(moment: Moment) -> Self {
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

    /// Begins a new day, and a new month where it is one. A clock that was set back ends nothing.
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

    fn own(&mut self, Moment { now, today }: Moment) -> Used {
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

    fn all(&mut self, moment: Moment) -> Used {
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

    fn left(&mut self, allowance: &Allowance, moment: Moment) -> RatesLeft {
        let (now, others) = (moment.now, self.others(moment));
        // A report of other processes says only that the use lies within the last minute.
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

    /// Fails if as many requests of the key are under way as may be.
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

    /// Fails if as many requests of the key have begun in the last minute as may.
    fn rate_free(&mut self, allowance: &Allowance, moment: Moment) -> Result<(), LimitReached> {
        let Some(limit) = allowance.requests_per_minute else { return Ok(()) };
        let others = self.others(moment).requests;
        let wait = self.requests.wait(moment.now, 1, limit.saturating_sub(others));
        if wait.is_zero() { Ok(()) } else { Err(LimitReached::Requests { limit, wait }) }
    }

    /// The tokens to reserved, or the budget or rate that leaves no room for the request.
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::time::Instant;

    use super::*;
    use crate::ledger::Payer;

    fn day(text: &str) -> Day {
        Day::try_from(text).unwrap()
    }

    fn estimate(prompt: u64, output: u64) -> Estimate {
        Estimate { prompt: Tokens(prompt), output: Tokens(output), cost: Usd::ZERO }
    }

    fn bill(tokens: u64, dollars: f64) -> Bill {
        Bill { tokens: Tokens(tokens), cost: Usd::of_dollars(dollars).unwrap() }
    }

    #[test]
    fn days_and_months_end_and_a_clock_set_back_ends_nothing() {
        let (ledger, now) = (Ledger::default(), Instant::now());
        let allowance = Allowance {
            daily_budget: Usd::of_dollars(1.0),
            monthly_budget: Usd::of_dollars(2.0),
            ..Allowance::default()
        };
        let spend = |today: &str| {
            let moment = Moment::new(now, day(today));
            let admitted = ledger.admit("k", &allowance, estimate(1, 1), moment);
            admitted.map(|ticket| ticket.settle(bill(2, 1.0), moment))
        };
        let over = |span, budget, renewed| {
            let budget = Usd::of_dollars(budget).unwrap();
            Err(LimitReached::Budget { payer: Payer::Key, span, budget, renewed: day(renewed) })
        };
        assert_eq!(spend("2026-11-29"), Ok(()));
        assert_eq!(spend("2026-11-29"), over(Span::Day, 1.0, "2026-11-30"));
        assert_eq!(spend("2026-11-28"), over(Span::Day, 1.0, "2026-11-29"));
        assert_eq!(spend("2026-11-30"), Ok(()));
        assert_eq!(spend("2026-11-30"), over(Span::Month, 2.0, "2026-12-01"));
        assert_eq!(spend("2026-12-01"), Ok(()));
        assert_eq!(ledger.own("k", Moment::new(now, day("2026-12-02"))).month, bill(0, 1.0).cost);
    }

    #[test]
    fn a_charge_before_the_usage_is_known_is_corrected_within_its_day_and_month() {
        let now = Instant::now();
        let used = |charged_on: &str, actual: f64, settled_on: &str| {
            let ledger = Ledger::default();
            let held = Estimate { cost: bill(0, 1.0).cost, ..estimate(10, 90) };
            let begun = Moment::new(now, day(charged_on));
            let ticket = ledger.admit("k", &Allowance::default(), held, begun).unwrap();
            let charged = ticket.charge(begun);
            let open = ledger.own("k", begun);
            assert_eq!((open.tokens, open.day, open.held), (100, held.cost, Usd::ZERO));
            let settled = Moment::new(now, day(settled_on));
            charged.correct(bill(30, actual), settled);
            let used = ledger.own("k", settled);
            assert_eq!((used.tokens, used.in_flight), (30, 0));
            (used.day.as_f64(), used.month.as_f64())
        };
        assert_eq!(used("2026-11-20", 0.25, "2026-11-20"), (0.25, 0.25));
        assert_eq!(used("2026-11-20", 4.0, "2026-11-20"), (4.0, 4.0));
        assert_eq!(used("2026-11-20", 0.25, "2026-11-21"), (0.0, 0.25));
        assert_eq!(used("2026-11-20", 4.0, "2026-11-21"), (3.0, 4.0));
        assert_eq!(used("2026-11-30", 0.25, "2026-12-01"), (0.0, 0.0));
        assert_eq!(used("2026-11-30", 4.0, "2026-12-01"), (3.0, 3.0));
    }

    #[test]
    fn what_others_used_counts_until_it_is_old() {
        let (ledger, now) = (Ledger::default(), Instant::now());
        let today = day("2026-11-30");
        let allowance = Allowance {
            requests_per_minute: Some(10),
            monthly_budget: Usd::of_dollars(2.0),
            ..Allowance::default()
        };
        let others = Used {
            requests: 9,
            day: bill(0, 2.0).cost,
            month: bill(0, 2.0).cost,
            ..Used::default()
        };
        ledger.elsewhere("k", others, Moment { now, today });
        let admit = |moment| ledger.admit("k", &allowance, estimate(1, 1), moment).map(drop);
        assert!(matches!(
            admit(Moment { now, today }),
            Err(LimitReached::Budget { span: Span::Month, .. })
        ));
        let tomorrow = day("2026-12-01");
        assert_eq!(admit(Moment::new(now, tomorrow)), Ok(()));
        assert!(matches!(admit(Moment::new(now, tomorrow)), Err(LimitReached::Requests { .. })));
        assert_eq!(ledger.own("k", Moment::new(now, tomorrow)).requests, 1);
        assert_eq!(ledger.used("k", Moment::new(now, tomorrow)).requests, 10);
        let later = now + Duration::from_secs(59);
        assert!(admit(Moment::new(later, tomorrow)).is_err());
        assert_eq!(admit(Moment::new(later + Duration::from_secs(1), tomorrow)), Ok(()));
    }

    #[test]
    fn what_is_left_counts_others_and_what_is_set_aside() {
        let (ledger, now, today) = (Ledger::default(), Instant::now(), day("2026-11-30"));
        let allowance = Allowance {
            requests_per_minute: Some(10),
            tokens_per_minute: Some(1_000),
            ..Allowance::default()
        };
        let left = |moment| {
            let left = ledger.left("k", &allowance, Moment::new(moment, today));
            let told = |left: Left| (left.remaining, left.resets.as_millis());
            (left.requests.map(told), left.tokens.map(told))
        };
        assert_eq!(
            ledger.left("k", &Allowance::default(), Moment { now, today }),
            RatesLeft::default()
        );
        assert_eq!(left(now), (Some((10, 0)), Some((1_000, 0))));
        let ticket =
            ledger.admit("k", &allowance, estimate(10, 200), Moment { now, today }).unwrap();
        assert_eq!(left(now), (Some((9, 60_010)), Some((790, 60_010))));
        let later = now + Duration::from_secs(20);
        ticket.settle(bill(30, 0.0), Moment::new(later, today));
        assert_eq!(left(later), (Some((9, 40_010)), Some((970, 40_010))));
        let others = Used { requests: 4, tokens: 2_000, ..Used::default() };
        ledger.elsewhere("k", others, Moment::new(later, today));
        assert_eq!(left(later), (Some((5, 60_000)), Some((0, 60_000))));
        let over = later + Duration::from_secs(60);
        assert_eq!(left(over), (Some((10, 0)), Some((1_000, 0))));
    }

    #[test]
    fn an_answer_longer_than_expected_counts_in_full() {
        let (ledger, now, today) = (Ledger::default(), Instant::now(), day("2026-11-30"));
        let allowance = Allowance { tokens_per_minute: Some(100), ..Allowance::default() };
        let ticket =
            ledger.admit("k", &allowance, estimate(10, 20), Moment { now, today }).unwrap();
        let late = now + Duration::from_secs(59);
        ticket.settle(bill(90, 0.0), Moment::new(late, today));
        assert_eq!(ledger.own("k", Moment::new(late, today)).tokens, 90);
        let later = now + Duration::from_secs(61);
        assert_eq!(
            ledger.own("k", Moment::new(later, today)).tokens,
            60,
            "what came late counts from then"
        );
    }

    proptest! {
        /// Whatever requests do, all that was reserved comes back, and what was used is what counts.
        #[test]
        fn accounts_balance(
            steps in proptest::collection::vec((0u64..50, 0u64..50, 0u64..80, 0u8..3, 0u64..500), 1..80),
        ) {
            let (ledger, mut now, today) = (Ledger::default(), Instant::now(), day("2026-11-30"));
            let allowance = Allowance {
                tokens_per_minute: Some(200),
                max_in_flight: Some(4),
                ..Allowance::default()
            };
            let (mut open, mut spent) = (Vec::new(), 0u64);
            for (prompt, output, used, end, pause) in steps {
                now += Duration::from_millis(pause);
                let before = ledger.own("k", Moment { now, today });
                match ledger.admit("k", &allowance, estimate(prompt, output), Moment { now, today }) {
                    Ok(ticket) => {
                        prop_assert!(before.in_flight < 4 && before.tokens + prompt + output <= 200);
                        open.push(ticket);
                    }
                    Err(_) => prop_assert!(
                        before.in_flight >= 4 || before.tokens + prompt + output > 200
                    ),
                }
                match (end, open.is_empty()) {
                    (0, false) => drop(open.remove(0)),
                    (1, false) => {
                        open.remove(0).settle(bill(used, 0.000_001), Moment { now, today });
                        spent += used;
                    }
                    _ => {}
                }
                prop_assert_eq!(ledger.own("k", Moment { now, today }).in_flight, u64::try_from(open.len()).unwrap());
            }
            drop(open);
            let end = ledger.own("k", Moment { now, today });
            prop_assert_eq!((end.in_flight, end.held), (0, Usd::ZERO));
            prop_assert_eq!(end.tokens, spent, "within a minute nothing is forgotten");
        }
    }
}
