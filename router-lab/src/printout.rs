//! The result of a command: the report for standard output and remarks for standard error. Nothing is printed here.

use serde::Serialize;

/// Output of a command.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Printout {
    /// The report: a table, or JSON with `--json`.
    pub report: String,
    /// Lines for standard error, such as a count of skipped lines.
    pub remarks: Vec<String>,
}

impl Printout {
    /// A report without remarks.
    pub(crate) fn of(report: impl Into<String>) -> Self {
        Self { report: report.into(), remarks: Vec::new() }
    }

    /// A report as indented JSON.
    pub(crate) fn json(report: &impl Serialize) -> Self {
        Self::of(serde_json::to_string_pretty(report).unwrap_or_default())
    }
}
