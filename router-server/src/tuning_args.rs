//! The command lines of `calibrate` and `replay`.

use std::path::PathBuf;

use clap::Args;

/// `calibrate`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  router-server calibrate --log requests.jsonl requests.jsonl.1 --target-share 0.2 --config router.toml

The log is what [request_log] writes. Only requests that were scored count: whoever named a role, a model or x-router-task \
gets it whatever the threshold is. Nothing is changed: the threshold found is printed for you to set.")]
pub struct Calibrate {
    /// A request log; repeatable, in any order
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    pub log: Vec<PathBuf>,
    /// The share of scored requests that shall be reasoning, 0 to 1
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub target_share: f64,
    /// A configuration file; repeatable: tells threshold and prices of today. Without one: those in the log
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub config: Vec<PathBuf>,
    /// Print JSON instead of a table
    #[arg(long)]
    pub json: bool,
}

fn share(text: &str) -> Result<f64, &'static str> {
    let number = text.parse::<f64>().ok().filter(|number| (0.0..=1.0).contains(number));
    number.ok_or("expected a number of 0 to 1")
}
