//! `demo`: an emulated Azure, the router and its callers in one process, on loopback; no account
//! and no file.
//!
//! Results are measured where a caller could measure them: from answers and their headers. Only the
//! number of 429s comes from the emulator, because callers see none.

mod caller;
mod prompts;
mod report;
mod stage;
mod traffic;

use std::net::{Ipv4Addr, SocketAddr};

use router_core::clock;
use tokio::time::Instant;

use crate::args::Demo;
use crate::config::Config;
use crate::console;
use crate::console::Paint;
use crate::serving;
use crate::serving::Running;
use crate::serving::StartFault;
use crate::shutdown;

use super::Failure;

/// The port of the examples in the documentation.
const USUAL_PORT: u16 = 8080;

/// Shows the router at work, then serves until Ctrl-C unless asked to end.
pub(super) async fn run(demo: Demo) -> Result<(), Failure> {
    let cast = stage::Cast::of(demo.pair);
    let emulator = stage::emulator(cast, demo.seed).await?;
    let listen = demo.listen.unwrap_or_else(|| at(USUAL_PORT));
    let config = stage::config(cast, emulator.url(), listen, clock::day(clock::wall()))?;
    let running = start(config.clone(), demo.listen.is_none()).await?;
    console::say(stage::opening(cast, &running.url()))?;
    let began = Instant::now();
    let answers = traffic::send(&running.url(), prompts::all()).await;
    let shown = report::Shown {
        cast,
        catalog: &config.router.catalog,
        seen: stage::seen(cast, &emulator),
        lasted: began.elapsed(),
        paint: Paint::of_output(),
    };
    console::say(report::text(&answers, &shown))?;
    let failed = answers.iter().filter(|answer| answer.status != 200).count();
    if !demo.once {
        console::say(report::farewell(&running.url()))?;
        shutdown::asked().await?;
    }
    running.stop().await;
    emulator.stop().await;
    if failed > 0 { Err(Failure::Demo { failed, sent: answers.len() }) } else { Ok(()) }
}

fn at(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// Starts the router; if the usual port is taken, at a free one.
async fn start(mut config: Config, anywhere: bool) -> Result<Running, StartFault> {
    match serving::start(&config).await {
        Err(StartFault::Listen { .. }) if anywhere => {
            config.server.listen = at(0);
            serving::start(&config).await
        }
        other => other,
    }
}
