//! The commands of `router_lab`: passes the command line to the library and prints the result.

use router_core::clock;
use router_lab::LabCommand;
use router_lab::PageKit;

use crate::console;
use crate::dashboard::page;
use crate::design_card;

use super::Failure;

/// Runs a command of the lab; without `--config` it uses the design card's configuration.
pub(super) fn run(command: &LabCommand) -> Result<(), Failure> {
    let today = clock::day(clock::wall());
    let default = || design_card::config(design_card::NOWHERE, today).map(|config| config.router);
    let kit = PageKit {
        script: page::report_script(),
        style: page::STYLE,
        command: console::command_line(),
        version: env!("CARGO_PKG_VERSION"),
        date: today.to_string(),
    };
    let printout = router_lab::run(command, default, &kit)?;
    for remark in &printout.remarks {
        console::complain(remark);
    }
    Ok(console::say(&printout.report)?)
}
