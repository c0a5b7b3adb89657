//! The format of log lines (text at a terminal, else JSON), and which lines are written.
//!
//! A level applies to this project's crates only: libraries log addresses of upstreams (`reqwest`,
//! `hyper_util`) and parts of headers (`h2`), which none of our lines contains. A library's lines
//! are written only if the filter names its target.
//!
//! Not done here: the content of lines.

use std::io::{self, IsTerminal};

use router_core::config::LogForm;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

/// The crates whose lines name no endpoint, held to it by tests; and the target of refusals for residency.
const OWN: [&str; 5] = ["router_core", "router_server", "router_lab", "azure_emulator", "audit"];

/// The filter as asked for, with its bare level kept from libraries.
fn own(asked: &Targets) -> Targets {
    let level = asked.default_level().unwrap_or(LevelFilter::OFF);
    let own = Targets::new().with_targets(OWN.map(|target| (target, level)));
    // Later ones win: a level by module overrides the bare one.
    own.with_targets(asked.iter())
}

/// Starts logging to standard output.
///
/// # Errors
/// The process logs already.
pub(crate) fn start(form: LogForm, filter: &Targets) -> Result<(), TryInitError> {
    let json = match form {
        LogForm::Json => true,
        LogForm::Text => false,
        LogForm::Auto => !io::stdout().is_terminal(),
    };
    let layer = tracing_subscriber::fmt::layer();
    let lines = tracing_subscriber::registry().with(own(filter));
    if json {
        lines.with(layer.json().flatten_event(true).with_current_span(false)).try_init()
    } else {
        lines.with(layer.with_ansi(false)).try_init()
    }
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[track_caller]
    fn check(asked: &str, target: &str, level: Level, written: bool) {
        let filter = own(&asked.parse().unwrap());
        assert_eq!(filter.would_enable(target, &level), written, "{asked}: {target} {level}");
    }

    #[test]
    fn a_level_is_for_our_crates_and_a_library_must_be_named() {
        for asked in ["trace", "debug", "info"] {
            check(asked, "router_core::fallback", Level::INFO, true);
            check(asked, "router_server", Level::INFO, true);
            check(asked, "audit", Level::INFO, true);
            for library in ["hyper_util::client", "reqwest", "h2::codec", "rustls", "log"] {
                check(asked, library, Level::ERROR, false);
            }
        }
        check("debug", "router_core", Level::TRACE, false);
        check("warn,router_server=debug", "router_server", Level::DEBUG, true);
        check("warn,router_server=debug", "router_core", Level::INFO, false);
        check("info,hyper_util=debug", "hyper_util::client", Level::DEBUG, true);
        check("info,hyper_util=debug", "h2", Level::ERROR, false);
        check("router_server=info", "router_core", Level::ERROR, false);
        check("off", "router_core", Level::ERROR, false);
    }
}
