//! The command line of `report`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// `report`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  router-server report --log requests.jsonl requests.jsonl.1 --by team,model
  router-server report --log requests.jsonl --by day,deployment --format csv --out november.csv

The log is what [request_log] writes. An answer of provisioned throughput costs nothing here: its price is paid by the hour.")]
pub struct Report {
    /// A request log, or a folder of them; repeatable, in any order
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    pub log: Vec<PathBuf>,
    /// The columns to group by, in this order
    #[arg(long, value_name = "COLUMN", value_delimiter = ',', default_value = "key,model")]
    pub by: Vec<By>,
    /// Only requests since this day (UTC), such as 2026-11-01
    #[arg(long, value_name = "DAY", value_parser = day)]
    pub since: Option<router_core::units::Day>,
    /// Only requests up to this day, included (UTC)
    #[arg(long, value_name = "DAY", value_parser = day)]
    pub until: Option<router_core::units::Day>,
    /// The form of the report
    #[arg(long, value_name = "FORM", default_value = "table")]
    pub format: Format,
    /// Write it to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// Column by which requests are grouped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum By {
    /// The caller's key.
    Key,
    /// The team of the caller's key.
    Team,
    /// The model that answered.
    Model,
    /// The deployment that answered.
    Deployment,
    /// The day, in UTC.
    Day,
    /// Reasoning or chat.
    Task,
}

impl By {
    /// The heading of its column.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Team => "team",
            Self::Model => "model",
            Self::Deployment => "deployment",
            Self::Day => "day",
            Self::Task => "task",
        }
    }
}

/// The form of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Aligned text.
    Table,
    /// RFC 4180, with a heading.
    Csv,
    /// One object.
    Json,
    /// One page without scripts.
    Html,
}

fn day(text: &str) -> Result<router_core::units::Day, String> {
    router_core::units::Day::try_from(text).map_err(|fault| fault.to_string())
}
