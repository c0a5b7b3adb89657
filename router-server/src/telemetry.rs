//! The format of log lines (text at a terminal, else JSON), and which lines are written.
//!
//! A level applies to this project's crates only: libraries log addresses of upstreams (`reqwest`,
//! `hyper_util`) and parts of headers (`h2`), which none of our lines contains. A library's lines
//! are written only if the filter names its target.
//!
//! Not done here: the content of lines, and the thread that writes those of requests (`line_writer.rs`).

use std::io::{self, IsTerminal, Stdout, Write};
use std::sync::OnceLock;

use tracing::Metadata;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::config::LogForm;
use crate::line_writer::LineWriter;

/// The crates whose lines name no endpoint, held to it by tests; and the target of refusals for residency.
const OWN: [&str; 5] = ["router_core", "router_server", "router_lab", "azure_emulator", "audit"];

/// The filter as asked for, with its bare level kept from libraries.
fn own(asked: &Targets) -> Targets {
    let level = asked.default_level().unwrap_or(LevelFilter::OFF);
    let own = Targets::new().with_targets(OWN.map(|target| (target, level)));
    // Later ones win: a level by module overrides the bare one.
    own.with_targets(asked.iter())
}

/// Takes the lines of requests as JSON, once logging has started in that form. They are written without the layers of the log,
/// which cost several times the line.
static JSON_REQUESTS: OnceLock<LineWriter> = OnceLock::new();

/// The writer of request lines as JSON; `None` if the log has another form, or another subscriber.
pub(crate) fn json_requests() -> Option<&'static LineWriter> {
    JSON_REQUESTS.get()
}

/// The target of the lines of requests.
pub(crate) const REQUESTS: &str = "router_server::request_log";

/// Standard output. Lines of requests are many, so that they are written in batches; all others are there at once.
#[derive(Debug)]
struct Output {
    requests: Option<LineWriter>,
}

/// The destination of one line.
enum Line {
    AtOnce(Stdout),
    Batched(LineWriter),
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::AtOnce(out) => out.write(bytes),
            Self::Batched(writer) => writer.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::AtOnce(out) => out.flush(),
            Self::Batched(_) => Ok(()),
        }
    }
}

impl<'w> MakeWriter<'w> for Output {
    type Writer = Line;

    fn make_writer(&'w self) -> Line {
        Line::AtOnce(io::stdout())
    }

    fn make_writer_for(&'w self, line: &Metadata<'_>) -> Line {
        match &self.requests {
            Some(writer) if line.target() == REQUESTS => Line::Batched(writer.clone()),
            Some(_) | None => self.make_writer(),
        }
    }
}

/// The lines of requests that are still to be written. Dropping it waits for them.
#[derive(Debug)]
pub(crate) struct Pending(Option<LineWriter>);

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(writer) = &self.0 {
            writer.flush();
        }
    }
}

/// Starts logging to standard output.
///
/// # Errors
/// The process logs already.
pub(crate) fn start(form: LogForm, filter: &Targets) -> Result<Pending, TryInitError> {
    let json = match form {
        LogForm::Json => true,
        LogForm::Text => false,
        LogForm::Auto => !io::stdout().is_terminal(),
    };
    // Without a thread each line is written at once.
    let requests = LineWriter::start(io::stdout()).ok();
    let pending = Pending(requests.clone());
    let layer = tracing_subscriber::fmt::layer().with_writer(Output { requests });
    let lines = tracing_subscriber::registry().with(own(filter));
    if json {
        lines.with(layer.json().flatten_event(true).with_current_span(false)).try_init()?;
        if let Some(writer) = pending.0.clone() {
            // Logging starts once in a process.
            drop(JSON_REQUESTS.set(writer));
        }
    } else {
        lines.with(layer.with_ansi(false)).try_init()?;
    }
    Ok(pending)
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
