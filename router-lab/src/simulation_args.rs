//! The command lines of `simulate` and `size`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

/// `simulate`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  router-server simulate --trace AzureLLMInferenceTrace_conv.csv --compare
  router-server simulate --generate bursty --seed 3 --max-tokens unset --html report.html
  router-server simulate --trace requests.jsonl --config my.toml --load 1.2 --json

A trace is a CSV with the columns TIMESTAMP,ContextTokens,GeneratedTokens as in Azure/AzurePublicDataset, or the router's \
own request log as JSON lines. PTU counts of the configuration are scaled so that the mean demand is --load times what \
they serve; fractions of a PTU are allowed here.")]
pub struct Simulate {
    /// Trace and deployments.
    #[command(flatten)]
    pub scenario: Scenario,
    /// The mean demand relative to what the provisioned deployments serve
    #[arg(long, value_name = "FACTOR", default_value = "1.0", value_parser = positive)]
    pub load: f64,
    /// The policy that chooses between provisioned and pay-as-you-go
    #[arg(long, value_name = "NAME", value_enum, default_value_t = PolicyName::Router)]
    pub policy: PolicyName,
    /// Run all policies and compare them
    #[arg(long, conflicts_with = "policy")]
    pub compare: bool,
    /// Behavior without pay-as-you-go, under overload
    #[command(flatten)]
    pub overload: Overload,
    /// Print JSON instead of a table
    #[arg(long)]
    pub json: bool,
    /// Write an HTML page with plots
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

/// The part of `simulate` that is about overload.
#[derive(Debug, Clone, Args)]
pub struct Overload {
    /// Remove pay-as-you-go deployments and compare queue orders
    #[arg(long, conflicts_with_all = ["policy", "compare"])]
    pub no_spill: bool,
    /// The mean demand relative to what the provisioned deployments serve; same as --load
    #[arg(long, value_name = "FACTOR", requires = "no_spill", conflicts_with = "load", value_parser = positive)]
    pub overload: Option<f64>,
    /// Seconds after which a client disconnects
    #[arg(long, value_name = "SECONDS", requires = "no_spill", default_value = "30", value_parser = seconds)]
    pub client_timeout: Duration,
    /// Send the timeout in `x-stainless-read-timeout`, as the official clients do
    #[arg(long, requires = "no_spill")]
    pub timeout_header: bool,
    /// The relative rates of keys, as in 1:1:10
    #[arg(long, value_name = "RATES", requires = "no_spill", default_value = "1", value_parser = rates)]
    pub keys: Rates,
}

/// The rates of keys relative to each other.
#[derive(Debug, Clone, PartialEq)]
pub struct Rates(pub Vec<f64>);

/// `size`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  router-server size --trace requests.jsonl --config my.toml --ptu-hourly-usd 0.36

The chat role's first model is sized, in the steps in which its PTUs are sold, from none at all. Prices per PTU-hour \
differ by contract: see the Azure pricing page, or divide a monthly reservation by 730.")]
pub struct Size {
    /// Trace and deployments.
    #[command(flatten)]
    pub scenario: Scenario,
    /// The price of one PTU per hour, in US dollars
    #[arg(long, value_name = "USD", value_parser = positive)]
    pub ptu_hourly_usd: f64,
    /// The largest size to try; default: twice the mean demand
    #[arg(long, value_name = "PTU")]
    pub most: Option<u32>,
    /// Try regional sizes instead of global and data zone sizes
    #[arg(long)]
    pub regional: bool,
    /// Print JSON instead of a table
    #[arg(long)]
    pub json: bool,
    /// Write an HTML page with plots
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

/// The trace to replay, and the deployments to replay it against.
#[derive(Debug, Clone, Args)]
pub struct Scenario {
    /// The trace: a CSV of token counts or a request log
    #[arg(long, value_name = "FILE", required_unless_present = "generate")]
    pub trace: Option<PathBuf>,
    /// Generate a trace instead
    #[arg(long, value_name = "KIND", value_enum, conflicts_with = "trace")]
    pub generate: Option<Generated>,
    /// A configuration file; repeatable. Default: gpt-4o on provisioned and pay-as-you-go, o1 on pay-as-you-go
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub config: Vec<PathBuf>,
    /// The output cap that callers send
    #[arg(long, value_name = "MODEL", value_enum, default_value_t = CapModel::Trace)]
    pub max_tokens: CapModel,
    /// Seconds in which a full bucket drains; default: as configured
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub window: Option<Duration>,
    /// The share of streamed requests; default: as in the trace, else 0
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub streamed_share: Option<f64>,
    /// The share of reasoning tasks; default: as in the trace, else 0
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub reasoning_share: Option<f64>,
    /// The maximum error of the router's estimate of a prompt, in both directions
    #[arg(long, value_name = "SHARE", default_value = "0.1", value_parser = share)]
    pub estimate_error: f64,
    /// Provisioned deployments send their utilization in a header, which Azure does not guarantee
    #[arg(long)]
    pub utilization_header: bool,
    /// The random seed
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub seed: u64,
}

/// The cap on an answer's length that callers send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CapModel {
    /// The answer's length and up to 200 more
    Tight,
    /// One of 4096, 4096, 1024, the answer's length + 100, the answer's length + 300
    Mixed,
    /// None
    Unset,
    /// None for half of the requests, the answer's length and up to 200 more for the others
    HalfUnset,
    /// The trace's own caps; none if it has none
    Trace,
}

/// A kind of trace that is generated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Generated {
    /// Calm and bursts of five times the calm's rate in turn
    Bursty,
    /// A day's curve, drawn together into an hour
    Diurnal,
    /// Steady, with answers ten times as long as usual
    LongOutput,
    /// Ten minutes at a steady rate
    Steady,
}

/// Policy that decides between provisioned throughput and pay-as-you-go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum PolicyName {
    /// The router itself
    Router,
    /// Each request tries provisioned first, as native spillover does
    AlwaysTry,
    /// After a 429 none for its wait, rounded up to whole seconds
    WholeSecond,
    /// After a 429 none for five seconds
    #[value(name = "cooldown-5s")]
    CooldownFiveSeconds,
    /// Each request waits as told and tries again for up to a minute; never pay-as-you-go
    WaitOnly,
}

impl PolicyName {
    /// All, the router first.
    pub const ALL: [Self; 5] = [
        Self::Router,
        Self::AlwaysTry,
        Self::WholeSecond,
        Self::CooldownFiveSeconds,
        Self::WaitOnly,
    ];

    /// The name as it is written on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Router => "router",
            Self::AlwaysTry => "always-try",
            Self::WholeSecond => "whole-second",
            Self::CooldownFiveSeconds => "cooldown-5s",
            Self::WaitOnly => "wait-only",
        }
    }
}

fn positive(text: &str) -> Result<f64, &'static str> {
    let number = text.parse::<f64>().ok().filter(|number| (1e-6..=1e6).contains(number));
    number.ok_or("expected a number above 0")
}

fn rates(text: &str) -> Result<Rates, &'static str> {
    let rates: Option<Vec<f64>> = text.split(':').map(|rate| positive(rate).ok()).collect();
    let rates = rates.filter(|rates| rates.len() <= 64);
    rates.map(Rates).ok_or("expected up to 64 numbers above 0 with a colon between two")
}

fn share(text: &str) -> Result<f64, &'static str> {
    let number = text.parse::<f64>().ok().filter(|number| (0.0..=1.0).contains(number));
    number.ok_or("expected a number of 0 to 1")
}

fn seconds(text: &str) -> Result<Duration, &'static str> {
    let number = text.parse::<f64>().ok().filter(|number| (0.1..=86_400.0).contains(number));
    number.map(Duration::from_secs_f64).ok_or("expected seconds, 0.1 to 86400")
}
