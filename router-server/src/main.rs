//! The program `router-server`: parses the command line, runs the command, returns the exit status.

use std::process::ExitCode;

use clap::Parser;
use router_server::args::CommandLine;
use router_server::commands;

/// A request makes some fifty small allocations on whichever thread is free; the system's allocator made them a tenth of its
/// time (`cargo bench -p router-core --bench request`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    let line = CommandLine::parse();
    commands::finish(commands::run(line.command).await)
}
