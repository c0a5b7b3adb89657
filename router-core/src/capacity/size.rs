//! The size of a provisioned deployment's bucket, and the share of it that a call uses.

use std::time::Duration;

use crate::chat::Usage;
use crate::units::Tokens;

/// The size of a bucket and how calls count.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Size {
    /// Normalized tokens drained in a second.
    pub rate: f64,
    /// Seconds that a full bucket takes to drain.
    pub window: Duration,
    /// Normalized tokens per output token.
    pub output_ratio: f64,
    /// The answer that the deployment assumes of a call without a cap.
    pub missing_output: Tokens,
    /// The share of cached prompt tokens that counts nothing, 0 to 1.
    pub cached_discount: f64,
}

impl Size {
    /// The normalized tokens that a call reserves on arrival.
    pub fn reserved(&self, prompt: Tokens, cached: Tokens, cap: Option<Tokens>) -> f64 {
        self.normalized(prompt, cached, cap.unwrap_or(self.missing_output))
    }

    /// The normalized tokens that an answer used.
    pub fn used(&self, usage: &Usage) -> f64 {
        self.normalized(usage.prompt, usage.cached, usage.completion)
    }

    /// The normalized tokens of a prompt and an answer.
    pub fn normalized(&self, prompt: Tokens, cached: Tokens, output: Tokens) -> f64 {
        let free = cached.min(prompt).as_f64() * self.cached_discount;
        self.output_ratio.mul_add(output.as_f64(), prompt.as_f64() - free)
    }
}
