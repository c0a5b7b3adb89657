//! Captures every line that the router logs during the tests, so that a test can require or forbid
//! lines.
//!
//! One subscriber serves the whole program, so lines of concurrent tests are mixed: a test searches
//! for its own names.

use std::io::Write;
use std::sync::{LazyLock, Mutex, PoisonError};

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

static LINES: Mutex<Vec<u8>> = Mutex::new(Vec::new());

static CAPTURE: LazyLock<()> = LazyLock::new(|| {
    // Everything of our own, at every level: a secret at trace level is as lost as one at error level.
    let targets = Targets::new()
        .with_default(LevelFilter::INFO)
        .with_targets([("router_core", LevelFilter::TRACE), ("router_server", LevelFilter::TRACE)]);
    let layer = tracing_subscriber::fmt::layer().json().with_writer(Lines);
    tracing_subscriber::registry().with(targets).with(layer).init();
});

/// Starts to keep what is logged.
pub(crate) fn capture() {
    LazyLock::force(&CAPTURE);
}

/// All lines so far.
pub(crate) fn lines() -> Vec<String> {
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner).clone();
    String::from_utf8(lines).unwrap().lines().map(str::to_owned).collect()
}

/// The lines that hold a text.
pub(crate) fn lines_with(text: &str) -> Vec<String> {
    lines().into_iter().filter(|line| line.contains(text)).collect()
}

#[derive(Debug, Clone, Copy)]
struct Lines;

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LINES.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        *self
    }
}
