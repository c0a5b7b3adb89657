//! The errors that end a command, as text for the terminal.

use std::io;

use router_core::config::ConfigFaults;
use router_core::error::RouteError;
use router_core::router::BuildFault;

use crate::args::NoFile;
use crate::record_file::LogFault;
use crate::serving::StartFault;

/// The reason why a command failed. Each ends the process with exit status 1.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The configuration has faults.
    #[error(transparent)]
    Config(#[from] ConfigFaults),
    /// No configuration was found.
    #[error(transparent)]
    NoFile(#[from] NoFile),
    /// No configuration is written from a listing.
    #[error(transparent)]
    Import(#[from] super::import::Failure),
    /// No configuration is written from answers.
    #[error(transparent)]
    Init(#[from] super::init::Failure),
    /// Deployments do not answer as configured; the details are already printed.
    #[error("{failed} of {asked} deployments do not answer as configured")]
    Live {
        /// Number of failures.
        failed: usize,
        /// Number of deployments asked.
        asked: usize,
    },
    /// A JSON report with faults is printed already.
    #[error("the configuration has faults")]
    Reported,
    /// Files that the configuration names hold something else than they should; one line each.
    #[error("{0}")]
    Files(String),
    /// The server does not start.
    #[error(transparent)]
    Start(#[from] StartFault),
    /// The request log cannot be written where config says.
    #[error(transparent)]
    Log(#[from] LogFault),
    /// The router cannot be built.
    #[error(transparent)]
    Build(#[from] BuildFault),
    /// The request is refused before any decision.
    #[error(transparent)]
    Request(#[from] RouteError),
    /// Standard input, standard output or signals do not work.
    #[error("{0}")]
    System(#[from] io::Error),
    /// A request was expected on standard input, which is a terminal or empty.
    #[error("expected --text, or a chat completion request on standard input")]
    NoRequest,
    /// The server on this machine does not count as alive.
    #[error(transparent)]
    Probe(#[from] super::probe::Failure),
    /// The configuration has no key of that name.
    #[error("no [keys.{name}] in the configuration")]
    UnknownKey {
        /// The name.
        name: String,
    },
    /// A key could be guessed.
    #[error(
        "expected a key of at least {least} letters without white space: a shorter one could be guessed"
    )]
    WeakKey {
        /// Minimum length of a key.
        least: usize,
    },
    /// The lines of a key are not added.
    #[error(transparent)]
    Key(#[from] super::key::Unfit),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    NoChance,
    /// A command of the lab failed.
    #[cfg(feature = "lab")]
    #[error(transparent)]
    Lab(#[from] router_lab::Failure),
    /// Not every request of the demo was answered.
    #[cfg(feature = "lab")]
    #[error("{failed} of {sent} requests were not answered with 200")]
    Demo {
        /// Requests without a 200.
        failed: usize,
        /// All requests.
        sent: usize,
    },
}
