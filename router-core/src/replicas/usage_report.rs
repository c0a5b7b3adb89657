//! The usage of keys at one run of a router, as text.
//!
//! All figures are totals of one run: receiving one twice does no harm, and the next replaces a lost
//! one. Replicas of two versions can work together: a missing field is 0, and further fields are
//! ignored. Keys appear by their configured names; neither a key nor its hash is written.

use std::fmt::Write;

use crate::ledger::Used;
use crate::units::Day;
use crate::units::KeyName;
use crate::units::Usd;

/// The usage of a key at one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UsageReport {
    pub(super) key: KeyName,
    pub(super) used: Used,
    /// The day of the spending, which also determines its month.
    pub(super) on: Day,
}

/// The spending of a key at one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spent {
    pub(super) on: Day,
    pub(super) day: Usd,
    pub(super) month: Usd,
}

impl UsageReport {
    /// Appends the fields.
    pub(super) fn write(&self, text: &mut String) {
        let Self { key, used, on } = self;
        let Used { requests, tokens, in_flight, held, day, month } = *used;
        let [held, day, month] = [held, day, month].map(Usd::picodollars);
        // Writing to a string does not fail.
        write!(text, "{key} {on} {requests} {tokens} {in_flight} {held} {day} {month}")
            .unwrap_or_default();
    }

    /// Reads the fields; `None` if one of them is invalid.
    pub(super) fn read(line: &str) -> Option<Self> {
        let mut fields = line.split(' ');
        let key = KeyName::try_from(fields.next()?).ok()?;
        let on = Day::try_from(fields.next()?).ok()?;
        let used = Used {
            requests: count(&mut fields)?,
            tokens: count(&mut fields)?,
            in_flight: count(&mut fields)?,
            held: usd(&mut fields)?,
            day: usd(&mut fields)?,
            month: usd(&mut fields)?,
        };
        Some(Self { key, used, on })
    }
}

impl Spent {
    /// The spending in a key's totals.
    pub(super) fn of(used: &Used, on: Day) -> Self {
        Self { on, day: used.day, month: used.month }
    }

    /// The text of a spending figure.
    pub(super) fn written(self) -> Box<str> {
        let Self { on, day, month } = self;
        format!("{on} {} {}", day.picodollars(), month.picodollars()).into()
    }

    /// Reads a spending figure; `None` if it is invalid.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut fields = text.split(' ');
        let on = Day::try_from(fields.next()?).ok()?;
        Some(Self { on, day: usd(&mut fields)?, month: usd(&mut fields)? })
    }

    /// True if some of it belongs to this month.
    pub(super) fn counts(self, today: Day) -> bool {
        self.month > Usd::ZERO && self.on.first_of_month() == today.first_of_month()
    }

    /// Combines two figures of one run: the later day's counts, and of the same day the higher one.
    pub(super) fn with(self, other: Self) -> Self {
        let (early, late) = if self.on <= other.on { (self, other) } else { (other, self) };
        let same_month = early.on.first_of_month() == late.on.first_of_month();
        Self {
            on: late.on,
            day: if early.on == late.on { early.day.max(late.day) } else { late.day },
            month: if same_month { early.month.max(late.month) } else { late.month },
        }
    }
}

/// The name of the spending figure of a run and a key.
pub(super) fn field_of(run: &str, key: &KeyName) -> Box<str> {
    format!("{run} {key}").into()
}

/// The run and the key of a spending figure.
pub(super) fn of_field(field: &str) -> Option<(&str, KeyName)> {
    let (run, key) = field.split_once(' ')?;
    Some((run, KeyName::try_from(key).ok()?)).filter(|(run, _)| is_run(run))
}

/// True for a name that may identify a run.
pub(super) fn is_run(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn count<'t>(fields: &mut impl Iterator<Item = &'t str>) -> Option<u64> {
    fields.next().map_or(Some(0), |field| field.parse().ok())
}

fn usd<'t>(fields: &mut impl Iterator<Item = &'t str>) -> Option<Usd> {
    count(fields).map(Usd::of_picodollars)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(
            amounts in prop::array::uniform6(any::<u64>()), key in "[a-z0-9_]{1,20}",
        ) {
            let [requests, tokens, in_flight, held, day, month] = amounts;
            let [held, day, month] = [held, day, month].map(Usd::of_picodollars);
            let used = Used { requests, tokens, in_flight, held, day, month };
            let on = Day::try_from("2026-11-30").unwrap();
            let report = UsageReport { key: key.as_str().try_into().unwrap(), used, on };
            let mut text = String::new();
            report.write(&mut text);
            prop_assert_eq!(UsageReport::read(&text), Some(report));
            let spent = Spent { on, day, month };
            prop_assert_eq!(Spent::read(&spent.written()), Some(spent));
        }

        #[test]
        fn no_text_makes_it_fail(text in "[ a-z0-9.\n-]{0,60}") {
            UsageReport::read(&text);
            Spent::read(&text);
            of_field(&text);
        }
    }

    #[test]
    fn lines_of_another_version_are_read_as_far_as_they_are_known() {
        let counts = |line: &str| {
            let report = UsageReport::read(line)?;
            Some((report.used.requests, report.used.tokens))
        };
        assert_eq!(counts("team 2026-11-30 3"), Some((3, 0)));
        assert_eq!(counts("team 2026-11-30 1 2 3 4 5 6 7"), Some((1, 2)));
        for invalid in ["team x", "BAD 2026-11-30", "team 2026-11-30 1e9", "team 2026-13-01 1"] {
            assert_eq!(counts(invalid), None, "{invalid}");
        }
        assert!(Spent::read("2026-11-30 5 6 later").is_some_and(|spent| spent.month > spent.day));
        let key = KeyName::try_from("team").unwrap();
        assert_eq!(of_field(&field_of("a1", &key)), Some(("a1", key)));
        assert_eq!(of_field("a1 BAD"), None);
        assert!(!is_run("not/a/run"));
    }
}
