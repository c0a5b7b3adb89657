//! The limits of one request and of the whole router: times, and numbers of attempts.

use std::time::Duration;

use crate::deployment::EndpointName;
use crate::state::Cooldowns;
use crate::stored::Unknown;
use crate::upstream::ConnectionLimits;

/// The limits of sending.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// From the first byte of the request to the last attempt's start; all attempts share it.
    pub deadline: Duration,
    /// The time to open a connection.
    pub connect_timeout: Duration,
    /// The longest use of a connection to an upstream, so that changes of DNS are seen.
    pub connection_max_age: Duration,
    /// The longest silence of a stream.
    pub idle_timeout: Duration,
    /// The longest hold of a streamed answer before its first content; after it, keep-alive comments
    /// go to the caller and a failure can only be an error event.
    pub hold: Duration,
    /// The gap between two keep-alive comments.
    pub heartbeat: Duration,
    /// The longest answer that is not streamed, in bytes.
    pub max_answer_bytes: usize,
    /// The longest event of a stream, in bytes.
    pub max_event_bytes: usize,
    /// The most bytes of a stream before its first content, beyond three times the length of the request.
    pub max_preamble_bytes: usize,
    /// The bytes that all answers that are not streamed may hold together; `None`: an eighth of the memory that this
    /// process may use.
    pub response_memory_bytes: Option<usize>,
    /// The most messages, input items or tools of a request.
    pub max_messages: usize,
    /// The most stored responses whose deployment is remembered.
    pub stored_responses: u64,
    /// The treatment of a stored response that is not known here.
    pub unknown_stored: Unknown,
    /// The endpoint of files and other passed-through objects; `None`: the only endpoint.
    pub objects_endpoint: Option<EndpointName>,
    /// The cooldown after the first fault of a deployment; doubled by each further one.
    pub fault_cooldown: Duration,
    /// The longest cooldown after faults.
    pub fault_cooldown_max: Duration,
    /// The cooldown of a deployment that answers 401, 403, 404 or 410, after which one request may try it again.
    pub misconfigured_cooldown: Duration,
    /// The wait after a 429 of a provisioned deployment that names none.
    pub provisioned_wait: Duration,
    /// The wait after a 429 of a pay-as-you-go deployment that names none.
    pub pay_as_you_go_wait: Duration,
    /// The longest accepted wait.
    pub wait_max: Duration,
    /// The budget of further attempts after faults.
    pub retry_budget: RetryBudget,
    /// Second attempts for streams that are slow to begin; `None` makes none.
    pub hedging: Option<Hedging>,
}

impl Limits {
    /// The time to open a connection, and its longest use.
    pub fn connections(&self) -> ConnectionLimits {
        ConnectionLimits { open: self.connect_timeout, max_age: self.connection_max_age }
    }

    /// The cooldowns of deployments after faults.
    pub fn cooldowns(&self) -> Cooldowns {
        Cooldowns {
            fault: self.fault_cooldown,
            fault_max: self.fault_cooldown_max,
            misconfigured: self.misconfigured_cooldown,
        }
    }
}

/// Limits of hedging: a second attempt elsewhere for a stream that is slow to begin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hedging {
    /// After a silence longer than this share of the deployment's first contents took, 0.5 to 0.9999.
    pub quantile: f64,
    /// At most for this share of the requests: 0.05 allows one for twenty.
    pub ratio: f64,
}

/// The further attempts after faults of the whole router, bounded so that an outage does not become a storm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetryBudget {
    /// Further attempts allowed for each request, as a share: 0.2 allows one for five requests.
    pub ratio: f64,
    /// Further attempts a second allowed however few the requests are.
    pub(crate) per_second: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(600),
            connect_timeout: Duration::from_secs(5),
            connection_max_age: Duration::from_secs(600),
            idle_timeout: Duration::from_secs(120),
            hold: Duration::from_secs(10),
            heartbeat: Duration::from_secs(10),
            max_answer_bytes: 64 << 20,
            max_event_bytes: 16 << 20,
            max_preamble_bytes: 1 << 20,
            response_memory_bytes: None,
            max_messages: 10_000,
            stored_responses: 100_000,
            unknown_stored: Unknown::Refuse,
            objects_endpoint: None,
            fault_cooldown: Duration::from_secs(1),
            fault_cooldown_max: Duration::from_secs(60),
            misconfigured_cooldown: Duration::from_secs(60),
            provisioned_wait: Duration::from_millis(500),
            pay_as_you_go_wait: Duration::from_secs(5),
            wait_max: Duration::from_secs(60),
            retry_budget: RetryBudget { ratio: 0.2, per_second: 10.0 },
            hedging: None,
        }
    }
}
