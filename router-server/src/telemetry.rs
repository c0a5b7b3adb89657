//! The form of log lines: text for a person at a terminal, JSON for whatever else reads.
//!
//! What is logged is said where it happens; no line holds text of a request or an answer, or a secret.

use std::io::{self, IsTerminal};

use router_core::config::LogForm;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

/// Starts logging to standard output.
///
/// # Errors
/// The process logs already.
pub(crate) fn start(form: LogForm, filter: Targets) -> Result<(), TryInitError> {
    let json = match form {
        LogForm::Json => true,
        LogForm::Text => false,
        LogForm::Auto => !io::stdout().is_terminal(),
    };
    let layer = tracing_subscriber::fmt::layer();
    let lines = tracing_subscriber::registry().with(filter);
    if json {
        lines.with(layer.json().flatten_event(true).with_current_span(false)).try_init()
    } else {
        lines.with(layer.with_ansi(false)).try_init()
    }
}
