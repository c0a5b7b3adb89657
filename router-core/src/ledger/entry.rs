//! A request on its key's account: an entry by its head, a slot once its body has arrived, and
//! reserved tokens and money once it is parsed. Each is a guard that returns what it took on drop.
//!
//! Not done here: the check whether the account allows it (`book.rs`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::decision::Moment;
use crate::memory::Shares;
use crate::units::Day;
use crate::units::Tokens;
use crate::units::Usd;

use super::accounts::Account;
use super::allowance::{Allowance, LimitReached};
use super::amounts::{Bill, Estimate};
use super::window::Entered;

/// A request that its key's rate and slots have let in. Dropped before anything was reserved for it, it does not count.
#[derive(Debug)]
pub struct Entry {
    account: Arc<Account>,
    allowance: Allowance,
    share: Option<u64>,
    entered: Entered,
    /// True once something was reserved: from then on the request counts, whatever its outcome.
    counts: AtomicBool,
}

impl Entry {
    pub(super) fn new(
        account: Arc<Account>,
        allowance: Allowance,
        share: Option<u64>,
        entered: Entered,
    ) -> Self {
        Self { account, allowance, share, entered, counts: AtomicBool::new(false) }
    }

    /// Takes one of the key's slots, which is free again when the guard is dropped.
    ///
    /// # Errors
    /// All have been taken since the request was let in.
    pub fn occupy(&self, moment: Moment) -> Result<Slot, LimitReached> {
        let mut book = self.account.book();
        book.slot_free(&self.allowance, self.share, moment)?;
        book.in_flight += 1;
        drop(book);
        Ok(Slot(Arc::clone(&self.account)))
    }

    /// Sets aside what the request is expected to use until the ticket is settled or dropped.
    ///
    /// # Errors
    /// The budget or the rate of tokens is used up; the request then does not count against the rate of requests.
    pub(crate) fn set_aside(
        &self,
        estimate: Estimate,
        moment: Moment,
    ) -> Result<Ticket, LimitReached> {
        let ticket = Ticket::on(Arc::clone(&self.account), &self.allowance, estimate, moment)?;
        self.counts.store(true, Ordering::Relaxed);
        Ok(ticket)
    }

    /// The key's shares of the router's memory, if it may hold only a share.
    pub fn memory(&self) -> Option<&Shares> {
        self.share.is_some().then_some(&self.account.memory)
    }

    /// From now on the request counts against the rate, whatever becomes of it: it needs no tokens.
    pub fn count(&self) {
        self.counts.store(true, Ordering::Relaxed);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if !*self.counts.get_mut() {
            self.account.book().requests.take_back(self.entered, 1);
        }
    }
}

/// One of a key's slots, until it is dropped.
#[derive(Debug)]
#[must_use = "dropping it frees the slot"]
pub struct Slot(Arc<Account>);

impl Drop for Slot {
    fn drop(&mut self) {
        let mut book = self.0.book();
        book.in_flight = book.in_flight.saturating_sub(1);
    }
}

/// The reservation of a running request. Settled, it counts the actual usage; dropped, it returns the tokens
/// and the money that were reserved. The request itself counts either way.
#[derive(Debug)]
#[must_use = "dropping it gives back what was set aside"]
pub struct Ticket {
    account: Arc<Account>,
    entered: Entered,
    tokens: u64,
    held: Usd,
    /// The slot of a request that holds no other.
    slot: Option<Slot>,
    /// The same request on the account of its key's team.
    team: Option<Box<Ticket>>,
}

impl Ticket {
    /// Sets aside on an account what a request is expected to use.
    pub(super) fn on(
        account: Arc<Account>,
        allowance: &Allowance,
        estimate: Estimate,
        moment: Moment,
    ) -> Result<Self, LimitReached> {
        let mut book = account.book();
        let tokens = book.room(allowance, estimate, moment)?;
        book.held += estimate.cost;
        let entered = book.tokens.enter(moment.now, tokens);
        drop(book);
        Ok(Self { account, entered, tokens, held: estimate.cost, slot: None, team: None })
    }

    /// The same, settled together with a ticket on the account of the key's team.
    pub(crate) fn with_team(mut self, team: Self) -> Self {
        self.team = Some(Box::new(team));
        self
    }

    /// The same with the slot of a request that holds no other.
    pub(super) fn holding(mut self, slot: Slot) -> Self {
        self.slot = Some(slot);
        self
    }

    /// Reserved amounts.
    pub(crate) fn set_aside(&self) -> Bill {
        Bill { tokens: Tokens(self.tokens), cost: self.held }
    }

    /// Charges the reservation for an answer whose usage is not known yet.
    pub(crate) fn charge(mut self, moment: Moment) -> Charged {
        let (account, entered, bill) = (Arc::clone(&self.account), self.entered, self.set_aside());
        let team = self.team.take().map(|team| Box::new(team.charge(moment)));
        self.settle(bill, moment);
        Charged { account, entered: Some(entered), bill, on: moment.today, team }
    }

    /// Counts what was really used in place of what was reserved: less is returned to the moment at which the
    /// request began, more is counted now.
    pub fn settle(mut self, bill: Bill, moment: Moment) {
        if let Some(team) = self.team.take() {
            team.settle(bill, moment);
        }
        let mut book = self.account.book();
        if let Some(more) = bill.tokens.0.checked_sub(self.tokens).filter(|more| *more > 0) {
            book.tokens.enter(moment.now, more);
        }
        book.turn(moment.today);
        book.day += bill.cost;
        book.month += bill.cost;
        drop(book);
        // The drop returns the rest.
        self.tokens = self.tokens.saturating_sub(bill.tokens.0);
    }
}

/// Charge for an answer before its usage is known. A drop keeps the charge.
#[derive(Debug)]
pub(crate) struct Charged {
    account: Arc<Account>,
    /// The entry of its tokens; `None` if another replica made it.
    entered: Option<Entered>,
    bill: Bill,
    on: Day,
    team: Option<Box<Charged>>,
}

impl Charged {
    pub(super) fn elsewhere(account: Arc<Account>, bill: Bill, on: Day) -> Self {
        Self { account, entered: None, bill, on, team: None }
    }

    /// The same, corrected together with the charge of the key's team.
    #[must_use]
    pub(crate) fn with_team(mut self, team: Self) -> Self {
        self.team = Some(Box::new(team));
        self
    }

    /// Charged amount.
    pub(crate) fn bill(&self) -> Bill {
        self.bill
    }

    /// The day on which it was charged.
    pub(crate) fn on(&self) -> Day {
        self.on
    }

    /// Counts what was really used in place of what was charged. More is charged now; less is returned, money only within
    /// the day and the month in which it was charged. Other replicas learn of money returned when as much has been
    /// spent again, as what they know of a key only grows.
    pub(crate) fn correct(self, bill: Bill, moment: Moment) {
        if let Some(team) = self.team {
            team.correct(bill, moment);
        }
        let mut book = self.account.book();
        book.turn(moment.today);
        match bill.tokens.0.checked_sub(self.bill.tokens.0) {
            Some(0) => {}
            Some(more) => drop(book.tokens.enter(moment.now, more)),
            None => {
                if let Some(entered) = self.entered {
                    book.tokens.take_back(entered, self.bill.tokens.0 - bill.tokens.0);
                }
            }
        }
        let (more, less) =
            (bill.cost.saturating_sub(self.bill.cost), self.bill.cost.saturating_sub(bill.cost));
        book.day += more;
        book.month += more;
        if self.on == book.today {
            book.day = book.day.saturating_sub(less);
        }
        if self.on.first_of_month() == book.today.first_of_month() {
            book.month = book.month.saturating_sub(less);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut book = self.account.book();
        book.held = book.held.saturating_sub(self.held);
        book.tokens.take_back(self.entered, self.tokens);
    }
}
