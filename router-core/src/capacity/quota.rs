//! Estimates the remaining quota of a pay-as-you-go deployment: counted as Azure counts, corrected
//! by its response headers.
//!
//! Requests are also limited per second and per ten seconds, so a burst is refused long before the
//! minute's quota is used up. Tokens are counted on arrival: prompt and cap, by weights that are
//! learned. Azure's enforcement is distributed and approximate, so a prediction moves a deployment
//! later in the order and never removes it.
//!
//! **Source:** Microsoft, "Manage Azure OpenAI quota".

use std::time::Duration;

use tokio::time::Instant;

use crate::deployment::Budget;
use crate::units::Tokens;

use super::quota_weights::{QuotaWeights, Sent};
use super::reservation::Load;

/// Values of a response's `x-ratelimit-*` headers; `None` for missing ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QuotaReading {
    /// The limit on requests.
    pub requests: LimitReading,
    /// The limit on tokens.
    pub tokens: LimitReading,
}

/// Reported values of one limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LimitReading {
    /// Amount allowed per minute; below the configured amount while the pool is under pressure.
    pub limit: Option<u64>,
    /// Amount left.
    pub remaining: Option<u64>,
    /// Time until the count restarts.
    pub reset: Option<Duration>,
}

/// A count that starts again at fixed intervals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slice {
    length: Duration,
    used: u64,
    began: Option<Instant>,
}

impl Slice {
    const fn new(seconds: u64) -> Self {
        Self { length: Duration::from_secs(seconds), used: 0, began: None }
    }

    fn used(&self, now: Instant) -> u64 {
        if self.ends_in(now).is_zero() { 0 } else { self.used }
    }

    fn ends_in(&self, now: Instant) -> Duration {
        self.began
            .map_or(Duration::ZERO, |began| (began + self.length).saturating_duration_since(now))
    }

    fn take(&mut self, now: Instant, amount: u64) {
        if self.ends_in(now).is_zero() {
            (self.began, self.used) = (Some(now), 0);
        }
        self.used = self.used.saturating_add(amount);
    }

    /// Time until `amount` more fits under `limit`; zero if it fits now.
    fn wait(&self, now: Instant, amount: u64, limit: u64) -> Duration {
        let used = self.used(now);
        // An amount above the limit itself fits best at the start of a slice.
        let fits = used == 0 || used.saturating_add(amount) <= limit;
        if fits { Duration::ZERO } else { self.ends_in(now) }
    }

    fn read(&mut self, now: Instant, limit: u64, reading: LimitReading) {
        if let Some(remaining) = reading.remaining {
            let used = self.used(now);
            let length = self.length;
            if let Some(reset) = reading.reset.filter(|reset| !reset.is_zero() && *reset <= length)
            {
                self.began = now.checked_sub(length.saturating_sub(reset));
            } else if self.ends_in(now).is_zero() {
                self.began = Some(now);
            }
            // Answers overtake each other: what we have sent meanwhile is not in an older one's count.
            self.used = limit.saturating_sub(remaining).max(used);
        }
    }
}

/// The counts of one deployment.
///
/// ```
/// use router_core::capacity::{Load, Quota};
/// use router_core::deployment::Budget;
/// use tokio::time::Instant;
/// let now = Instant::now();
/// let budget = Budget { requests_per_minute: Some(600), tokens_per_minute: None };
/// let mut quota = Quota::new(budget);
/// let load = Load::default();
/// for _ in 0..10 {
///     quota.take(now, &load);
/// }
/// assert_eq!(quota.wait(now, &load).as_secs(), 1); // 600 a minute are 10 a second
/// let (requests, tokens) = quota.left(now);
/// assert_eq!(requests.map(|requests| (requests.left, requests.limit)), Some((590, 600)));
/// assert_eq!(tokens, None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quota {
    budget: Budget,
    weights: QuotaWeights,
    sent: Sent,
    requests: [Slice; 3],
    tokens: Slice,
    taken: Taken,
    /// Time of the last answer that stated the token limit; `None` while only the configuration does.
    read: Option<Instant>,
    /// The smallest load that was refused for exceeding the whole quota.
    refused: Option<Refused>,
}

/// A load that was refused for exceeding the whole quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Refused {
    counted: u64,
    at: Instant,
}

/// The time for which a reported limit may exclude a request. A pool under pressure lowers its limits for a
/// while, and only another answer raises them again.
const BELIEVED: Duration = Duration::from_secs(60);

/// Requests and tokens sent to a deployment since the start, as its quota counts them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Taken {
    /// Requests.
    pub requests: u64,
    /// Tokens.
    pub tokens: u64,
}

/// The remainder of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// Amount left.
    pub left: u64,
    /// Amount allowed.
    pub limit: u64,
}

impl Default for Quota {
    fn default() -> Self {
        Self::new(Budget::default())
    }
}

impl Quota {
    /// An unused quota.
    pub const fn new(budget: Budget) -> Self {
        Self {
            budget,
            weights: QuotaWeights::DOCUMENTED,
            sent: Sent::NONE,
            requests: [Slice::new(1), Slice::new(10), Slice::new(60)],
            tokens: Slice::new(60),
            taken: Taken { requests: 0, tokens: 0 },
            read: None,
            refused: None,
        }
    }

    /// Amounts that this process has sent since the start.
    pub const fn taken(&self) -> Taken {
        self.taken
    }

    /// Replaces the configured limits; the used amounts stay.
    pub(crate) fn set_budget(&mut self, budget: Budget) {
        self.budget = budget;
        (self.read, self.refused) = (None, None);
    }

    /// Tokens allowed per minute; `None` if neither the configuration nor a recent answer states a limit.
    pub fn limit(&self, now: Instant) -> Option<u64> {
        let current = self.read.is_none_or(|read| now.saturating_duration_since(read) < BELIEVED);
        self.budget.tokens_per_minute.filter(|_| current)
    }

    /// True if the request, as the deployment counts it, exceeds the quota of a whole minute, so that a refusal concerns it alone.
    pub(crate) fn is_exceeded_by(&self, load: &Load, now: Instant) -> bool {
        self.limit(now).is_some_and(|limit| self.weights.counted(load) > limit)
    }

    /// True if the deployment can never serve the request: its prompt or its cap alone exceeds the quota of a minute, or
    /// the deployment refused a request of this size a short while ago. Services differ in whether they add the two, so the
    /// sum excludes nothing by itself.
    ///
    /// ```
    /// use router_core::capacity::{Load, Quota};
    /// use router_core::deployment::Budget;
    /// use router_core::units::Tokens;
    /// use tokio::time::Instant;
    /// let (now, limit) = (Instant::now(), Some(1_000));
    /// let quota = Quota::new(Budget { requests_per_minute: None, tokens_per_minute: limit });
    /// let load = |characters, cap| Load { characters, cap: Some(Tokens(cap)), ..Load::default() };
    /// assert!(quota.excludes(&load(4_004, 0), now) && quota.excludes(&load(4, 1_001), now));
    /// assert!(!quota.excludes(&load(3_000, 700), now));
    /// ```
    pub fn excludes(&self, load: &Load, now: Instant) -> bool {
        let (least, counted) = (self.weights.larger_half(load), self.weights.counted(load));
        let refused = self.refused.filter(|refused| {
            now.saturating_duration_since(refused.at) < BELIEVED && counted >= refused.counted
        });
        refused.is_some() || self.limit(now).is_some_and(|limit| least > limit)
    }

    /// The deployment refused a request because it exceeds the whole quota, and may have stated the limit.
    pub fn refused(&mut self, now: Instant, load: &Load, limit: Option<u64>) {
        if limit.is_some() {
            self.budget.tokens_per_minute = limit;
            self.read = Some(now);
        }
        let held = self.refused.filter(|held| now.saturating_duration_since(held.at) < BELIEVED);
        let counted = self.weights.counted(load);
        let counted = held.map_or(counted, |held| held.counted.min(counted));
        self.refused = Some(Refused { counted, at: now });
    }

    /// Expected time during which the quota refuses such a request; zero if it has capacity.
    pub fn wait(&self, now: Instant, load: &Load) -> Duration {
        let requests = self.budget.requests_per_minute.into_iter().flat_map(|limit| {
            self.requests.iter().map(move |slice| {
                let share = limit.saturating_mul(slice.length.as_secs()).div_ceil(60).max(1);
                slice.wait(now, 1, share)
            })
        });
        let tokens = self.budget.tokens_per_minute;
        let tokens = tokens.map(|limit| self.tokens.wait(now, self.weights.counted(load), limit));
        requests.chain(tokens).max().unwrap_or_default()
    }

    /// The remaining requests and tokens of this minute; each is `None` if its limit is unknown.
    pub fn left(&self, now: Instant) -> (Option<Left>, Option<Left>) {
        let [.., minute] = &self.requests;
        let left =
            |limit: u64, slice: &Slice| Left { left: limit.saturating_sub(slice.used(now)), limit };
        (
            self.budget.requests_per_minute.map(|limit| left(limit, minute)),
            self.budget.tokens_per_minute.map(|limit| left(limit, &self.tokens)),
        )
    }

    /// A request is sent. Refused ones may count as well, so all do. What has been sent by then is compared with what its
    /// answer says is left.
    pub fn take(&mut self, now: Instant, load: &Load) -> Sent {
        let taken = Taken { requests: 1, tokens: self.weights.counted(load) };
        self.taken.requests = self.taken.requests.saturating_add(taken.requests);
        self.taken.tokens = self.taken.tokens.saturating_add(taken.tokens);
        self.count(now, taken);
        self.sent.add(load);
        self.sent
    }

    /// Other replicas sent this.
    pub(crate) fn take_elsewhere(&mut self, now: Instant, taken: Taken) {
        self.sent.add_elsewhere(Tokens(taken.tokens).as_f64());
        self.count(now, taken);
    }

    /// Learned weights of a token of the prompt, of its cached part and of the cap.
    pub fn weights(&self) -> [f64; 3] {
        self.weights.get()
    }

    fn count(&mut self, now: Instant, taken: Taken) {
        for slice in &mut self.requests {
            slice.take(now, taken.requests);
        }
        self.tokens.take(now, taken.tokens);
    }

    /// Learns from the remaining quota in a successful response; `sent` is what [`Self::take`] returned for its request.
    pub fn learn(&mut self, now: Instant, sent: Sent, reading: &QuotaReading) {
        if let Some(remaining) = reading.tokens.remaining {
            self.weights.learn(now, sent, remaining);
        }
    }

    /// The deployment said what is left.
    pub fn read(&mut self, now: Instant, reading: &QuotaReading) {
        let QuotaReading { requests, tokens } = *reading;
        self.budget.requests_per_minute = requests.limit.or(self.budget.requests_per_minute);
        self.budget.tokens_per_minute = tokens.limit.or(self.budget.tokens_per_minute);
        if tokens.limit.is_some() {
            self.read = Some(now);
        }
        let [.., minute] = &mut self.requests;
        if let Some(limit) = self.budget.requests_per_minute {
            minute.read(now, limit, requests);
        }
        if let Some(limit) = self.budget.tokens_per_minute {
            self.tokens.read(now, limit, tokens);
        }
    }
}

#[cfg(test)]
mod tests {
    use azure_emulator::quota::{Quota as True, QuotaSettings};
    use proptest::prelude::*;

    use super::*;

    fn load(characters: u64, cap: u64) -> Load {
        Load { characters, cap: Some(Tokens(cap)), ..Load::default() }
    }

    proptest! {
        /// A prediction of capacity is mostly right, and one of refusal ends, compared with the emulator's own count.
        #[test]
        fn agrees_with_the_emulator(
            rpm in 60u64..6_000, tpm in 10_000u64..1_000_000, steps in proptest::collection::vec(0u64..800, 300),
        ) {
            let start = Instant::now();
            let mut theirs = True::new(QuotaSettings::new(rpm, tpm), start);
            let mut ours = Quota::new(Budget {
                requests_per_minute: Some(rpm),
                tokens_per_minute: Some(tpm),
            });
            let (mut now, mut wrong) = (start, 0);
            for step in steps {
                now += Duration::from_millis(step);
                let load = load(400, 50);
                if !ours.wait(now, &load).is_zero() {
                    prop_assert!(ours.wait(now, &load) <= Duration::from_secs(60));
                    continue;
                }
                ours.take(now, &load);
                match theirs.admit(now, 400, Some(50)) {
                    Ok(left) => ours.read(now, &QuotaReading {
                        requests: LimitReading {
                            limit: Some(left.limit_requests),
                            remaining: Some(left.remaining_requests),
                            reset: Some(left.reset_requests),
                        },
                        tokens: LimitReading {
                            limit: Some(left.limit_tokens),
                            remaining: Some(left.remaining_tokens),
                            reset: Some(left.reset_tokens),
                        },
                    }),
                    Err(_) => wrong += 1,
                }
            }
            prop_assert!(wrong <= 60, "{wrong} of 300 refused unforeseen");
        }
    }

    #[test]
    fn a_request_larger_than_the_quota_is_excluded_and_a_stated_limit_is_believed_for_a_minute() {
        let now = Instant::now();
        let mut quota = Quota::default();
        assert!(!quota.excludes(&load(400_000, 0), now));
        quota.refused(now, &load(200_000, 0), Some(30_000));
        assert_eq!(quota.limit(now), Some(30_000));
        assert!(quota.excludes(&load(120_004, 0), now) && !quota.excludes(&load(400, 100), now));
        // Neither half exceeds the limit, and a request of that size was refused.
        quota.refused(now, &load(80_000, 20_000), None);
        assert!(quota.excludes(&load(80_000, 20_000), now));
        assert!(quota.is_exceeded_by(&load(80_000, 20_000), now));
        assert!(!quota.excludes(&load(80_000, 19_999), now));
        let later = now + BELIEVED;
        assert!(!quota.excludes(&load(400_000, 0), later) && quota.limit(later).is_none());
        quota.set_budget(Budget { requests_per_minute: None, tokens_per_minute: Some(1_000) });
        assert!(quota.excludes(&load(400_000, 0), later + BELIEVED), "config's limit stays");
    }

    #[test]
    fn a_lowered_limit_and_what_others_use_are_believed() {
        let now = Instant::now();
        let mut quota =
            Quota::new(Budget { requests_per_minute: None, tokens_per_minute: Some(9_000) });
        assert!(quota.wait(now, &load(4_000, 1_000)).is_zero());
        let tokens = LimitReading {
            limit: Some(3_000),
            remaining: Some(500),
            reset: Some(Duration::from_secs(20)),
        };
        quota.read(now, &QuotaReading { tokens, ..QuotaReading::default() });
        assert_eq!(quota.wait(now, &load(4_000, 1_000)), Duration::from_secs(20));
        assert!(quota.wait(now, &load(400, 100)).is_zero());
        assert!(quota.wait(now + Duration::from_secs(20), &load(4_000, 1_000)).is_zero());
    }
}
