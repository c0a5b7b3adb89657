//! Dispatches each command line to its command.

use clap::Subcommand;
use router_core::config::{Config, ConfigFaults};

use crate::calibrate;
use crate::evaluate;
use crate::failure::Failure;
use crate::learning_args::Evaluate;
use crate::learning_args::Train;
use crate::printout::Printout;
use crate::replay;
use crate::report;
use crate::report_args::Report;
use crate::report_page::PageKit;
use crate::simulate;
use crate::simulation_args::Simulate;
use crate::simulation_args::Size;
use crate::size;
use crate::train;
use crate::tuning_args::Calibrate;
use crate::tuning_args::Replay;

/// A command of the lab.
#[derive(Debug, Subcommand)]
pub enum LabCommand {
    /// Find the threshold for a given share of reasoning requests, from a request log
    Calibrate(Calibrate),
    /// Replay a request log in virtual time under one or two configurations and compare costs, waits and fallbacks
    Replay(Replay),
    /// Sum request logs: tokens, cost and savings by key, team, model, deployment, task or day
    Report(Report),
    /// Train a task model on labelled rows and measure it on held-out sources
    Train(Train),
    /// Measure the task scorer on labelled rows: quality, calibration, time
    Evaluate(Evaluate),
    /// Replay a trace in virtual time: what provisioned deployments save, compared with other policies
    Simulate(Simulate),
    /// Replay a trace at every size that Azure sells: how many PTUs to buy
    Size(Size),
}

/// Runs a command. `default` is the configuration of `simulate` and `size` without `--config`; `kit` is for HTML pages.
///
/// # Errors
/// The input cannot be read, the configuration has faults, or the result cannot be written.
pub fn run(
    command: &LabCommand,
    default: impl Fn() -> Result<Config, ConfigFaults> + Sync,
    kit: &PageKit,
) -> Result<Printout, Failure> {
    match command {
        LabCommand::Calibrate(calibrate) => calibrate::run(calibrate),
        LabCommand::Replay(replay) => replay::run(replay, kit),
        LabCommand::Report(args) => report::run(args),
        LabCommand::Train(train) => Ok(Printout::of(train::run(train)?.trim_end())),
        LabCommand::Evaluate(evaluate) => {
            Ok(Printout::of(evaluate::run(evaluate, kit)?.trim_end()))
        }
        LabCommand::Simulate(simulate) => simulate::run(simulate, &default, kit),
        LabCommand::Size(size) => size::run(size, &default, kit),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(subcommand)]
        command: LabCommand,
    }

    fn parse(line: &str) -> Result<LabCommand, clap::error::ErrorKind> {
        let words = std::iter::once("lab").chain(line.split(' '));
        Line::try_parse_from(words).map(|parsed| parsed.command).map_err(|fault| fault.kind())
    }

    #[test]
    fn calibrate_takes_several_logs_and_a_share_of_at_most_one() {
        let line = "calibrate --log a.jsonl b.jsonl --target-share 0.2";
        let Ok(LabCommand::Calibrate(calibrate)) = parse(line) else { panic!("{line}") };
        assert_eq!(calibrate.log, [PathBuf::from("a.jsonl"), PathBuf::from("b.jsonl")]);
        let refused = parse("calibrate --log a.jsonl --target-share 1.2").err();
        assert_eq!(refused, Some(clap::error::ErrorKind::ValueValidation));
    }
}
