//! The command line: its options and their meaning. It executes nothing.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use http::{HeaderName, HeaderValue};
use router_core::units::KeyName;
use tracing_subscriber::filter::Targets;

pub use crate::setup_args::Check;
pub use crate::setup_args::Files;
pub use crate::setup_args::Import;
pub use crate::setup_args::ImportAzure;
pub use crate::setup_args::Init;
pub use crate::setup_args::NoFile;
pub use crate::setup_args::usual;

const LONG: &str = "\
Routes chat requests to OpenAI models on Azure.

For each request it scores the task, chooses the reasoning or the chat model, and sends it to provisioned throughput \
first and to pay-as-you-go when that is full. Any OpenAI or Azure OpenAI client can talk to it: change its base URL and \
ask for the model `auto`.";

const EXAMPLES: &str = "\
Examples:
  router-server demo                                     see it work, without an account
  router-server init                                     answer five questions to write ./router.toml
  router-server explain --text 'prove that 2 is prime'   which model, which deployment, and why
  router-server check --config configs/example.toml      list all faults of a configuration
  router-server serve --config base.toml --config production.toml

Configuration:
  A later file overrides an earlier one key by key, and the environment overrides all files: ROUTER__SERVER__LISTEN
  sets server.listen. Credentials are names of environment variables or files, never values.

Exit status:
  0  success
  1  failure: a fault in the configuration, an address in use, an unanswered demo request
  2  invalid command line";

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "router-server", version, about = "Routes chat requests to OpenAI models on Azure", long_about = LONG, after_help = EXAMPLES)]
pub struct CommandLine {
    /// Command to run.
    #[command(subcommand)]
    pub command: Command,
}

/// Command to run.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve requests until SIGTERM or Ctrl-C
    Serve(Serve),
    /// Check a configuration: all faults at once, or a summary of what it says
    Check(Check),
    /// Write a configuration by answering five questions
    Init(Init),
    /// Write a configuration from a cloud's deployment list
    Import {
        /// Cloud whose listing is imported.
        #[command(subcommand)]
        what: Import,
    },
    /// Check the health of the server on this machine, for images without curl
    Probe(Probe),
    /// Explain how a request would be routed, and why; sends nothing
    Explain(Explain),
    /// Create a key for callers, or hash an existing one
    Key {
        /// Action on keys.
        #[command(subcommand)]
        what: KeyCommand,
    },
    /// Show a configuration
    Config {
        /// Action on the configuration.
        #[command(subcommand)]
        what: ConfigCommand,
    },
    /// Print the JSON Schema of the configuration, for editors and checks
    #[cfg(feature = "schema")]
    Schema,
    /// Print a shell's completions of this command line
    #[cfg(feature = "manual")]
    Completions(Completions),
    /// Print the manual page, or write one for each command
    #[cfg(feature = "manual")]
    Man(Man),
    /// Run a demonstration: an emulated Azure, the router, and traffic in English and Korean
    #[cfg(feature = "lab")]
    Demo(Demo),
    /// Measure, train, replay and size.
    #[cfg(feature = "lab")]
    #[command(flatten)]
    Lab(router_lab::LabCommand),
}

/// `serve`.
#[derive(Debug, Args)]
#[command(after_help = "\
At SIGTERM, /readyz answers 503 at once, requests are accepted for another --unready-ms, and running requests have \
server.drain_ms to finish. Ctrl-C skips the second step. A second signal exits at once.")]
pub struct Serve {
    /// The configuration.
    #[command(flatten)]
    pub files: Files,
    /// How long to accept requests after SIGTERM, until load balancers stop sending them
    #[arg(long, value_name = "MILLISECONDS", default_value = "2000", value_parser = milliseconds)]
    pub unready_ms: Duration,
    /// Which log lines to write: a level, or levels by module as in `warn,router_server=debug`. A level without a module applies to
    /// the router's own lines, which contain no endpoint; a library's lines are written only if it is named (`hyper_util=debug`)
    #[arg(long, value_name = "LEVELS", env = "ROUTER_LOG", default_value = "info")]
    pub log: Targets,
}

/// `probe`.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit status: 0 where the answer is 200, 1 where it is another, or none within 3 seconds.")]
pub struct Probe {
    /// The address at which the server listens
    #[arg(
        value_name = "ADDRESS",
        env = "ROUTER__SERVER__LISTEN",
        default_value = "127.0.0.1:8080"
    )]
    pub address: SocketAddr,
    /// Check readiness (/readyz) instead of liveness (/healthz)
    #[arg(long)]
    pub ready: bool,
    /// Use TLS, without verifying the certificate: it names the public host
    #[arg(long)]
    pub tls: bool,
}

/// `explain`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  router-server explain --text '이 방정식을 단계별로 풀어 줘: x^2 = 2x + 3'
  router-server explain --config my.toml --json < request.json
  router-server explain --text hello --header 'x-router-residency: geo:kr'")]
pub struct Explain {
    /// A configuration file; repeatable. Default: ./router.toml, else the built-in example
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub config: Vec<PathBuf>,
    /// The text of one user message; without it, a chat completion request is read from standard input
    #[arg(long, value_name = "TEXT")]
    pub text: Option<String>,
    /// The requested model, with --text
    #[arg(long, value_name = "NAME", default_value = "auto", requires = "text")]
    pub model: String,
    /// A request header such as 'x-router-task: chat'; repeatable
    #[arg(long = "header", value_name = "NAME: VALUE")]
    pub headers: Vec<Header>,
    /// The name of a configured key, whose rights apply
    #[arg(long, value_name = "NAME")]
    pub key: Option<String>,
    /// Print the JSON that POST /v1/route returns
    #[arg(long)]
    pub json: bool,
}

/// `key`.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Create a key and print it once, with the lines for the configuration
    New(NewKey),
    /// Read a key from standard input and print its hash, for `hashes` of `[keys.NAME]`
    Hash {
        /// Print the whole table `[keys.NAME]`
        #[arg(long, value_name = "NAME", value_parser = key_name)]
        name: Option<KeyName>,
    },
}

/// `key new`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  router-server key new --name billing --roles chat --requests-per-minute 600 --monthly-budget-usd 1000
  router-server key new --name ops --operator --append keys.toml")]
pub struct NewKey {
    /// The key's name in the configuration, logs and metrics
    #[arg(long, value_name = "NAME", default_value = "my_team", value_parser = key_name)]
    pub name: KeyName,
    /// Allow /metrics, /v1/route, / and /readyz?verbose
    #[arg(long)]
    pub operator: bool,
    /// The roles that it may use; default: both
    #[arg(long, value_name = "ROLE", value_delimiter = ',')]
    pub roles: Vec<String>,
    /// The area in which all its requests are processed
    #[arg(long, value_name = "AREA")]
    pub residency: Option<String>,
    /// The last day on which it is valid, in UTC
    #[arg(long, value_name = "DAY")]
    pub expires: Option<String>,
    /// Requests started in any 60 seconds
    #[arg(long, value_name = "COUNT")]
    pub requests_per_minute: Option<u64>,
    /// Tokens of prompts and answers in any 60 seconds
    #[arg(long, value_name = "COUNT")]
    pub tokens_per_minute: Option<u64>,
    /// Concurrent requests
    #[arg(long, value_name = "COUNT")]
    pub max_in_flight: Option<u64>,
    /// Cost of its answers per day, in UTC
    #[arg(long, value_name = "USD")]
    pub daily_budget_usd: Option<f64>,
    /// Cost of its answers per month, in UTC
    #[arg(long, value_name = "USD")]
    pub monthly_budget_usd: Option<f64>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Append the lines to this configuration file, unless they would make it invalid
    #[arg(long, value_name = "FILE")]
    pub append: Option<PathBuf>,
}

/// `config`.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print the merged configuration of all files and the environment as TOML; reads no secret
    Show {
        /// The configuration.
        #[command(flatten)]
        files: Files,
        /// Hide hosts, file paths, variable names, key hashes, ids and user names, for a support ticket
        #[arg(long)]
        redacted: bool,
    },
}

/// `completions`.
#[cfg(feature = "manual")]
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  router-server completions bash > ~/.local/share/bash-completion/completions/router-server
  router-server completions zsh > ~/.zfunc/_router-server
  router-server completions fish > ~/.config/fish/completions/router-server.fish")]
pub struct Completions {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// `man`.
#[cfg(feature = "manual")]
#[derive(Debug, Args)]
pub struct Man {
    /// Write one page per command into this folder, which is created if needed
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// `demo`.
#[cfg(feature = "lab")]
#[derive(Debug, Args)]
#[command(after_help = "\
Exit status with --once: 0 where every request was answered 200, else 1.")]
pub struct Demo {
    /// Exit after the report instead of serving until Ctrl-C
    #[arg(long)]
    pub once: bool,
    /// The address of the router; port 0 selects a free one. Default: 127.0.0.1:8080, or a free port if that is in use
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// The models: gpt-5.6-sol and gpt-5.4, or o1 and gpt-4o
    #[arg(long, value_enum, default_value_t = Pair::SoldToday)]
    pub pair: Pair,
    /// The seed of the emulator's random numbers
    #[arg(long, value_name = "NUMBER", default_value_t = 7)]
    pub seed: u64,
}

/// The models of the demo.
#[cfg(feature = "lab")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Pair {
    /// Models that are sold today.
    SoldToday,
    /// The design card's.
    DesignCard,
}

/// A header as it is written on a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Its name.
    pub name: HeaderName,
    /// Its value.
    pub value: HeaderValue,
}

impl FromStr for Header {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, value) = text.split_once(':').ok_or("expected 'name: value'")?;
        let name = name.trim().parse().map_err(|_| "the name is not a header's")?;
        let value = value.trim().parse().map_err(|_| "the value is not a header's")?;
        Ok(Self { name, value })
    }
}

fn key_name(text: &str) -> Result<KeyName, String> {
    KeyName::try_from(text).map_err(|rule| rule.to_string())
}

fn milliseconds(text: &str) -> Result<Duration, &'static str> {
    let whole = text.parse::<u64>().ok().filter(|whole| *whole <= 600_000);
    whole.map(Duration::from_millis).ok_or("expected a whole number of at most 600000")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Command, clap::error::ErrorKind> {
        let words = std::iter::once("router-server").chain(line.split(' '));
        CommandLine::try_parse_from(words)
            .map(|parsed| parsed.command)
            .map_err(|fault| fault.kind())
    }

    #[test]
    fn the_definition_holds_together() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn files_may_be_repeated_in_both_ways() {
        for line in ["serve --config a.toml --config b.toml", "serve --config a.toml b.toml"] {
            let Ok(Command::Serve(serve)) = parse(line) else { panic!("{line}") };
            assert_eq!(serve.files.config, [PathBuf::from("a.toml"), PathBuf::from("b.toml")]);
            assert_eq!(serve.unready_ms, Duration::from_secs(2));
        }
    }

    #[test]
    fn what_is_missing_or_makes_no_sense_is_refused() {
        use clap::error::ErrorKind;
        for (line, kind) in [
            ("import", ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand),
            ("explain --model gpt-4o", ErrorKind::MissingRequiredArgument),
            ("explain --text hi --header nonsense", ErrorKind::ValueValidation),
            ("serve --config a --unready-ms -1", ErrorKind::UnknownArgument),
            ("serve --config a --log nonsense=7", ErrorKind::ValueValidation),
            ("dance", ErrorKind::InvalidSubcommand),
        ] {
            assert_eq!(parse(line).err(), Some(kind), "{line}");
        }
    }

    #[test]
    fn a_header_is_split_at_its_first_colon() {
        let header: Header = "X-Router-Residency: geo:kr".parse().unwrap();
        assert_eq!(header.name, "x-router-residency");
        assert_eq!(header.value, "geo:kr");
    }
}
