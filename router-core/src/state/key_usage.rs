//! What of the keys' use is told to other replicas, and what hearing theirs adds up to.
//!
//! Rates and what is under way are told when they change and while there are any; they are forgotten with time. Money is told
//! when it changes and also kept where replicas meet, under the run that spent it, until the month ends: who comes later
//! reads it there, and what a run spent counts whether or not it is still there. Where the place has lost it, those who
//! know put it back: each its own, and what they heard of runs that are gone. All figures are sums of one run, of which
//! the later and higher one counts, so order, repetition and loss do no harm.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::decision::Moment;
use crate::ledger::Ledger;
use crate::ledger::Used;
use crate::units::Day;
use crate::units::KeyName;
use crate::units::Usd;

use super::usage_report::{Account, Spent, UsageReport, field_of, of_field};
use super::wire::SharedClock;

/// A key's own use here, with the day to which its money belongs.
pub(super) type Own = (Arc<str>, Used, Day);

/// What was told of keys here, and heard of them from others.
#[derive(Debug)]
pub(super) struct Accounts {
    run: Box<str>,
    told: BTreeMap<KeyName, (Used, Day)>,
    heard: BTreeMap<KeyName, BTreeMap<Box<str>, Heard>>,
    /// Of these something was heard that the ledger has not been told.
    touched: BTreeSet<KeyName>,
    /// To be kept for those who come later.
    unkept: BTreeMap<Box<str>, Box<str>>,
    /// Kept, and of a month that is over.
    ended: Vec<Box<str>>,
    /// When all that is kept was read last; `None` where it is to be read now.
    read: Option<Instant>,
}

/// Which keys' figures the ledger receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Settled {
    /// Those of which something was heard.
    Heard,
    /// All of them, because time has passed.
    All,
}

/// What another run told of a key.
#[derive(Debug, Clone, Copy, Default)]
struct Heard {
    /// When it told its rates, and these, without the money.
    rates: Option<(Instant, Used)>,
    spent: Option<Spent>,
}

/// How long a rate counts.
const MINUTE: Duration = Duration::from_secs(60);

/// All that is kept is read again after this time, whether or not something seems to be missing.
const AGAIN: Duration = Duration::from_secs(60);

/// The most keys, and runs of each, of which something is remembered.
const MOST: usize = 16_384;

impl Accounts {
    /// Of a run of this name; nothing is told or heard.
    pub(super) fn of(run: Box<str>) -> Self {
        Self {
            run,
            told: BTreeMap::new(),
            heard: BTreeMap::new(),
            touched: BTreeSet::new(),
            unkept: BTreeMap::new(),
            ended: Vec::new(),
            read: None,
        }
    }

    /// It was away for long: all is told and read anew.
    pub(super) fn rejoin(&mut self) {
        self.told.clear();
        self.read = None;
    }

    /// What is new of its own keys; from now on it counts as told.
    pub(super) fn changes(&mut self, own: &[Own], micros: u64) -> Option<UsageReport> {
        let mut accounts = Vec::new();
        for (key, used, on) in own {
            // A name that config could not have is an embedding program's own.
            let Ok(key) = KeyName::try_from(&**key) else { continue };
            let before = self.told.get(&key).map_or_else(Used::default, |(used, _)| *used);
            if !worth_telling(&before, used) {
                continue;
            }
            self.told.insert(key.clone(), (*used, *on));
            if (before.day, before.month) != (used.day, used.month) {
                self.keep(&key, spent_of(used, *on));
            }
            accounts.push(Account { key, used: *used, on: *on });
        }
        self.statement(accounts, micros)
    }

    /// What its keys have under way or used of late, for those who have not heard it.
    pub(super) fn live(&self, own: &[Own], micros: u64) -> Option<UsageReport> {
        let live = own.iter().filter(|(_, used, _)| is_live(used));
        let accounts = live.filter_map(|(key, used, on)| {
            Some(Account { key: KeyName::try_from(&**key).ok()?, used: *used, on: *on })
        });
        self.statement(accounts.collect(), micros)
    }

    fn statement(&self, accounts: Vec<Account>, micros: u64) -> Option<UsageReport> {
        (!accounts.is_empty()).then(|| UsageReport { run: self.run.clone(), micros, accounts })
    }

    /// True where all that is kept should be read.
    pub(super) fn wants_spent(&self) -> bool {
        self.read.is_none()
    }

    /// What is to be kept.
    pub(super) fn unkept(&self) -> Vec<(Box<str>, Box<str>)> {
        self.unkept.iter().map(|(field, value)| (field.clone(), value.clone())).collect()
    }

    /// What need not be kept any longer.
    pub(super) fn ended(&mut self) -> Vec<Box<str>> {
        std::mem::take(&mut self.ended)
    }

    /// What was to be kept is.
    pub(super) fn kept(&mut self) {
        self.unkept.clear();
    }

    /// Hears what another run told.
    pub(super) fn hear(
        &mut self,
        statement: UsageReport,
        clock: &SharedClock,
        Moment { now, today }: Moment,
    ) {
        if statement.run == self.run {
            return;
        }
        // What was told more than a day ago, or is to be told then, tells of money alone.
        let said = clock.local(statement.micros).map(|said| said.min(now));
        for Account { key, used, on } in statement.accounts {
            let Some(heard) = self.heard_of(key, &statement.run) else { continue };
            if let Some(said) = said
                && heard.rates.is_none_or(|(before, _)| before <= said)
            {
                let rates = Used { day: Usd::ZERO, month: Usd::ZERO, ..used };
                heard.rates = Some((said, rates));
            }
            heard.spend(spent_of(&used, on), today);
        }
    }

    /// Hears how many figures are kept: where there are fewer than are known, or it is long ago, all are read.
    pub(super) fn count(&mut self, kept: u64, Moment { now, today }: Moment) {
        let others = self.heard.values().flat_map(BTreeMap::values);
        let others = others.filter(|heard| heard.spent.is_some_and(|spent| spent.counts(today)));
        let own = self.told.values().filter(|(used, on)| spent_of(used, *on).counts(today));
        let known = u64::try_from(others.count() + own.count()).unwrap_or(u64::MAX);
        let long_ago = self.read.is_some_and(|at| now.saturating_duration_since(at) >= AGAIN);
        if kept < known || long_ago {
            self.read = None;
        }
    }

    /// Hears all that is kept, and puts back what is missing: what it told itself, and what it heard of runs from which
    /// nothing was heard for `ttl`.
    pub(super) fn hear_spent(
        &mut self,
        kept: &[(Box<str>, Box<str>)],
        Moment { now, today }: Moment,
        ttl: Duration,
    ) {
        self.read = Some(now);
        let mut there = BTreeMap::new();
        for (field, value) in kept {
            let (Some((run, key)), Some(spent)) = (of_field(field), Spent::read(value)) else {
                continue;
            };
            // The clocks of two hosts may be of two days.
            if !spent.counts(today) && today.days_since(spent.on) > 1 {
                self.ended.push(field.clone());
                continue;
            }
            there.insert(&**field, spent);
            if *run != *self.run
                && let Some(heard) = self.heard_of(key, run)
            {
                heard.spend(spent, today);
            }
        }
        let missing = |run: &str, key: &KeyName, spent: Spent| {
            let field = field_of(run, key);
            let known = there.get(&*field).is_some_and(|kept| kept.with(spent) == *kept);
            (spent.counts(today) && !known).then(|| (field, spent.written()))
        };
        let own = self.told.iter().map(|(key, (used, on))| (&*self.run, key, spent_of(used, *on)));
        let gone = self.heard.iter().flat_map(|(key, runs)| {
            let gone = runs.iter().filter(|(_, heard)| !heard.was_there(now, ttl));
            gone.filter_map(move |(run, heard)| Some((&**run, key, heard.spent?)))
        });
        let back: Vec<_> =
            own.chain(gone).filter_map(|(run, key, spent)| missing(run, key, spent)).collect();
        self.unkept.extend(back);
    }

    /// Tells the ledger what others used: of the keys in `scope`.
    pub(super) fn settle(
        &mut self,
        ledger: &Ledger,
        moment: Moment,
        ttl: Duration,
        scope: Settled,
    ) {
        let touched = std::mem::take(&mut self.touched);
        for (key, runs) in &mut self.heard {
            if scope == Settled::Heard && !touched.contains(key) {
                continue;
            }
            let sum = runs
                .values()
                .fold(Used::default(), |sum, heard| plus(sum, heard.used(moment, ttl)));
            ledger.elsewhere(key.as_str(), sum, moment);
            runs.retain(|_, heard| heard.matters(moment));
        }
        self.heard.retain(|_, runs| !runs.is_empty());
    }

    fn heard_of(&mut self, key: KeyName, run: &str) -> Option<&mut Heard> {
        if self.heard.len() >= MOST && !self.heard.contains_key(&key) {
            return None;
        }
        self.touched.insert(key.clone());
        let runs = self.heard.entry(key).or_default();
        if runs.len() >= MOST && !runs.contains_key(run) {
            return None;
        }
        Some(runs.entry(run.into()).or_default())
    }

    fn keep(&mut self, key: &KeyName, spent: Spent) {
        if spent.day > Usd::ZERO || spent.month > Usd::ZERO {
            self.unkept.insert(field_of(&self.run, key), spent.written());
        }
    }
}

impl Heard {
    fn spend(&mut self, spent: Spent, today: Day) {
        // The clocks of two hosts may be of two days, and not of more: this one would hide all that comes before it.
        if spent.on.days_since(today) > 1 {
            return;
        }
        self.spent = Some(self.spent.map_or(spent, |before| before.with(spent)));
    }

    fn was_there(&self, now: Instant, span: Duration) -> bool {
        self.rates.is_some_and(|(said, _)| now.saturating_duration_since(said) <= span)
    }

    /// What counts of it now: rates for a minute, what is under way as long as the run is there, money in its day and month.
    fn used(&self, Moment { now, today }: Moment, ttl: Duration) -> Used {
        let mut used = match self.rates {
            Some((said, rates)) if now.saturating_duration_since(said) < MINUTE => rates,
            Some(_) | None => Used::default(),
        };
        if !self.was_there(now, ttl) {
            (used.in_flight, used.held) = (0, Usd::ZERO);
        }
        if let Some(spent) = self.spent.filter(|spent| spent.counts(today)) {
            used.month = spent.month;
            used.day = if spent.on == today { spent.day } else { Usd::ZERO };
        }
        used
    }

    fn matters(&self, Moment { now, today }: Moment) -> bool {
        let later = |spent: Spent| spent.on > today;
        self.was_there(now, MINUTE)
            || self.spent.is_some_and(|spent| spent.counts(today) || later(spent))
    }
}

impl Spent {
    /// True where some of it belongs to this month.
    fn counts(self, today: Day) -> bool {
        self.month > Usd::ZERO && self.on.first_of_month() == today.first_of_month()
    }

    /// Of two figures of one run: the later one, and of one day the higher one.
    fn with(self, other: Self) -> Self {
        let (early, late) = if self.on <= other.on { (self, other) } else { (other, self) };
        let same_month = early.on.first_of_month() == late.on.first_of_month();
        Self {
            on: late.on,
            day: if early.on == late.on { early.day.max(late.day) } else { late.day },
            month: if same_month { early.month.max(late.month) } else { late.month },
        }
    }
}

fn spent_of(used: &Used, on: Day) -> Spent {
    Spent { on, day: used.day, month: used.month }
}

fn is_live(used: &Used) -> bool {
    let Used { requests, tokens, in_flight, held, day: _, month: _ } = *used;
    requests > 0 || tokens > 0 || in_flight > 0 || held > Usd::ZERO
}

/// That a rate sinks with time is not: the next report says so soon enough.
fn worth_telling(before: &Used, now: &Used) -> bool {
    let steady = |used: &Used| (used.in_flight, used.held, used.day, used.month, is_live(used));
    steady(before) != steady(now) || now.requests > before.requests || now.tokens > before.tokens
}

fn plus(sum: Used, more: Used) -> Used {
    Used {
        requests: sum.requests.saturating_add(more.requests),
        tokens: sum.tokens.saturating_add(more.tokens),
        in_flight: sum.in_flight.saturating_add(more.in_flight),
        held: sum.held + more.held,
        day: sum.day + more.day,
        month: sum.month + more.month,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TTL: Duration = Duration::from_secs(3);

    fn day(text: &str) -> Day {
        Day::try_from(text).unwrap()
    }

    fn used(requests: u64, in_flight: u64, cents: u32) -> Used {
        let spent = Usd::of_dollars(f64::from(cents) / 100.0).unwrap();
        Used { requests, in_flight, day: spent, month: spent, ..Used::default() }
    }

    fn own(used: Used, on: Day) -> Vec<Own> {
        vec![("team".into(), used, on)]
    }

    fn clock(now: Instant) -> SharedClock {
        SharedClock::new(now, 1_700_000_000_000_000)
    }

    /// What the ledger believes that others used.
    fn believed(accounts: &mut Accounts, moment: Moment) -> Used {
        let ledger = Ledger::default();
        accounts.settle(&ledger, moment, TTL, Settled::All);
        ledger.used("team", moment)
    }

    #[test]
    fn rates_of_one_that_fell_silent_age_and_its_money_counts_until_the_month_ends() {
        let (now, today) = (Instant::now(), day("2026-11-29"));
        let (mut there, mut here) = (Accounts::of("a".into()), Accounts::of("b".into()));
        let said = there.changes(&own(used(5, 2, 300), today), clock(now).micros(now)).unwrap();
        here.hear(said.clone(), &clock(now), Moment { now, today });
        here.hear(said, &clock(now), Moment { now, today });
        assert_eq!(believed(&mut here, Moment { now, today }), used(5, 2, 300));
        let at = |seconds| now + Duration::from_secs(seconds);
        // It is not there any more: nothing of it is under way, and what it used is a minute old only later.
        assert_eq!(believed(&mut here, Moment::new(at(4), today)), used(5, 0, 300));
        assert_eq!(believed(&mut here, Moment::new(at(60), today)), used(0, 0, 300));
        let tomorrow = believed(&mut here, Moment::new(at(60), day("2026-11-30")));
        assert_eq!(tomorrow, Used { day: Usd::ZERO, ..used(0, 0, 300) });
        assert_eq!(believed(&mut here, Moment::new(at(61), day("2026-12-01"))), Used::default());
        assert!(here.heard.is_empty(), "{here:?}");
    }

    #[test]
    fn what_only_ages_is_not_news_and_what_ends_is() {
        let (now, today) = (Instant::now(), day("2026-11-29"));
        let mut accounts = Accounts::of("a".into());
        let mut told =
            |used| accounts.changes(&own(used, today), 1).map(|said| said.accounts.len());
        assert_eq!(told(Used::default()), None);
        assert_eq!(told(used(5, 1, 0)), Some(1));
        assert_eq!(told(used(4, 1, 0)), None);
        assert_eq!(told(used(6, 1, 0)), Some(1));
        assert_eq!(told(used(6, 0, 1)), Some(1));
        assert_eq!(told(used(0, 0, 1)), Some(1), "nothing is left to age");
        assert!(accounts.live(&own(used(0, 0, 1), today), 1).is_none());
        assert!(accounts.live(&own(used(1, 0, 1), today), 1).is_some());
        // A name that config could not have would break the lines.
        let odd: Vec<Own> = vec![("two\nk words".into(), used(1, 1, 1), today)];
        assert_eq!(accounts.changes(&odd, 1), None);
        // What it told itself comes back to it, and is not another's.
        let said = accounts.changes(&own(used(2, 1, 2), today), clock(now).micros(now)).unwrap();
        accounts.hear(said, &clock(now), Moment { now, today });
        assert_eq!(believed(&mut accounts, Moment { now, today }), Used::default());
    }

    /// What is kept, after `accounts` brought theirs.
    fn brought(kept: &mut BTreeMap<Box<str>, Box<str>>, accounts: &mut Accounts) {
        kept.extend(accounts.unkept());
        for ended in accounts.ended() {
            kept.remove(&ended);
        }
        accounts.kept();
    }

    fn read(kept: &BTreeMap<Box<str>, Box<str>>) -> Vec<(Box<str>, Box<str>)> {
        kept.clone().into_iter().collect()
    }

    #[test]
    fn money_is_kept_for_those_who_come_later_and_put_back_where_it_is_lost() {
        let (now, today) = (Instant::now(), day("2026-11-29"));
        let mut kept = BTreeMap::new();
        let (mut gone, mut here) = (Accounts::of("gone".into()), Accounts::of("here".into()));
        gone.changes(&own(used(1, 0, 100), today), 1);
        brought(&mut kept, &mut gone);
        here.changes(&own(used(1, 0, 20), today), 1);
        brought(&mut kept, &mut here);
        assert_eq!(kept.len(), 2);
        here.hear_spent(&read(&kept), Moment { now, today }, TTL);
        assert!(!here.wants_spent() && here.unkept().is_empty(), "nothing is missing");
        assert_eq!(believed(&mut here, Moment { now, today }), used(0, 0, 100));
        // A restarted one has spent nothing itself yet.
        let mut fresh = Accounts::of("fresh".into());
        assert!(fresh.wants_spent());
        fresh.hear_spent(&read(&kept), Moment { now, today }, TTL);
        assert_eq!(believed(&mut fresh, Moment { now, today }), used(0, 0, 120));
        // All is lost: whoever is there puts its own back, and that of those who are not.
        kept.clear();
        here.count(0, Moment { now, today });
        assert!(here.wants_spent());
        here.hear_spent(&[], Moment { now, today }, TTL);
        brought(&mut kept, &mut here);
        assert_eq!(kept.len(), 2);
        here.count(2, Moment { now, today });
        assert!(!here.wants_spent());
        here.count(2, Moment::new(now + AGAIN, today));
        assert!(here.wants_spent(), "now and then it looks anyway");
        // In the next month all of it may go, but not while clocks may be of two days.
        for (date, left) in [("2026-12-01", 2), ("2026-12-02", 0)] {
            if date == "2026-12-01" {
                kept.insert("gone team".into(), "2026-11-30 1 1".into());
                kept.insert("here team".into(), "2026-11-30 1 1".into());
            }
            here.hear_spent(&read(&kept), Moment::new(now, day(date)), TTL);
            brought(&mut kept, &mut here);
            assert_eq!(kept.len(), left, "{date}: {kept:?}");
        }
    }

    #[test]
    fn figures_of_another_version_or_another_age_change_nothing() {
        let (now, today) = (Instant::now(), day("2026-11-29"));
        let mut here = Accounts::of("here".into());
        let kept = |name: &str, figure: &str| (name.into(), figure.into());
        let all = [
            kept("a team", "2099-01-01 5 5"),
            kept("b team", "much"),
            kept("c", "2026-11-29 5 5"),
            kept("d team", "2026-11-29 99999999999999999999 5"),
            kept("e team", "2026-11-29 7000000000000 9000000000000 and more"),
            kept("f team", "2026-10-31 5 5"),
        ];
        here.hear_spent(&all, Moment { now, today }, TTL);
        let Used { day, month, .. } = believed(&mut here, Moment { now, today });
        assert_eq!((day.to_string(), month.to_string()), ("7.000000".into(), "9.000000".into()));
        assert_eq!(here.ended(), [Box::from("f team")]);
    }

    proptest! {
        /// In whatever order, however often and with whatever losses statements come: never more than was used, and all of
        /// it once the last of each run was heard.
        #[test]
        fn order_repetition_and_loss_do_no_harm(
            steps in prop::collection::vec((0usize..3, 0u32..50, any::<bool>()), 1..30),
            order in prop::collection::vec(any::<prop::sample::Index>(), 0..60),
        ) {
            let (now, today) = (Instant::now(), day("2026-11-29"));
            let mut there = ["a", "b", "c"].map(|run| (Accounts::of(run.into()), 0));
            let mut here = Accounts::of("here".into());
            let mut said = Vec::new();
            for (number, (run, cents, lost)) in steps.into_iter().enumerate() {
                let (accounts, spent) = &mut there[run];
                *spent += cents;
                let micros = clock(now).micros(now) - 1_000 + u64::try_from(number).unwrap();
                let news = accounts.changes(&own(used(0, 0, *spent), today), micros);
                said.extend(news.filter(|_| !lost));
            }
            let truth: u32 = there.iter().map(|(_, spent)| spent).sum();
            for at in order.iter().filter(|_| !said.is_empty()) {
                here.hear(at.get(&said).clone(), &clock(now), Moment { now, today });
                let day = believed(&mut here, Moment { now, today }).day;
                prop_assert!(day <= used(0, 0, truth).day);
            }
            for (accounts, spent) in &mut there {
                accounts.rejoin();
                let last = accounts.changes(&own(used(0, 0, *spent), today), clock(now).micros(now));
                if let Some(last) = last {
                    here.hear(last, &clock(now), Moment { now, today });
                }
            }
            prop_assert_eq!(believed(&mut here, Moment { now, today }), used(0, 0, truth));
        }
    }
}
