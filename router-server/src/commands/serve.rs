//! `serve`: starts the server, serves until it is asked to stop, and stops without losing requests.

use router_core::clock;
use tokio::time::sleep;
use tracing::{info, warn};

use crate::args::Serve;
use crate::config::Config;
use crate::serving;
use crate::shutdown;
use crate::shutdown::Asked;
use crate::telemetry;
use crate::watch::Follow;

use super::Failure;

/// Serves until SIGTERM or Ctrl-C.
pub(super) async fn run(serve: Serve) -> Result<(), Failure> {
    // Before the files are read, so that no change after it is missed.
    let paths = serve.files.found()?;
    let files = Follow::new(&paths)?;
    let config = Config::load(&paths, clock::day(clock::wall()))?;
    // Another subscriber of this process may have been set before; it is used then.
    let _lines = telemetry::start(config.server.log, &serve.log);
    for warning in &config.router.warnings {
        warn!(%warning, "configuration");
    }
    let files = files.with_files_of(&config);
    let running = serving::start(&config).await?;
    let (version, deployments) =
        (&*config.router.version, config.router.catalog.deployments().len());
    info!(address = %running.addr(), deployments, version, "listening");
    let asked = tokio::select! {
        asked = shutdown::asked() => asked?,
        () = running.follow(files) => return Ok(()),
    };
    running.drain();
    info!(drain_seconds = config.server.drain.as_secs_f64(), "draining");
    let ending = async {
        if asked == Asked::Terminate {
            sleep(serve.unready_ms).await;
        }
        running.stop().await;
    };
    tokio::select! {
        () = ending => info!("stopped"),
        _ = shutdown::asked() => warn!("stopped at once: second signal"),
    }
    Ok(())
}
