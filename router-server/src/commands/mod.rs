//! What each command does. The door of the room.

mod calibrate;
mod check;
#[cfg(feature = "demo")]
mod demo;
#[cfg(feature = "train")]
mod evaluate;
mod explain;
mod failure;
mod key;
#[cfg(feature = "simulate")]
mod line_plots;
#[cfg(feature = "manual")]
mod manual;
#[cfg(feature = "train")]
mod plots;
mod probe;
#[cfg(feature = "simulate")]
mod replay;
#[cfg(feature = "train")]
mod rows;
#[cfg(feature = "schema")]
mod schema;
mod serve;
mod show;
#[cfg(feature = "simulate")]
mod simulate;
#[cfg(feature = "simulate")]
mod simulate_page;
#[cfg(feature = "simulate")]
mod size;
#[cfg(feature = "train")]
mod train;

use std::process::ExitCode;

use crate::args::Command;
use crate::console;

pub use failure::Failure;

/// Does what the command line says.
///
/// # Errors
/// What failed, in words for the terminal.
pub async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Serve(serve) => serve::run(serve).await,
        Command::Calibrate(calibrate) => calibrate::run(&calibrate),
        Command::Check(check) => check::run(&check),
        Command::Probe(probe) => Ok(probe::run(&probe).await?),
        Command::Explain(explain) => explain::run(&explain),
        Command::Key { what } => key::run(&what),
        Command::Config { what } => show::run(&what),
        #[cfg(feature = "schema")]
        Command::Schema => schema::run(),
        #[cfg(feature = "manual")]
        Command::Completions(completions) => manual::completions(&completions),
        #[cfg(feature = "manual")]
        Command::Man(man) => manual::man(&man),
        #[cfg(feature = "demo")]
        Command::Demo(demo) => demo::run(demo).await,
        #[cfg(feature = "train")]
        Command::Train(args) => Ok(console::say(train::run(&args)?.trim_end())?),
        #[cfg(feature = "train")]
        Command::Evaluate(args) => Ok(console::say(evaluate::run(&args)?.trim_end())?),
        #[cfg(feature = "simulate")]
        Command::Replay(replay) => replay::run(&replay),
        #[cfg(feature = "simulate")]
        Command::Simulate(simulate) => simulate::run(&simulate),
        #[cfg(feature = "simulate")]
        Command::Size(size) => size::run(&size),
    }
}

/// Tells a failure at the terminal; the exit status is 1 then, else 0.
pub fn finish(done: Result<(), Failure>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            console::complain(failure);
            ExitCode::FAILURE
        }
    }
}
