//! The implementation of each command. The module root.

mod check;
#[cfg(feature = "lab")]
mod demo;
mod explain;
mod failure;
mod import;
mod init;
mod key;
#[cfg(feature = "lab")]
mod lab;
mod live_check;
mod loose_caps;
#[cfg(feature = "manual")]
mod manual;
mod probe;
#[cfg(feature = "schema")]
mod schema;
mod serve;
mod show;

use std::process::ExitCode;

use crate::args::Command;
use crate::console;

pub use failure::Failure;

/// Does what the command line says.
///
/// # Errors
/// Failure of a command, worded for the terminal.
pub async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Serve(serve) => serve::run(serve).await,
        Command::Check(check) => check::run(&check).await,
        Command::Init(init) => init::run(&init),
        Command::Import { what } => import::run(&what),
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
        #[cfg(feature = "lab")]
        Command::Demo(demo) => demo::run(demo).await,
        #[cfg(feature = "lab")]
        Command::Lab(lab) => lab::run(&lab),
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
