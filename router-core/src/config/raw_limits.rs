//! The table `[limits]` as written.
//!
//! Not done here: ranges (`sending.rs`).

use serde::{Deserialize, Serialize};

/// The table `[limits]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// From the request's first byte to the start of the last attempt; 600000.
    pub deadline_ms: Option<i64>,
    /// Longest time to open a connection to an upstream; 5000.
    pub connect_timeout_ms: Option<i64>,
    /// Age at which a connection to an upstream is replaced; 600000.
    pub connection_max_age_ms: Option<i64>,
    /// Longest silence in a stream; 120000.
    pub idle_timeout_ms: Option<i64>,
    /// Longest time that a streamed answer is held for its first content; 10000.
    pub hold_ms: Option<i64>,
    /// The gap between two keep-alive comments; 10000.
    pub heartbeat_ms: Option<i64>,
    /// The longest answer that is not streamed; 67108864.
    pub max_answer_bytes: Option<i64>,
    /// The longest event of a stream; 16777216.
    pub max_event_bytes: Option<i64>,
    /// The most bytes of a stream before its first content, beyond three times the length of the request; 1048576.
    pub max_preamble_bytes: Option<i64>,
    /// Memory that all complete (not streamed) answers may hold together, in bytes; an eighth of the memory limit, else 134217728.
    pub response_memory_bytes: Option<i64>,
    /// Most messages, input items or tools in a request; 10000.
    pub max_messages: Option<i64>,
    /// Stored responses whose deployment is remembered; 100000.
    pub stored_responses: Option<i64>,
    /// The cooldown after a deployment's first fault, doubled by each further one; 1000.
    pub fault_cooldown_ms: Option<i64>,
    /// The longest cooldown after faults; 60000.
    pub fault_cooldown_max_ms: Option<i64>,
    /// The cooldown after 401, 403, 404 and 410; 60000.
    pub misconfigured_cooldown_ms: Option<i64>,
    /// The wait after a 429 of a provisioned deployment that names none; 500.
    pub provisioned_wait_ms: Option<i64>,
    /// The wait after a 429 of a pay-as-you-go deployment that names none; 5000.
    pub pay_as_you_go_wait_ms: Option<i64>,
    /// The longest wait accepted from an upstream; 60000.
    pub wait_max_ms: Option<i64>,
    /// Attempts after faults for each request, as a share, 0 to 1; 0.2.
    pub retry_budget_ratio: Option<f64>,
    /// Attempts after faults a second, however few the requests are; 10.
    pub retry_budget_per_second: Option<f64>,
    /// A stream silent for longer than this share of its deployment's first contents took is asked for elsewhere too,
    /// 0.5 to 0.9999; no default: never.
    pub hedge_quantile: Option<f64>,
    /// At most for this share of the requests, 0 to 1; 0.05.
    pub hedge_ratio: Option<f64>,
}
