//! The table `[traces]` as written.

use std::collections::BTreeMap;

use router_core::config::raw::SecretReference;
use serde::{Deserialize, Serialize};

/// The table `[traces]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Traces {
    /// The OpenTelemetry collector to which spans go by OTLP over HTTP: its base, such as `http://localhost:4318`, or all of
    /// its path, ending with `/v1/traces`; no default: no spans.
    pub(crate) endpoint: Option<String>,
    /// Headers that it asks for, each with the place of its secret; none.
    pub(crate) headers: BTreeMap<String, SecretReference>,
    /// The share of traces begun here that is kept, 0 to 1; 1. A caller that is traced already decides for its own.
    pub(crate) sample_ratio: Option<f64>,
    /// The name of this service in traces; `OTEL_SERVICE_NAME`, else model-router.
    pub(crate) service_name: Option<String>,
}
