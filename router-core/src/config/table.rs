//! A configuration table under check: reads its values and records every fault under its key.
//!
//! A faulty value reads as `None`, like an absent one, so the check continues and finds the
//! remaining faults in one pass. [`Table::required`] reads required values.

use std::cell::RefCell;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::fault::{Fault, Key};

/// Faults found so far.
#[derive(Debug, Default)]
pub(super) struct Findings {
    faults: RefCell<Vec<Fault>>,
    warnings: RefCell<Vec<Fault>>,
}

impl Findings {
    /// The table at the top.
    pub(super) fn top(&self) -> Table<'_> {
        Table { findings: self, key: Key::default() }
    }

    /// The faults and the warnings, each in the order found.
    pub(super) fn into_parts(self) -> (Vec<Fault>, Vec<Fault>) {
        (self.faults.into_inner(), self.warnings.into_inner())
    }
}

/// A table and the keys that lead to it.
#[derive(Debug, Clone)]
pub struct Table<'f> {
    findings: &'f Findings,
    key: Key,
}

impl Table<'_> {
    /// The table below this one.
    #[must_use]
    pub fn sub(&self, name: &str) -> Self {
        Self { findings: self.findings, key: self.key.child(name) }
    }

    /// Another table at the top.
    pub(super) fn root(&self, name: &str) -> Self {
        Self { findings: self.findings, key: Key::default().child(name) }
    }

    /// Writes down a fault of a value.
    pub fn fault(&self, name: &str, problem: impl Into<String>) {
        self.findings.faults.borrow_mut().push(Fault::new(self.key.child(name), problem));
    }

    /// Writes down a fault of the table as a whole.
    pub(crate) fn fault_here(&self, problem: impl Into<String>) {
        self.findings.faults.borrow_mut().push(Fault::new(self.key.clone(), problem));
    }

    /// Writes down a warning about a value.
    pub fn warn(&self, name: &str, problem: impl Into<String>) {
        self.findings.warnings.borrow_mut().push(Fault::new(self.key.child(name), problem));
    }

    /// Writes down a warning about a value that `check` refuses.
    pub(super) fn warn_strictly(&self, name: &str, problem: impl Into<String>) {
        let warning = Fault { strict: true, ..Fault::new(self.key.child(name), problem) };
        self.findings.warnings.borrow_mut().push(warning);
    }

    /// Writes down a warning about the table as a whole.
    pub(super) fn warn_here(&self, problem: impl Into<String>) {
        self.findings.warnings.borrow_mut().push(Fault::new(self.key.clone(), problem));
    }

    /// The value, which must be there; `allowed` says what it would be.
    pub fn required<T>(&self, name: &str, value: Option<T>, allowed: &str) -> Option<T> {
        if value.is_none() {
            self.fault(name, format!("missing; must be {allowed}"));
        }
        value
    }

    /// The path of a file.
    pub fn path(&self, name: &str, value: Option<&Path>) -> Option<PathBuf> {
        let value = value?;
        if value.as_os_str().is_empty() {
            self.fault(name, "must be the path of a file, found nothing");
            return None;
        }
        Some(value.to_owned())
    }

    /// A whole number inside `range`.
    pub fn whole(&self, name: &str, value: Option<i64>, range: RangeInclusive<i64>) -> Option<u64> {
        let value = value?;
        if range.contains(&value) {
            return u64::try_from(value).ok();
        }
        self.fault(name, out_of_range(&range, &value));
        None
    }

    /// A whole number inside `range` that counts things in memory.
    pub fn count(
        &self,
        name: &str,
        value: Option<i64>,
        range: RangeInclusive<i64>,
    ) -> Option<usize> {
        self.whole(name, value, range).and_then(|value| usize::try_from(value).ok())
    }

    /// A number inside `range`; not-a-number is outside of every range.
    pub fn number(
        &self,
        name: &str,
        value: Option<f64>,
        range: RangeInclusive<f64>,
    ) -> Option<f64> {
        let value = value?;
        if range.contains(&value) {
            return Some(value);
        }
        self.fault(name, out_of_range(&range, &value));
        None
    }

    /// A time in milliseconds, at most a day.
    pub fn milliseconds(&self, name: &str, value: Option<i64>, least: i64) -> Option<Duration> {
        self.whole(name, value, least..=86_400_000).map(Duration::from_millis)
    }

    /// One of a list of words.
    pub fn word<T>(
        &self,
        name: &str,
        value: Option<&str>,
        allowed: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let value = value?;
        let found = read(value);
        if found.is_none() {
            self.fault(name, format!("must be {allowed}, found {}", quoted(value)));
        }
        found
    }

    /// A value of a type that knows its own rule.
    pub(super) fn rule<'v, T>(&self, name: &str, value: Option<&'v str>) -> Option<T>
    where
        T: TryFrom<&'v str>,
        T::Error: Display,
    {
        let value = value?;
        let told = |rule: T::Error| {
            let rule = rule.to_string();
            let rule = rule
                .strip_prefix("expected ")
                .map_or(rule.clone(), |rest| format!("must be {rest}"));
            self.fault(name, format!("{rule}; found {}", quoted(value)));
        };
        T::try_from(value).map_err(told).ok()
    }
}

fn out_of_range<T: Display + PartialOrd>(range: &RangeInclusive<T>, value: &T) -> String {
    if value < range.start() {
        format!("must be at least {}, found {value}", range.start())
    } else {
        format!("must be {} to {}, found {value}", range.start(), range.end())
    }
}

/// The value in quotes, cut to a readable length.
pub fn quoted(value: &str) -> String {
    let shown: String = value.chars().take(60).collect();
    let more = if shown.len() < value.len() { ".." } else { "" };
    format!("`{}{more}`", shown.escape_debug())
}

/// Names in one line; `none` if there are none.
pub fn listed<T: Display>(names: impl IntoIterator<Item = T>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| name.to_string()).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// The cause of an error of the system, without the number that Rust adds.
pub(super) fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}
