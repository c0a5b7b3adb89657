//! The account of each key: reservations when its requests begin, actual usage when they end.
//!
//! Accounts outlive a configuration: a reload hands the ledger on. They are kept in this process. Replicas of the router
//! share usage through two calls: [`Ledger::all_own`] returns the usage in this process, and [`Ledger::elsewhere`] takes
//! the sum of the others'. Both are totals, so that a lost or repeated message does no harm. No request waits for either.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use crate::decision::Moment;
use crate::memory::Shares;
use crate::units::Day;

use super::allowance::{Allowance, LimitReached, RatesLeft};
use super::amounts::{Bill, Estimate, Used};
use super::book::Book;
use super::entry::{Charged, Entry, Ticket};
use super::team::Team;

/// The accounts of all keys, by their names.
#[derive(Debug, Default)]
pub struct Ledger(RwLock<HashMap<Arc<str>, Arc<Account>>>);

#[derive(Debug)]
pub(super) struct Account {
    book: Mutex<Book>,
    /// The key's part of the memory for bodies and answers.
    pub(super) memory: Shares,
}

impl Ledger {
    /// Admits a request of a key, and reserves its expected usage until the ticket is settled or dropped.
    ///
    /// An answer longer than a minute's tokens reserves a whole minute: it is admitted when nothing else counts, and its
    /// actual usage counts in full.
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
    pub(crate) fn admit_team(
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

    /// The charge of an account at another replica, to be corrected here. At most the account's spending here is returned.
    pub(crate) fn charged_elsewhere(
        &self,
        key: &str,
        bill: Bill,
        on: Day,
        moment: Moment,
    ) -> Charged {
        Charged::elsewhere(self.account(key, moment), bill, on)
    }

    /// A key's use in this process; nothing if it has not been seen.
    pub fn own(&self, key: &str, moment: Moment) -> Used {
        let account = self.read().get(key).cloned();
        account.map(|account| account.book().own(moment)).unwrap_or_default()
    }

    /// The usage of each key in this process, and the day of its spending: today, or a later one if the clock was
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

    /// Sets the sum that other replicas have used of a key. It counts until the next call: rates for at most a minute,
    /// budgets until their day or month ends.
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use tokio::time::Instant;

    use super::*;
    use crate::ledger::Left;
    use crate::ledger::Payer;
    use crate::ledger::Span;
    use crate::units::Tokens;
    use crate::units::Usd;

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
        /// Whatever requests do, every reservation is returned, and the usage counts.
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
