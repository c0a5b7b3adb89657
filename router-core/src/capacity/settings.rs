//! Capacity settings: how long to wait, what to reserve, how long to keep conversations together.

use std::time::Duration;

use crate::policy::Priority;
use crate::task::Task;
use crate::units::Tokens;

/// The table `[capacity]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Longest wait for a provisioned deployment before the request goes to pay-as-you-go.
    pub max_wait: Duration,
    /// The longest hold of a request if no pay-as-you-go deployment is inside its residency; `None`: the caller's
    /// own limit, else `usual_bound_wait`.
    pub bound_wait: Option<Duration>,
    /// The most requests that wait for one deployment.
    pub(crate) queue_max: usize,
    /// Default priority in the queue.
    pub queue_order: QueueOrder,
    /// Share of a provisioned deployment that batch requests may use, 0 to 1.
    pub(crate) batch_limit: f64,
    /// Reservation policy; `None`: learned if a request has no pay-as-you-go deployment to go to, else as requested.
    pub reserve: Option<Reserve>,
    /// The share of answers that a learned cap lets end by themselves.
    pub(crate) learned_quantile: f64,
    /// Answers needed before a length is predicted.
    pub(crate) learned_samples: f64,
    /// The most callers whose answers are distinguished.
    pub(crate) callers_max: u64,
    /// The answer that a provisioned deployment assumes of a request without a cap.
    pub missing_output: Tokens,
    /// The share of cached prompt tokens that counts nothing on a provisioned deployment.
    pub cached_discount: f64,
    /// The time for which a conversation prefers the deployment that holds its prompt cache.
    pub(crate) affinity: Duration,
    /// The most conversations remembered.
    pub conversations_max: u64,
    /// Time from the end of a deployment's faults to full traffic.
    pub ramp: Duration,
}

/// Cap with which a request enters a provisioned deployment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reserve {
    /// The caller's cap.
    #[default]
    Asked,
    /// A learned cap if it is tighter; an answer that it cuts off is requested again with the caller's cap.
    Learned,
}

/// Priority among the requests that wait for a deployment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum QueueOrder {
    /// Keys in turn, by tokens; within a key the oldest, and the newest while the queue is standing.
    #[default]
    Fair,
    /// The oldest, and the newest while the queue is standing; keys are not distinguished.
    ControlledDelay,
    /// The oldest.
    FirstCome,
}

impl QueueOrder {
    /// The value of that word of config.
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "fair" => Some(Self::Fair),
            "controlled_delay" => Some(Self::ControlledDelay),
            "first_come" => Some(Self::FirstCome),
            _ => None,
        }
    }
}

/// The longest hold of a request that names no wait and has no other deployment: a person who chats expects an
/// answer or a refusal sooner than one who requests reasoning.
pub(crate) fn usual_bound_wait(task: Task) -> Duration {
    match task {
        Task::Chat => Duration::from_secs(10),
        Task::Reasoning => Duration::from_secs(60),
    }
}

/// A request leaves a standing queue after this share of the usual wait. Measured with `simulate --no-spill`.
pub(crate) const STANDING_WAIT_SHARE: f64 = 0.15;

impl Reserve {
    /// The value of that word of config.
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "asked" => Some(Self::Asked),
            "learned" => Some(Self::Learned),
            _ => None,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_wait: Duration::from_millis(450),
            bound_wait: None,
            queue_max: 256,
            queue_order: QueueOrder::Fair,
            batch_limit: 0.8,
            reserve: None,
            learned_quantile: 0.999,
            learned_samples: 200.0,
            callers_max: 4_096,
            missing_output: Tokens(4_096),
            cached_discount: 1.0,
            affinity: Duration::from_secs(300),
            conversations_max: 65_536,
            ramp: Duration::from_secs(10),
        }
    }
}

impl Settings {
    /// Share of a provisioned deployment that a request may use.
    pub fn limit(&self, priority: Priority) -> f64 {
        match priority {
            Priority::Interactive => 1.0,
            Priority::Batch => self.batch_limit,
        }
    }
}
