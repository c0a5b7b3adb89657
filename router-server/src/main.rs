//! The program `router-server`: command line in, exit status out.

use std::process::ExitCode;

use clap::Parser;
use router_server::args::CommandLine;
use router_server::commands;

#[tokio::main]
async fn main() -> ExitCode {
    let line = CommandLine::parse();
    commands::finish(commands::run(line.command).await)
}
