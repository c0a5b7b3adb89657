//! The spending of keys as the exchange keeps it: under the run that spent it, until its month ends.
//!
//! It counts whether or not that run still exists, and a newcomer reads it there. If the exchange has lost it, those who know
//! it write it again: each run its own, and that of runs that are gone.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::decision::Moment;
use crate::units::KeyName;
use crate::units::Usd;

use super::key_usage::KeyUsage;
use super::usage_report::{Spent, field_of, of_field};

/// All spending figures are read again after this time, whether or not one seems to be missing.
pub(super) const AGAIN: Duration = Duration::from_secs(60);

impl KeyUsage {
    /// True if all spending figures should be read.
    pub(super) fn wants_spent(&self) -> bool {
        self.read.is_none()
    }

    /// The spending figures to write.
    pub(super) fn unwritten(&self) -> Vec<(Box<str>, Box<str>)> {
        self.unwritten.iter().map(|(field, value)| (field.clone(), value.clone())).collect()
    }

    /// The spending figures to delete.
    pub(super) fn ended(&self) -> Vec<Box<str>> {
        self.ended.clone()
    }

    /// Compares the number of spending figures with the number known: if some are missing, or after a while anyway, all
    /// are read.
    pub(super) fn compare_count(&mut self, written: u64, Moment { now, today }: Moment) {
        let others = self.others.values().flat_map(BTreeMap::values);
        let others = others.filter(|other| other.spent.is_some_and(|spent| spent.counts(today)));
        let own = self.reported.values().filter(|(used, on)| Spent::of(used, *on).counts(today));
        let known = u64::try_from(others.count() + own.count()).unwrap_or(u64::MAX);
        let long_ago = self.read.is_some_and(|at| now.saturating_duration_since(at) >= AGAIN);
        if written < known || long_ago {
            self.read = None;
        }
    }

    /// Takes all spending figures of the exchange. Those that are missing are written again: this run's own, and those of
    /// runs that have reported nothing for `ttl`.
    pub(super) fn merge_spent(
        &mut self,
        figures: &[(Box<str>, Box<str>)],
        Moment { now, today }: Moment,
        ttl: Duration,
    ) {
        self.read = Some(now);
        let mut there = BTreeMap::new();
        for (field, value) in figures {
            let (Some((run, key)), Some(spent)) = (of_field(field), Spent::read(value)) else {
                continue;
            };
            // The clocks of two hosts can differ by a day.
            if !spent.counts(today) && today.days_since(spent.on) > 1 {
                self.ended.push(field.clone());
                continue;
            }
            there.insert(&**field, spent);
            if *run != *self.run
                && let Some(other) = self.other(key, run)
            {
                other.merge(spent, today);
            }
        }
        let missing = |run: &str, key: &KeyName, spent: Spent| {
            let field = field_of(run, key);
            let known = there.get(&*field).is_some_and(|there| there.with(spent) == *there);
            (spent.counts(today) && !known).then(|| (field, spent.written()))
        };
        let own =
            self.reported.iter().map(|(key, (used, on))| (&*self.run, key, Spent::of(used, *on)));
        let gone = self.others.iter().flat_map(|(key, runs)| {
            let gone = runs.iter().filter(|(_, other)| !other.reported_within(ttl, now));
            gone.filter_map(move |(run, other)| Some((&**run, key, other.spent?)))
        });
        let again: Vec<_> =
            own.chain(gone).filter_map(|(run, key, spent)| missing(run, key, spent)).collect();
        self.unwritten.extend(again);
    }

    pub(super) fn write(&mut self, key: &KeyName, spent: Spent) {
        if spent.day > Usd::ZERO || spent.month > Usd::ZERO {
            self.unwritten.insert(field_of(&self.run, key), spent.written());
        }
    }
}
