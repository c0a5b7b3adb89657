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
    /// A request log, or a folder of them; repeatable, in any order
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    pub log: Vec<PathBuf>,
    /// The desired share of reasoning among scored requests, 0 to 1
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub target_share: f64,
    /// A configuration file with the current threshold and prices; repeatable. Default: those in the log
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub config: Vec<PathBuf>,
    /// Print JSON instead of a table
    #[arg(long)]
    pub json: bool,
}

/// `replay`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  router-server replay --log requests.jsonl --config router.toml --vs router.toml more_ptu.toml
  router-server replay --log requests.jsonl --config today.toml --vs tomorrow.toml --ptu-hourly-usd 0.9 --json

The requests of the log are sent again through the router itself, in virtual time, against emulated deployments as each \
configuration has them. Nothing is sent anywhere. The log has no text: requests keep their scores, and each \
configuration's threshold and mode decide what they lead to.")]
pub struct Replay {
    /// A request log, or a folder of them; repeatable, in any order
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    pub log: Vec<PathBuf>,
    /// The files of one configuration, as `serve` takes them
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    pub config: Vec<PathBuf>,
    /// The files of the configuration to compare with
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub vs: Vec<PathBuf>,
    /// The price of one PTU per hour, in US dollars; without it, costs exclude provisioned throughput
    #[arg(long, value_name = "USD", value_parser = price)]
    pub ptu_hourly_usd: Option<f64>,
    /// Print JSON instead of a table
    #[arg(long)]
    pub json: bool,
    /// Write an HTML page with plots
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

fn price(text: &str) -> Result<f64, &'static str> {
    let number = text.parse::<f64>().ok().filter(|number| (0.0..=1e6).contains(number));
    number.ok_or("expected a number of dollars")
}

fn share(text: &str) -> Result<f64, &'static str> {
    let number = text.parse::<f64>().ok().filter(|number| (0.0..=1.0).contains(number));
    number.ok_or("expected a number of 0 to 1")
}
