//! Why a command failed, in words for the terminal.

use std::io;

use router_core::config::ConfigFaults;
use router_core::error::RouteError;
use router_core::router::BuildFault;

use crate::record_file::LogFault;
use crate::request_record::LogReadFault;
use crate::serving::StartFault;

/// Why a command failed. Each ends the process with exit status 1.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The configuration has faults.
    #[error(transparent)]
    Config(#[from] ConfigFaults),
    /// Files that the configuration names hold something else than they should; one line each.
    #[error("{0}")]
    Files(String),
    /// The server does not start.
    #[error(transparent)]
    Start(#[from] StartFault),
    /// A request log cannot be read.
    #[error(transparent)]
    LogRead(#[from] LogReadFault),
    /// There is nothing to calibrate by.
    #[error("no request in the log was scored: the threshold is for requests whose model is auto")]
    NothingScored,
    /// There is nothing to replay.
    #[cfg(feature = "simulate")]
    #[error("no request in the log can be played: each has no tokens, or is no conversation")]
    NothingPlayable,
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
    /// A request was expected on standard input, which is a terminal.
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
        /// How many letters a key has at least.
        least: usize,
    },
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    NoChance,
    /// No model was trained.
    #[cfg(feature = "train")]
    #[error(transparent)]
    Train(#[from] super::train::Failure),
    /// Nothing was measured.
    #[cfg(feature = "train")]
    #[error(transparent)]
    Evaluate(#[from] super::evaluate::Failure),
    /// Not every request of the demo was answered.
    #[cfg(feature = "demo")]
    #[error("{failed} of {sent} requests were not answered with 200")]
    Demo {
        /// Requests without a 200.
        failed: usize,
        /// All requests.
        sent: usize,
    },
    /// The trace cannot be read.
    #[cfg(feature = "simulate")]
    #[error(transparent)]
    Trace(#[from] crate::simulation::trace::TraceFault),
    /// The configuration cannot be played.
    #[cfg(feature = "simulate")]
    #[error(transparent)]
    Stage(#[from] crate::simulation::stage::StageFault),
    /// The play does not start.
    #[cfg(feature = "simulate")]
    #[error(transparent)]
    Play(#[from] crate::simulation::routed::PlayFault),
}
