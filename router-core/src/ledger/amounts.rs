//! Amounts of requests and keys: estimated, billed and used.

use crate::units::Tokens;
use crate::units::Usd;

use super::allowance::Span;

/// Expected use of a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Estimate {
    /// Its prompt, approximately.
    pub prompt: Tokens,
    /// Its answer: the maximum, or an estimate.
    pub output: Tokens,
    /// Expected cost; zero if no price is known.
    pub cost: Usd,
}

/// Actual use of a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bill {
    /// Prompt and answer, hidden reasoning included.
    pub tokens: Tokens,
    /// Cost; zero if no price is known.
    pub cost: Usd,
}

/// Use of a key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used {
    /// Requests begun in the last minute.
    pub requests: u64,
    /// Tokens in the last minute.
    pub tokens: u64,
    /// Running requests.
    pub in_flight: u64,
    /// Expected cost of running requests.
    pub held: Usd,
    /// Amount spent in this UTC day.
    pub day: Usd,
    /// Amount spent in this UTC month.
    pub month: Usd,
}

impl Used {
    /// Amount spent in the day or the month.
    pub fn spent(&self, span: Span) -> Usd {
        match span {
            Span::Day => self.day,
            Span::Month => self.month,
        }
    }
}
