//! The usage of keys, summed over replicas.
//!
//! Every figure is a total of one run of a process, so order, repetition and loss do no harm. Rates
//! and running requests are reported when they grow and with each beat; they expire. Spending is also
//! kept in the exchange (`kept_spending.rs`).

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

use super::other_run::OtherRun;
use super::usage_report::{Spent, UsageReport};

/// A key's usage in this process, with the day of its spending.
pub(super) type OwnUsage = (Arc<str>, Used, Day);

/// The usage that this run has reported, and that of other runs.
#[derive(Debug)]
pub(super) struct KeyUsage {
    pub(super) run: Box<str>,
    pub(super) reported: BTreeMap<KeyName, (Used, Day)>,
    pub(super) others: BTreeMap<KeyName, BTreeMap<Box<str>, OtherRun>>,
    /// Keys whose usage elsewhere has changed since the ledger was informed.
    touched: BTreeSet<KeyName>,
    /// Spending figures that have not arrived yet.
    pub(super) unwritten: BTreeMap<Box<str>, Box<str>>,
    /// Spending figures of a month that is over.
    pub(super) ended: Vec<Box<str>>,
    /// Time of the last read of all spending figures; `None` if they are to be read now.
    pub(super) read: Option<Instant>,
}

/// The most keys, and runs of each, that are remembered.
const MOST: usize = 16_384;

impl KeyUsage {
    /// The usage at a run of this name; nothing is reported yet.
    pub(super) fn of(run: Box<str>) -> Self {
        Self {
            run,
            reported: BTreeMap::new(),
            others: BTreeMap::new(),
            touched: BTreeSet::new(),
            unwritten: BTreeMap::new(),
            ended: Vec::new(),
            read: None,
        }
    }

    /// The usage to report: what has grown or ended, and with a `beat` all rates that still count.
    pub(super) fn changes(&mut self, own: &[OwnUsage], beat: bool) -> Vec<UsageReport> {
        let mut reports = Vec::new();
        for (key, used, on) in own {
            // An embedding program may name keys as config could not; they are not shared.
            let Ok(key) = KeyName::try_from(&**key) else { continue };
            let before = self.reported.get(&key).map_or_else(Used::default, |(used, _)| *used);
            if has_news(&before, used) || beat && is_live(used) {
                if (before.day, before.month) != (used.day, used.month) {
                    self.write(&key, Spent::of(used, *on));
                }
                reports.push(UsageReport { key, used: *used, on: *on });
            }
        }
        reports
    }

    /// The sync has succeeded: these reports and all spending figures have arrived.
    pub(super) fn delivered(&mut self, reports: Vec<UsageReport>) {
        self.unwritten.clear();
        self.ended.clear();
        for UsageReport { key, used, on } in reports {
            self.reported.insert(key, (used, on));
        }
    }

    /// The sync has failed, and the exchange may have lost everything: all is reported and read again.
    pub(super) fn failed(&mut self) {
        self.reported.clear();
        self.read = None;
    }

    /// Takes the report of another run, written at the moment `written`; `None` if that is too long ago for rates.
    pub(super) fn merge(
        &mut self,
        run: &str,
        report: UsageReport,
        written: Option<Instant>,
        today: Day,
    ) {
        if *run == *self.run {
            return;
        }
        let UsageReport { key, used, on } = report;
        let Some(other) = self.other(key, run) else { return };
        if let Some(written) = written
            && other.rates.is_none_or(|(before, _)| before <= written)
        {
            let rates = Used { day: Usd::ZERO, month: Usd::ZERO, ..used };
            other.rates = Some((written, rates));
        }
        other.merge(Spent::of(&used, on), today);
    }

    /// Informs the ledger of the usage elsewhere: of the keys for which it has changed, or of `all`.
    pub(super) fn inform(&mut self, ledger: &Ledger, moment: Moment, ttl: Duration, all: bool) {
        let touched = std::mem::take(&mut self.touched);
        for (key, runs) in &mut self.others {
            if !all && !touched.contains(key) {
                continue;
            }
            let sum = runs
                .values()
                .fold(Used::default(), |sum, other| plus(sum, other.used(moment, ttl)));
            ledger.elsewhere(key.as_str(), sum, moment);
            runs.retain(|_, other| other.matters(moment));
        }
        self.others.retain(|_, runs| !runs.is_empty());
    }

    pub(super) fn other(&mut self, key: KeyName, run: &str) -> Option<&mut OtherRun> {
        if self.others.len() >= MOST && !self.others.contains_key(&key) {
            return None;
        }
        self.touched.insert(key.clone());
        let runs = self.others.entry(key).or_default();
        if runs.len() >= MOST && !runs.contains_key(run) {
            return None;
        }
        Some(runs.entry(run.into()).or_default())
    }
}

fn is_live(used: &Used) -> bool {
    let Used { requests, tokens, in_flight, held, day: _, month: _ } = *used;
    requests > 0 || tokens > 0 || in_flight > 0 || held > Usd::ZERO
}

/// True if others should learn of the new figures. A rate that only sinks with time can wait for the next beat.
fn has_news(before: &Used, now: &Used) -> bool {
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
    use crate::replicas::kept_spending::AGAIN;

    const TTL: Duration = Duration::from_secs(3);

    fn day(text: &str) -> Day {
        Day::try_from(text).unwrap()
    }

    fn used(requests: u64, in_flight: u64, cents: u32) -> Used {
        let spent = Usd::of_dollars(f64::from(cents) / 100.0).unwrap();
        Used { requests, in_flight, day: spent, month: spent, ..Used::default() }
    }

    fn own(used: Used, on: Day) -> Vec<OwnUsage> {
        vec![("team".into(), used, on)]
    }

    /// Reports what is new, as a sync that succeeds.
    fn report(usage: &mut KeyUsage, own: &[OwnUsage]) -> Vec<UsageReport> {
        let reports = usage.changes(own, false);
        usage.delivered(reports.clone());
        reports
    }

    /// The usage elsewhere, as the ledger counts it.
    fn elsewhere(usage: &mut KeyUsage, moment: Moment) -> Used {
        let ledger = Ledger::default();
        usage.inform(&ledger, moment, TTL, true);
        ledger.used("team", moment)
    }

    #[test]
    fn rates_of_a_silent_run_expire_and_its_spending_counts_until_the_month_ends() {
        let (now, today) = (Instant::now(), day("2026-11-29"));
        let (mut there, mut here) = (KeyUsage::of("a".into()), KeyUsage::of("b".into()));
        let reports = report(&mut there, &own(used(5, 2, 300), today));
        for _ in 0..2 {
            here.merge("a", reports[0].clone(), Some(now), today);
        }
        let at = |seconds, today| Moment { now: now + Duration::from_secs(seconds), today };
        assert_eq!(elsewhere(&mut here, at(0, today)), used(5, 2, 300));
        // The run is gone, and so are its running requests; its rates count for a minute.
        assert_eq!(elsewhere(&mut here, at(4, today)), used(5, 0, 300));
        assert_eq!(elsewhere(&mut here, at(60, today)), used(0, 0, 300));
        let tomorrow = elsewhere(&mut here, at(60, day("2026-11-30")));
        assert_eq!(tomorrow, Used { day: Usd::ZERO, ..used(0, 0, 300) });
        assert_eq!(elsewhere(&mut here, at(61, day("2026-12-01"))), Used::default());
        assert!(here.others.is_empty(), "{here:?}");
    }

    #[test]
    fn a_rate_that_only_sinks_waits_for_a_beat_and_what_ends_does_not() {
        let today = day("2026-11-29");
        let mut usage = KeyUsage::of("a".into());
        let mut reported = |used| report(&mut usage, &own(used, today)).len();
        for (used, count) in [
            (Used::default(), 0),
            (used(5, 1, 0), 1),
            (used(4, 1, 0), 0),
            (used(6, 1, 0), 1),
            (used(6, 0, 1), 1),
            (used(0, 0, 1), 1),
        ] {
            assert_eq!(reported(used), count, "{used:?}");
        }
        assert!(usage.changes(&own(used(0, 0, 1), today), true).is_empty());
        assert_eq!(usage.changes(&own(used(1, 0, 1), today), true).len(), 1);
        // A name that config could not have would break the lines.
        let odd: Vec<OwnUsage> = vec![("two\nk words".into(), used(1, 1, 1), today)];
        assert!(usage.changes(&odd, true).is_empty());
        // A run reads its own reports too, and they are not another's.
        let reports = report(&mut usage, &own(used(2, 1, 2), today));
        let now = Instant::now();
        usage.merge("a", reports[0].clone(), Some(now), today);
        assert_eq!(elsewhere(&mut usage, Moment { now, today }), Used::default());
    }

    #[test]
    fn after_a_failed_sync_everything_is_reported_again() {
        let today = day("2026-11-29");
        let mut usage = KeyUsage::of("a".into());
        let all = own(used(5, 1, 7), today);
        assert_eq!(usage.changes(&all, false).len(), 1);
        assert_eq!(usage.changes(&all, false).len(), 1, "it has not arrived");
        report(&mut usage, &all);
        assert!(usage.changes(&all, false).is_empty() && usage.unwritten().is_empty());
        usage.failed();
        assert_eq!(usage.changes(&all, false).len(), 1);
        assert_eq!(usage.unwritten().len(), 1, "a total, so that writing it twice does no harm");
        assert!(usage.wants_spent());
    }

    /// Writes the figures of a run, as a sync that succeeds.
    fn write(figures: &mut BTreeMap<Box<str>, Box<str>>, usage: &mut KeyUsage) {
        figures.extend(usage.unwritten());
        for ended in usage.ended() {
            figures.remove(&ended);
        }
        usage.delivered(Vec::new());
    }

    fn all(figures: &BTreeMap<Box<str>, Box<str>>) -> Vec<(Box<str>, Box<str>)> {
        figures.clone().into_iter().collect()
    }

    #[test]
    fn spending_is_read_by_newcomers_and_written_again_if_it_is_lost() {
        let moment = Moment { now: Instant::now(), today: day("2026-11-29") };
        let mut figures = BTreeMap::new();
        let (mut gone, mut here) = (KeyUsage::of("gone".into()), KeyUsage::of("here".into()));
        for (usage, cents) in [(&mut gone, 100), (&mut here, 20)] {
            let reports = usage.changes(&own(used(1, 0, cents), moment.today), false);
            figures.extend(usage.unwritten());
            usage.delivered(reports);
        }
        assert_eq!(figures.len(), 2);
        here.merge_spent(&all(&figures), moment, TTL);
        assert!(!here.wants_spent() && here.unwritten().is_empty(), "nothing is missing");
        assert_eq!(elsewhere(&mut here, moment), used(0, 0, 100));
        // A restarted process has spent nothing itself yet.
        let mut fresh = KeyUsage::of("fresh".into());
        assert!(fresh.wants_spent());
        fresh.merge_spent(&all(&figures), moment, TTL);
        assert_eq!(elsewhere(&mut fresh, moment), used(0, 0, 120));
        // Redis lost everything: a live run writes its own figures, and those of runs that are gone.
        figures.clear();
        here.compare_count(0, moment);
        assert!(here.wants_spent());
        here.merge_spent(&[], moment, TTL);
        write(&mut figures, &mut here);
        assert_eq!(figures.len(), 2);
        here.compare_count(2, moment);
        assert!(!here.wants_spent());
        here.compare_count(2, Moment { now: moment.now + AGAIN, ..moment });
        assert!(here.wants_spent(), "now and then all is read anyway");
        // In the next month all of it may go, but not while clocks can differ by a day.
        for (date, left) in [("2026-12-01", 2), ("2026-12-02", 0)] {
            if date == "2026-12-01" {
                figures.insert("gone team".into(), "2026-11-30 1 1".into());
                figures.insert("here team".into(), "2026-11-30 1 1".into());
            }
            here.merge_spent(&all(&figures), Moment { today: day(date), ..moment }, TTL);
            write(&mut figures, &mut here);
            assert_eq!(figures.len(), left, "{date}: {figures:?}");
        }
    }

    #[test]
    fn figures_of_another_version_or_another_age_change_nothing() {
        let moment = Moment { now: Instant::now(), today: day("2026-11-29") };
        let mut here = KeyUsage::of("here".into());
        let figure = |name: &str, figure: &str| (name.into(), figure.into());
        let all = [
            figure("a team", "2099-01-01 5 5"),
            figure("b team", "much"),
            figure("c", "2026-11-29 5 5"),
            figure("d team", "2026-11-29 99999999999999999999 5"),
            figure("e team", "2026-11-29 7000000000000 9000000000000 and more"),
            figure("f team", "2026-10-31 5 5"),
        ];
        here.merge_spent(&all, moment, TTL);
        let Used { day, month, .. } = elsewhere(&mut here, moment);
        assert_eq!((day.to_string(), month.to_string()), ("7.000000".into(), "9.000000".into()));
        assert_eq!(here.ended(), [Box::from("f team")]);
    }

    proptest! {
        /// In whatever order, however often and with whatever losses reports come: never more than was used, and all of
        /// it once the last of each run was read.
        #[test]
        fn order_repetition_and_loss_do_no_harm(
            steps in prop::collection::vec((0usize..3, 0u32..50, any::<bool>()), 1..30),
            order in prop::collection::vec(any::<prop::sample::Index>(), 0..60),
        ) {
            let (now, today) = (Instant::now(), day("2026-11-29"));
            let moment = Moment { now, today };
            let mut there = ["a", "b", "c"].map(|run| (KeyUsage::of(run.into()), 0));
            let mut here = KeyUsage::of("here".into());
            let mut written = Vec::new();
            for (number, (run, cents, lost)) in steps.into_iter().enumerate() {
                let (usage, spent) = &mut there[run];
                *spent += cents;
                let at = now + Duration::from_micros(u64::try_from(number).unwrap());
                let reports = report(usage, &own(used(0, 0, *spent), today));
                let run = usage.run.clone();
                written.extend(reports.into_iter().filter(|_| !lost).map(|one| (run.clone(), one, at)));
            }
            let truth: u32 = there.iter().map(|(_, spent)| spent).sum();
            for index in order.iter().filter(|_| !written.is_empty()) {
                let (run, one, at) = index.get(&written).clone();
                here.merge(&run, one, Some(at), today);
                prop_assert!(elsewhere(&mut here, moment).day <= used(0, 0, truth).day);
            }
            for (usage, spent) in &mut there {
                usage.failed();
                let run = usage.run.clone();
                for one in report(usage, &own(used(0, 0, *spent), today)) {
                    here.merge(&run, one, Some(now), today);
                }
            }
            prop_assert_eq!(elsewhere(&mut here, moment), used(0, 0, truth));
        }
    }
}
