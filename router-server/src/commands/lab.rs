//! The commands of `router_lab`: passes the command line to the library and prints the result.

use router_core::clock;
use router_lab::LabCommand;

use crate::console;
use crate::design_card;

use super::Failure;

/// Runs a command of the lab; without `--config` it uses the design card's configuration.
pub(super) fn run(command: &LabCommand) -> Result<(), Failure> {
    let today = clock::day(clock::wall());
    let default = || design_card::config(design_card::NOWHERE, today);
    let printout = router_lab::run(command, default)?;
    for remark in &printout.remarks {
        console::complain(remark);
    }
    Ok(console::say(&printout.report)?)
}
