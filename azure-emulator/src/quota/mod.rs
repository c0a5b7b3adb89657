//! The quota of a pay-as-you-go deployment: its remaining requests and tokens.
//!
//! Azure counts two things for each deployment. Tokens: an estimate made on arrival (prompt
//! characters, not a tokenizer, plus the output cap) is added to a running count that is reset
//! every minute. Requests: the per-minute limit is enforced over slices of 1 s or 10 s, so that a
//! 600-RPM deployment refuses the eleventh request within one second. **Source:** Azure OpenAI
//! docs, "manage quota".
//!
//! Pure like the bucket: `now` is an argument. Slices are aligned to the moment the quota was
//! made. What Azure does not publish (the guess for a missing cap, whether refused calls count) is
//! a setting. Real enforcement is distributed and approximate; this one is exact.

use std::time::Duration;
use tokio::time::Instant;

const MINUTE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);
const TEN_SECONDS: Duration = Duration::from_secs(10);

/// Prompt characters per token in the estimate.
const CHARACTERS_PER_TOKEN: u64 = 4;

/// Over which slices of a minute requests are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RequestSlices {
    /// A sixtieth of the limit each second.
    Second,
    /// A sixth of the limit each ten seconds.
    TenSeconds,
    /// Both at once.
    #[default]
    Both,
}

/// Limits and weights of a [`Quota`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QuotaSettings {
    /// Requests per minute.
    pub rpm: u64,
    /// Tokens per minute.
    pub tpm: u64,
    /// Slices over which `rpm` is enforced, beside the minute itself.
    pub slices: RequestSlices,
    /// The output assumed on arrival when the request names no cap.
    pub missing_max_tokens: u64,
    /// True if refused requests use up the request limit as well.
    pub count_rejected: bool,
    /// Weights of a request's parts.
    pub weights: Weights,
}

/// Weights of a request's parts against the token limit.
///
/// Azure documents that prompt and cap count in full. For the Responses API public measurements
/// show that the cap does not count, so services differ.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weights {
    /// A token of the prompt that is not in the cache.
    pub prompt: f64,
    /// A token of the prompt that is in the cache.
    pub cached: f64,
    /// A token of the output cap.
    pub cap: f64,
}

impl Weights {
    /// Everything counts in full, as documented.
    pub const DOCUMENTED: Self = Self { prompt: 1.0, cached: 1.0, cap: 1.0 };
}

/// Size of a call on arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Arrival {
    /// Characters of the prompt.
    pub prompt_chars: u64,
    /// Prompt characters that are in the prompt cache.
    pub cached_chars: u64,
    /// The output cap; `None` if the call names none.
    pub max_tokens: Option<u64>,
}

impl QuotaSettings {
    /// Both slices, a guess of 16 tokens for a missing cap, refused calls not counted.
    pub const fn new(rpm: u64, tpm: u64) -> Self {
        Self {
            rpm,
            tpm,
            slices: RequestSlices::Both,
            missing_max_tokens: 16,
            count_rejected: false,
            weights: Weights::DOCUMENTED,
        }
    }
}

/// The limit that refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Requests per minute, or per slice of it.
    Requests,
    /// Tokens per minute.
    Tokens,
}

/// A limit is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{limit:?} used up for another {wait:?}")]
pub struct OverQuota {
    /// The limit that refused.
    pub limit: Limit,
    /// Until the slice or minute in question ends.
    pub wait: Duration,
    /// Tokens this request asked for (its estimate).
    pub requested_tokens: u64,
}

/// Values of the `x-ratelimit-*` headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotaReading {
    /// Requests per minute in force.
    pub limit_requests: u64,
    /// Requests left in this minute.
    pub remaining_requests: u64,
    /// Until the request count starts again.
    pub reset_requests: Duration,
    /// Tokens per minute in force.
    pub limit_tokens: u64,
    /// Tokens left in this minute.
    pub remaining_tokens: u64,
    /// Until the token count starts again.
    pub reset_tokens: Duration,
}

/// A count that starts again at fixed intervals.
#[derive(Debug, Clone)]
struct Slice {
    length: Duration,
    limit: u64,
    used: u64,
    began: Instant,
}

impl Slice {
    const fn new(length: Duration, limit: u64, now: Instant) -> Self {
        Self { length, limit, used: 0, began: now }
    }

    /// Starts again if the slice has passed; slices stay aligned to the first one.
    fn turn(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.began);
        if elapsed >= self.length {
            let into = elapsed.as_nanos() % self.length.as_nanos();
            let into = Duration::from_nanos(u64::try_from(into).unwrap_or(0));
            self.began = now.checked_sub(into).unwrap_or(now);
            self.used = 0;
        }
    }

    const fn left(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }

    fn ends_in(&self, now: Instant) -> Duration {
        self.length.saturating_sub(now.saturating_duration_since(self.began))
    }
}

/// The request and token counts of one pay-as-you-go deployment.
///
/// ```
/// use azure_emulator::quota::{Limit, Quota, QuotaSettings};
/// use tokio::time::Instant;
///
/// let now = Instant::now();
/// let mut quota = Quota::new(QuotaSettings::new(600, 100_000), now);
/// for _ in 0..10 {
///     quota.admit(now, 400, Some(100)).expect("600 a minute are 10 a second");
/// }
/// let refused = quota.admit(now, 400, Some(100)).expect_err("the eleventh within a second");
/// assert_eq!(refused.limit, Limit::Requests);
/// assert_eq!(quota.reading(now).remaining_tokens, 100_000 - 10 * 200);
/// ```
#[derive(Debug, Clone)]
pub struct Quota {
    settings: QuotaSettings,
    slices: Vec<Slice>,
    minute: Slice,
    tokens: Slice,
}

impl Quota {
    /// A quota of which nothing is used.
    pub fn new(settings: QuotaSettings, now: Instant) -> Self {
        let second = Slice::new(SECOND, settings.rpm.div_ceil(60), now);
        let ten_seconds = Slice::new(TEN_SECONDS, settings.rpm.div_ceil(6), now);
        let slices = match settings.slices {
            RequestSlices::Second => vec![second],
            RequestSlices::TenSeconds => vec![ten_seconds],
            RequestSlices::Both => vec![second, ten_seconds],
        };
        Self {
            settings,
            slices,
            minute: Slice::new(MINUTE, settings.rpm, now),
            tokens: Slice::new(MINUTE, settings.tpm, now),
        }
    }

    /// Tokens counted for a call on arrival: characters of the prompt plus the output cap, each by
    /// its weight.
    pub fn estimate(&self, arrival: Arrival) -> u64 {
        let Weights { prompt, cached, cap } = self.settings.weights;
        let Arrival { prompt_chars, cached_chars, max_tokens } = arrival;
        let output = max_tokens.unwrap_or(self.settings.missing_max_tokens);
        let in_cache = cached_chars.min(prompt_chars) / CHARACTERS_PER_TOKEN;
        let rest = prompt_chars.div_ceil(CHARACTERS_PER_TOKEN).saturating_sub(in_cache);
        weighted(rest, prompt)
            .saturating_add(weighted(in_cache, cached))
            .saturating_add(weighted(output, cap))
    }

    /// Counts a call, if both limits have room for it.
    ///
    /// # Errors
    /// The limit that refused and the time until it is counted again; of several, the longest.
    pub fn admit(
        &mut self,
        now: Instant,
        prompt_chars: u64,
        max_tokens: Option<u64>,
    ) -> Result<QuotaReading, OverQuota> {
        self.arrive(now, Arrival { prompt_chars, max_tokens, ..Arrival::default() })
    }

    /// The same of a call whose prompt may be in the cache.
    ///
    /// # Errors
    /// Like [`Self::admit`].
    pub fn arrive(&mut self, now: Instant, arrival: Arrival) -> Result<QuotaReading, OverQuota> {
        self.turn(now);
        let requested_tokens = self.estimate(arrival);
        let requests = self
            .request_slices()
            .filter(|slice| slice.left() == 0)
            .map(|slice| (slice.ends_in(now), Limit::Requests))
            .max_by_key(|(wait, _)| *wait);
        let tokens = (self.tokens.left() < requested_tokens)
            .then(|| (self.tokens.ends_in(now), Limit::Tokens));
        let refused = requests.into_iter().chain(tokens).max_by_key(|(wait, _)| *wait);
        if refused.is_none() || self.settings.count_rejected {
            self.count_request();
        }
        if let Some((wait, limit)) = refused {
            return Err(OverQuota { limit, wait, requested_tokens });
        }
        self.tokens.used += requested_tokens;
        Ok(self.reading(now))
    }

    /// Amounts left now.
    pub fn reading(&self, now: Instant) -> QuotaReading {
        let mut current = self.clone();
        current.turn(now);
        QuotaReading {
            limit_requests: current.minute.limit,
            remaining_requests: current.minute.left(),
            reset_requests: current.minute.ends_in(now),
            limit_tokens: current.tokens.limit,
            remaining_tokens: current.tokens.left(),
            reset_tokens: current.tokens.ends_in(now),
        }
    }

    /// Lowers (or restores) the token limit in force, as Azure does under pool pressure. The
    /// counts go on.
    pub const fn limit_tokens(&mut self, tpm: u64) {
        self.tokens.limit = tpm;
    }

    /// The settings that it was created with.
    pub const fn settings(&self) -> &QuotaSettings {
        &self.settings
    }

    fn request_slices(&self) -> impl Iterator<Item = &Slice> {
        self.slices.iter().chain([&self.minute])
    }

    fn count_request(&mut self) {
        for slice in self.slices.iter_mut().chain([&mut self.minute]) {
            slice.used = slice.used.saturating_add(1);
        }
    }

    fn turn(&mut self, now: Instant) {
        for slice in self.slices.iter_mut().chain([&mut self.minute, &mut self.tokens]) {
            slice.turn(now);
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "tokens of one call are far below 2^52"
)]
fn weighted(tokens: u64, weight: f64) -> u64 {
    (tokens as f64 * weight).round() as u64
}

#[cfg(test)]
mod tests;
