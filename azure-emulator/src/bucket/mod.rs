//! The leaky bucket of a provisioned deployment: its level, and how long it refuses.
//!
//! Azure describes a leaky bucket: a call is admitted while the *current* level is not above
//! 100 %, whatever the call itself will add; it adds an estimate on arrival, is corrected to its
//! real cost when it ends, and all the time the level drains at a constant rate. One call may
//! therefore push the level far above the capacity, and the wait of the next refusal says by how
//! much. **Source:** Azure OpenAI docs, "provisioned throughput", the leaky-bucket variant.
//!
//! The type is pure: `now` is an argument, nothing is spawned or slept on, so that a simulator can
//! run it in virtual time. It does not know requests, HTTP or tokenizers.

use std::time::Duration;
use tokio::time::Instant;

/// A level this much above the capacity (as a share of it) still counts as 100 %.
///
/// Floating point sums would otherwise refuse a call that has waited exactly as long as told.
const ROUNDING: f64 = 1e-8;

/// Size and speed of a [`Bucket`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BucketSettings {
    /// Provisioned throughput units; a fraction is allowed, so that a simulation can scale.
    pub ptu: f64,
    /// Input tokens per minute that one unit serves.
    pub input_tpm_per_ptu: f64,
    /// Input tokens that one output token counts as.
    pub output_ratio: f64,
    /// Seconds of drain between 0 % and 100 %. Azure does not publish the figure.
    pub window: Duration,
    /// The output assumed on arrival when the request names no cap. Azure does not publish it.
    pub missing_max_tokens: u64,
    /// The share of cached prompt tokens that costs nothing, 0 to 1 ("up to 100 %").
    pub cached_discount: f64,
}

impl BucketSettings {
    /// Settings with the usual window (10 s), output guess (4,096) and full cache discount.
    pub const fn new(ptu: f64, input_tpm_per_ptu: f64, output_ratio: f64) -> Self {
        Self {
            ptu,
            input_tpm_per_ptu,
            output_ratio,
            window: Duration::from_secs(10),
            missing_max_tokens: 4_096,
            cached_discount: 1.0,
        }
    }

    /// The published rates of `model`; `None` when no table names it.
    ///
    /// **Source:** Azure OpenAI docs, "provisioned throughput sizing", tables of May 2026.
    pub fn for_model(model: &str, ptu: f64) -> Option<Self> {
        let (input_tpm_per_ptu, output_ratio) = match model {
            "gpt-5.5" => (1_200.0, 6.0),
            "gpt-5.4" => (2_400.0, 6.0),
            "gpt-5.2" | "gpt-5.2-codex" | "gpt-5.3-codex" => (3_400.0, 8.0),
            "gpt-5" | "gpt-5.1" | "gpt-5.1-codex" => (4_750.0, 8.0),
            "gpt-5-mini" => (23_750.0, 8.0),
            "gpt-4.1" | "o3" => (3_000.0, 4.0),
            "gpt-4.1-mini" => (14_900.0, 4.0),
            "gpt-4.1-nano" => (59_400.0, 4.0),
            "o4-mini" => (5_400.0, 4.0),
            "gpt-4o" | "o3-mini" => (2_500.0, 4.0),
            "gpt-4o-mini" => (37_000.0, 4.0),
            "o1" => (230.0, 4.0),
            _ => return None,
        };
        Some(Self::new(ptu, input_tpm_per_ptu, output_ratio))
    }

    /// Normalized tokens of a call: prompt less the cached discount, plus weighted output.
    fn cost(&self, prompt: u64, cached: u64, output: u64) -> f64 {
        let free = tokens(cached.min(prompt)) * self.cached_discount;
        self.output_ratio.mul_add(tokens(output), tokens(prompt) - free)
    }
}

/// The reason why a [`Bucket`] cannot be made of some [`BucketSettings`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BucketFault {
    /// Units times tokens per unit is not a positive number.
    #[error("ptu and input_tpm_per_ptu must be above 0")]
    Rate,
    /// A window of nothing holds nothing.
    #[error("window must be above 0 s")]
    Window,
    /// The output ratio is negative or not a number.
    #[error("output_ratio must be 0 or more")]
    Ratio,
    /// The discount is not a share.
    #[error("cached_discount must be between 0 and 1")]
    Discount,
}

/// Reservation of an admitted call; pass it to [`Bucket::settle`] once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Admission {
    reserved: f64,
}

impl Admission {
    /// Normalized tokens that were added on arrival.
    pub const fn reserved(&self) -> f64 {
        self.reserved
    }
}

/// The bucket is above 100 %.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("above capacity for another {wait:?}")]
pub struct Full {
    /// Time until the level is back at the capacity if nothing else changes it.
    pub wait: Duration,
}

/// The utilization of one provisioned deployment.
///
/// ```
/// use azure_emulator::bucket::{Bucket, BucketSettings};
/// use std::time::Duration;
/// use tokio::time::Instant;
///
/// // gpt-4o on 15 units: 625 normalized tokens per second, 6,250 are 100 %.
/// let now = Instant::now();
/// let mut bucket = Bucket::new(BucketSettings::new(15.0, 2_500.0, 4.0), now)?;
/// let call = bucket.admit(now, 1_000, 0, Some(2_000)).expect("an empty bucket admits");
/// assert_eq!(call.reserved(), 9_000.0);
///
/// let full = bucket.admit(now, 10, 0, Some(1)).expect_err("9,000 is above 6,250");
/// assert_eq!(full.wait, Duration::from_millis(4_400)); // (9,000 - 6,250) / 625
///
/// bucket.settle(now, &call, 1_000, 0, 50); // it wrote 50 tokens, not 2,000
/// assert!(bucket.admit(now, 10, 0, Some(1)).is_ok());
/// # Ok::<(), azure_emulator::bucket::BucketFault>(())
/// ```
#[derive(Debug, Clone)]
pub struct Bucket {
    settings: BucketSettings,
    rate: f64,
    capacity: f64,
    level: f64,
    level_at: Instant,
}

impl Bucket {
    /// An empty bucket.
    ///
    /// # Errors
    /// Settings that hold or drain nothing, or are not numbers.
    pub fn new(settings: BucketSettings, now: Instant) -> Result<Self, BucketFault> {
        let rate = settings.ptu * settings.input_tpm_per_ptu / 60.0;
        let positive = settings.ptu > 0.0 && settings.input_tpm_per_ptu > 0.0;
        if !(positive && rate.is_finite() && rate > 0.0) {
            return Err(BucketFault::Rate);
        }
        if settings.window.is_zero() {
            return Err(BucketFault::Window);
        }
        if !(settings.output_ratio.is_finite() && settings.output_ratio >= 0.0) {
            return Err(BucketFault::Ratio);
        }
        if !(0.0..=1.0).contains(&settings.cached_discount) {
            return Err(BucketFault::Discount);
        }
        let capacity = rate * settings.window.as_secs_f64();
        Ok(Self { settings, rate, capacity, level: 0.0, level_at: now })
    }

    /// Admits a call unless the level is above the capacity *now*; the call's own size plays no
    /// part in the decision.
    ///
    /// # Errors
    /// [`Full`] with the time until the level is back at the capacity.
    pub fn admit(
        &mut self,
        now: Instant,
        prompt: u64,
        cached: u64,
        max_tokens: Option<u64>,
    ) -> Result<Admission, Full> {
        self.drain(now);
        if self.level > self.capacity * (1.0 + ROUNDING) {
            return Err(Full { wait: wait_for((self.level - self.capacity) / self.rate) });
        }
        let output = max_tokens.unwrap_or(self.settings.missing_max_tokens);
        let reserved = self.settings.cost(prompt, cached, output);
        self.level += reserved;
        Ok(Admission { reserved })
    }

    /// Replaces the estimate of an admitted call by what it really used.
    ///
    /// `completion` includes hidden reasoning tokens. Call it once for each admission, also for a
    /// call that broke off (with what it had used until then).
    #[expect(clippy::too_many_arguments, reason = "one call's three counts, as usage records go")]
    pub fn settle(
        &mut self,
        now: Instant,
        admission: &Admission,
        prompt: u64,
        cached: u64,
        completion: u64,
    ) {
        let used = self.settings.cost(prompt, cached, completion);
        self.add(now, used - admission.reserved);
    }

    /// Adds load that did not come through [`Bucket::admit`]: other callers of the deployment. A
    /// negative amount takes load away.
    pub fn add(&mut self, now: Instant, normalized_tokens: f64) {
        self.drain(now);
        self.level = (self.level + normalized_tokens).max(0.0);
    }

    /// The level as a share of the capacity: 1.0 is 100 %.
    pub fn utilization(&self, now: Instant) -> f64 {
        self.level(now) / self.capacity
    }

    /// Normalized tokens in the bucket.
    pub fn level(&self, now: Instant) -> f64 {
        let drained = self.rate * now.saturating_duration_since(self.level_at).as_secs_f64();
        (self.level - drained).max(0.0)
    }

    /// Normalized tokens that are 100 %.
    pub const fn capacity(&self) -> f64 {
        self.capacity
    }

    /// Normalized tokens drained in a second.
    pub const fn rate(&self) -> f64 {
        self.rate
    }

    /// The settings that it was created with.
    pub const fn settings(&self) -> &BucketSettings {
        &self.settings
    }

    /// Brings the level up to date. A `now` of the past changes nothing.
    fn drain(&mut self, now: Instant) {
        self.level = self.level(now);
        self.level_at = self.level_at.max(now);
    }
}

/// Token counts of one call are far below 2^52, where `f64` is exact.
#[expect(clippy::cast_precision_loss, reason = "token counts are far below 2^52")]
const fn tokens(count: u64) -> f64 {
    count as f64
}

/// Seconds as a wait; one too long for a `Duration` becomes the longest.
fn wait_for(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests;
