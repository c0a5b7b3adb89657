//! `demo`: an emulated Azure, the router and its callers in one process, on loopback; no account, network or file.
//!
//! What is shown is measured where a caller could measure it: from answers and their headers. Only the count of 429s comes
//! from the emulator, since the point is that callers see none.

mod caller;
mod prompts;
mod report;
mod stage;
mod traffic;

use router_core::clock;

use crate::args::Demo;
use crate::console;
use crate::serving;
use crate::shutdown;

use super::Failure;

/// Shows the router at work, then serves until Ctrl-C unless asked to end.
pub(super) async fn run(demo: Demo) -> Result<(), Failure> {
    let emulator = stage::emulator(demo.seed).await?;
    let config = stage::config(emulator.url(), demo.listen, clock::day(clock::wall()))?;
    let running = serving::start(&config).await?;
    console::say(stage::opening(&running.url()))?;
    let answers = traffic::send(&running.url(), prompts::all()).await;
    let seen = stage::seen(&emulator);
    console::say(report::text(&answers, &config.catalog, seen))?;
    let failed = answers.iter().filter(|answer| answer.status != 200).count();
    if !demo.once {
        console::say(report::farewell(&running.url()))?;
        shutdown::asked().await?;
    }
    running.stop().await;
    emulator.stop().await;
    if failed > 0 { Err(Failure::Demo { failed, sent: answers.len() }) } else { Ok(()) }
}
