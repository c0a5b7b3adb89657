//! What a router says of its keys: how much each has used there. And as text.
//!
//! A run is one life of a router's accounts: it keeps its name while the replica, cut off for long, comes back under another
//! one, so that nothing it spent counts twice. What is told are sums, not steps: hearing one twice does no harm, and a lost
//! one is made good by the next. Lines of other kinds are passed over, and missing fields are 0: replicas of two versions
//! work side by side. A key goes by its name in config; neither it nor its hash is told.

use std::fmt::Write;

use crate::ledger::Used;
use crate::units::Day;
use crate::units::KeyName;
use crate::units::Usd;

/// What one run says of some of its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageReport {
    /// Which run.
    pub run: Box<str>,
    /// When, by the shared clock.
    pub micros: u64,
    /// What keys used there; those that are not in it are as they were told before.
    pub accounts: Vec<Account>,
}

/// What a key has used at one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Which key.
    pub key: KeyName,
    /// What it used.
    pub used: Used,
    /// The day to which the money belongs, and whose month.
    pub on: Day,
}

/// What a key has spent at one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spent {
    pub(super) on: Day,
    pub(super) day: Usd,
    pub(super) month: Usd,
}

impl UsageReport {
    /// Writes it, a line each.
    pub(super) fn write(&self, text: &mut String) {
        let Self { run, micros, accounts } = self;
        // Writing to a string does not fail.
        writeln!(text, "o {run} {micros}").unwrap_or_default();
        for Account { key, used, on } in accounts {
            let Used { requests, tokens, in_flight, held, day, month } = *used;
            let [held, day, month] = [held, day, month].map(Usd::picodollars);
            writeln!(text, "k {key} {on} {requests} {tokens} {in_flight} {held} {day} {month}")
                .unwrap_or_default();
        }
    }

    /// From a text with lines of other kinds; `None` where it tells nothing of keys.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let (run, micros) = lines.find_map(|line| line.strip_prefix("o ")?.split_once(' '))?;
        let micros = micros.split(' ').next()?.parse().ok()?;
        let accounts = lines.filter_map(|line| read_account(line.strip_prefix("k ")?)).collect();
        is_run(run).then(|| Self { run: run.into(), micros, accounts })
    }
}

impl Spent {
    /// As it is kept.
    pub(super) fn written(self) -> Box<str> {
        let Self { on, day, month } = self;
        format!("{on} {} {}", day.picodollars(), month.picodollars()).into()
    }

    /// From what was kept.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut fields = text.split(' ');
        let on = Day::try_from(fields.next()?).ok()?;
        Some(Self { on, day: usd(&mut fields)?, month: usd(&mut fields)? })
    }
}

/// Under which name it is kept what a key has spent at a run.
pub(super) fn field_of(run: &str, key: &KeyName) -> Box<str> {
    format!("{run} {key}").into()
}

/// Of which run and key is what is kept under this name?
pub(super) fn of_field(field: &str) -> Option<(&str, KeyName)> {
    let (run, key) = field.split_once(' ')?;
    Some((run, KeyName::try_from(key).ok()?)).filter(|(run, _)| is_run(run))
}

fn is_run(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn read_account(line: &str) -> Option<Account> {
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
    Some(Account { key, used, on })
}

/// A missing field is 0; one that is no number makes the line worthless.
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
        fn what_is_written_is_read_among_other_lines(
            amounts in prop::array::uniform6(any::<u64>()), micros in any::<u64>(), key in "[a-z0-9_]{1,20}",
        ) {
            let [requests, tokens, in_flight, held, day, month] = amounts;
            let [held, day, month] = [held, day, month].map(Usd::of_picodollars);
            let used = Used { requests, tokens, in_flight, held, day, month };
            let on = Day::try_from("2026-11-30").unwrap();
            let account = Account { key: key.as_str().try_into().unwrap(), used, on };
            let statement = UsageReport { run: "a1".into(), micros, accounts: vec![account] };
            let mut text = "i name 7\nb one 5.0 1.0\n".to_owned();
            statement.write(&mut text);
            text.push_str("z 1 2 3\n");
            prop_assert_eq!(UsageReport::read(&text), Some(statement));
            let spent = Spent { on, day, month };
            prop_assert_eq!(Spent::read(&spent.written()), Some(spent));
        }

        #[test]
        fn no_text_makes_it_fail(text in "(o a1 7\n)?([ok] )?[ a-z0-9.\n-]{0,60}") {
            UsageReport::read(&text);
            Spent::read(&text);
            of_field(&text);
        }
    }

    #[test]
    fn another_versions_lines_are_read_as_far_as_they_are_known() {
        let text = "o a1 7 more\nk team 2026-11-30 3\nk team 2026-11-30 1 2 3 4 5 6 7\nk team x\n\
            k BAD 2026-11-30\nk team 2026-11-30 1e9\nk team 2026-13-01 1\nk team 2026-11-30 -1\n";
        let read = UsageReport::read(text).unwrap();
        let of = |account: &Account| (account.used.requests, account.used.tokens);
        assert_eq!(read.accounts.iter().map(of).collect::<Vec<_>>(), [(3, 0), (1, 2)]);
        assert_eq!(UsageReport::read("i name 7\nb one 5.0 1.0\n"), None, "an older version's");
        assert_eq!(UsageReport::read("o not/a/run 7\n"), None);
        assert!(Spent::read("2026-11-30 5 6 later").is_some_and(|spent| spent.month > spent.day));
        let key = KeyName::try_from("team").unwrap();
        assert_eq!(of_field(&field_of("a1", &key)), Some(("a1", key)));
        assert_eq!(of_field("a1 BAD"), None);
    }
}
