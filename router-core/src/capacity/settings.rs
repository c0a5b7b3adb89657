//! What config says about capacity: how long to wait, what to reserve, what to keep together.

use std::time::Duration;

use crate::policy::Priority;
use crate::units::Tokens;

/// The table `[capacity]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// How long a request may be held for a provisioned deployment before it goes to pay-as-you-go.
    pub max_wait: Duration,
    /// How long it may be held where no pay-as-you-go deployment lies inside its residency; `None`: until its deadline.
    pub bound_wait: Option<Duration>,
    /// The most requests that wait for one deployment.
    pub queue_max: usize,
    /// How full of a provisioned deployment batch requests may use, 0 to 1.
    pub batch_limit: f64,
    /// What to reserve.
    pub reserve: Reserve,
    /// The share of answers that a learned cap lets end by themselves.
    pub learned_quantile: f64,
    /// How many answers must be seen before anything is claimed of the next.
    pub learned_samples: f64,
    /// The most callers whose answers are told apart.
    pub callers_max: u64,
    /// The answer that a provisioned deployment assumes of a request without a cap.
    pub missing_output: Tokens,
    /// The share of cached prompt tokens that counts nothing on a provisioned deployment.
    pub cached_discount: f64,
    /// How long a conversation stays where its prompt cache is.
    pub affinity: Duration,
    /// The most conversations remembered.
    pub conversations_max: u64,
    /// How long a deployment takes back to full traffic after its faults are over.
    pub ramp: Duration,
}

/// What a request reserves on a provisioned deployment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reserve {
    /// What the caller asked.
    #[default]
    Asked,
    /// A learned cap where it is tighter; an answer that it cut off is asked again with the caller's own.
    Learned,
}

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
            batch_limit: 0.8,
            reserve: Reserve::Asked,
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
    /// How full of a provisioned deployment a request may use.
    pub fn limit(&self, priority: Priority) -> f64 {
        match priority {
            Priority::Interactive => 1.0,
            Priority::Batch => self.batch_limit,
        }
    }
}
