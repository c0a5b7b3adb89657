//! The errors that end a command, as text for the terminal.

use std::io;

use router_core::config::ConfigFaults;
use router_core::log_line::LogReadFault;

use crate::evaluate;
use crate::simulation::routed::PlayFault;
use crate::simulation::stage::StageFault;
use crate::simulation::trace::TraceFault;
use crate::train;

/// The reason why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The configuration has faults.
    #[error(transparent)]
    Config(#[from] ConfigFaults),
    /// A request log cannot be read.
    #[error(transparent)]
    LogRead(#[from] LogReadFault),
    /// The log holds no scored request.
    #[error("no request in the log was scored: the threshold is for requests whose model is auto")]
    NothingScored,
    /// The log holds no request that can be replayed.
    #[error("no request in the log can be replayed: each has no tokens, or is not a conversation")]
    NothingPlayable,
    /// The trace holds no request.
    #[error("expected a trace with at least one request, or --generate")]
    NoRequest,
    /// A file cannot be written.
    #[error("{0}")]
    System(#[from] io::Error),
    /// No model was trained.
    #[error(transparent)]
    Train(#[from] train::Failure),
    /// Nothing was measured.
    #[error(transparent)]
    Evaluate(#[from] evaluate::Failure),
    /// The trace cannot be read.
    #[error(transparent)]
    Trace(#[from] TraceFault),
    /// The configuration cannot be simulated.
    #[error(transparent)]
    Stage(#[from] StageFault),
    /// The simulation does not start.
    #[error(transparent)]
    Play(#[from] PlayFault),
}
