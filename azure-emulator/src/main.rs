//! The program `azure-emulator`: the emulator as a process, for manual use.
//!
//! It reads its arguments and configuration, starts the library, and waits for Ctrl-C.

use azure_emulator::Billing;
use azure_emulator::Emulator;
use azure_emulator::Settings;
use azure_emulator::config;
use clap::Parser;
use clap::Subcommand;
use std::error::Error;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

/// Text of `serve --help` on the emulator's own paths.
const PATHS: &str = r#"While it runs:
  POST   /emulator/script   faults for the next requests of a deployment, for example
         {"deployment": "gpt-4o-ptu", "steps": [{"throttled_ms": 400, "times": 3}]}
  DELETE /emulator/script   forgets them
  GET    /emulator/state    utilization, quotas and counters
  GET    /emulator/journal  what came in (DELETE empties it)"#;

/// A double of Azure OpenAI and OpenAI, with provisioned throughput, quotas and faults on demand.
#[derive(Debug, Parser)]
#[command(name = "azure-emulator", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves until Ctrl-C.
    ///
    /// Without --config six deployments run: gpt-4o on 15 PTU and pay-as-you-go, gpt-5.2 on 50
    /// PTU, o1, gpt-5.6-sol and text-embedding-3-small pay-as-you-go, at the speed of the real
    /// ones. `azure-emulator config` prints that configuration, every key described.
    #[command(after_long_help = PATHS)]
    Serve {
        /// Address to listen at; port 0 takes a free one [default: 127.0.0.1:8900, or the file's]
        #[arg(long, value_name = "ADDRESS")]
        listen: Option<SocketAddr>,
        /// A TOML file with the deployments
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Seed of all randomness: the same seed gives the same answers
        #[arg(long, value_name = "N")]
        seed: Option<u64>,
    },
    /// Prints the default configuration, every key described.
    Config,
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Serve { listen, config, seed } => serve(listen, config, seed).await,
        Command::Config => say(config::DEFAULT).map_err(Into::into),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            // If even this cannot be written, the exit status says it.
            drop(writeln!(std::io::stderr(), "azure-emulator: {fault}"));
            ExitCode::FAILURE
        }
    }
}

async fn serve(
    listen: Option<SocketAddr>,
    file: Option<PathBuf>,
    seed: Option<u64>,
) -> Result<(), Box<dyn Error>> {
    let mut settings = match &file {
        None => config::read(config::DEFAULT)?,
        Some(path) => {
            let named = |fault: &dyn Error| format!("{}: {fault}", path.display());
            let toml = std::fs::read_to_string(path).map_err(|fault| named(&fault))?;
            config::read(&toml).map_err(|fault| named(&fault))?
        }
    };
    settings.listen = listen.unwrap_or(settings.listen);
    settings.seed = seed.unwrap_or(settings.seed);
    let listening = settings.listen;
    let shown = settings.clone();
    let emulator = Emulator::start(settings)
        .await
        .map_err(|fault| format!("cannot serve at {listening}: {fault}"))?;
    say(&greeting(&emulator, &shown))?;
    tokio::signal::ctrl_c().await?;
    emulator.stop().await;
    Ok(())
}

/// The URLs for each kind of client, and the deployments.
fn greeting(emulator: &Emulator, settings: &Settings) -> String {
    let url = emulator.url();
    let mut text = format!(
        "Azure OpenAI endpoint  {url}\nAzure v1 base URL      {url}/openai/v1\n\
         OpenAI base URL        {url}/v1\nstate                  {url}/emulator/state\n\n"
    );
    for deployment in &settings.deployments {
        let billing = match deployment.billing {
            Billing::Provisioned(bucket) => format!("{} PTU", bucket.ptu),
            Billing::PayAsYouGo(quota) => format!("{} RPM, {} TPM", quota.rpm, quota.tpm),
        };
        let line = format!("  {:<24} {:<24} {billing}\n", deployment.name, deployment.model);
        text.push_str(&line);
    }
    if settings.api_keys.is_empty() && !settings.tokens_only {
        text.push_str("\nAny key is accepted. Ctrl-C ends it.\n");
    } else {
        text.push_str("\nA key or token is asked for. Ctrl-C ends it.\n");
    }
    text
}

fn say(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
