//! The errors of setting up the export of spans.

use http::HeaderName;
use router_core::upstream::SecretFault;

use crate::config::Config;

/// The reason why no spans can be made; no secret and no address is in it.
#[derive(Debug, thiserror::Error)]
pub enum TraceFault {
    /// This program was built without them.
    #[error("traces: this program was built without the feature otel")]
    NotBuilt,
    /// The value of a header cannot be read.
    #[error("traces.headers.{header}: {fault}")]
    Header {
        /// The header.
        header: HeaderName,
        /// The cause.
        fault: SecretFault,
    },
    /// A variable of OpenTelemetry's says what cannot be.
    #[error("environment variable {variable}: {problem}")]
    Environment {
        /// The variable.
        variable: &'static str,
        /// The fault.
        problem: &'static str,
    },
    /// There is nothing to send them with.
    #[error("traces: {0}")]
    Exporter(Box<str>),
    /// The registry holds their metric already.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

impl TraceFault {
    /// The fault of a configuration with `[traces]` in a program that was built without them.
    pub(crate) fn of_build(config: &Config) -> Option<Self> {
        (config.traces.is_some() && !cfg!(feature = "otel")).then_some(Self::NotBuilt)
    }
}
