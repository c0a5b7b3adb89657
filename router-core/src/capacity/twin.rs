//! The twin: our copy of a provisioned deployment's leaky bucket, corrected by its responses.
//!
//! Each call adds what it reserves and is corrected to its actual usage when it ends; meanwhile the
//! level drains. The copy drifts, because token counts are estimates, others may use the
//! deployment, and the window is undocumented. Every response is therefore evidence. A 429 with a
//! wait shows that the level is above the capacity by that much drain. A 200 shows that the level
//! was at most the capacity on arrival. A utilization header is a reading. Evidence about the past
//! corrects only what no newer evidence has corrected.
//!
//! Pure: `now` is an argument. Levels are in our own normalized tokens: if others use a part, ours
//! drain more slowly, and that slower rate is what matters ([`Drift`]).
//!
//! **Source:** Microsoft, "Provisioned throughput", the admission algorithm; the burst window is not documented.

use std::time::Duration;

use tokio::time::Instant;

use super::drift::Drift;
use super::probe::{Headroom, Probe};
use super::quota_weights::Sent;
use super::size::Size;

/// Amounts of one call, handed back with its outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Ticket {
    /// The normalized tokens reserved.
    pub reserved: f64,
    /// Tokens above the capacity when it was sent.
    pub(super) over: f64,
    /// Level including this call.
    pub(super) level: f64,
    /// Tokens added since the last evidence.
    pub(super) added: f64,
    /// Number of the last evidence.
    pub(super) evidence: u32,
    pub(super) sent: Option<Instant>,
    /// Amounts sent to the quota when the call entered.
    pub quota: Sent,
}

/// The last certain level, and the tokens added since.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Baseline {
    pub(super) at: Instant,
    /// Seconds of drain above the capacity; `None` if the bucket was empty.
    pub(super) over: Option<f64>,
    pub(super) added: f64,
}

/// The copy of a bucket.
///
/// ```
/// use std::time::Duration;
/// use router_core::capacity::{Size, Twin};
/// use router_core::units::Tokens;
/// use tokio::time::Instant;
/// let now = Instant::now();
/// let size = Size {
///     rate: 625.0, window: Duration::from_secs(10), output_ratio: 4.0,
///     missing_output: Tokens(4_096), cached_discount: 1.0,
/// };
/// let mut twin = Twin::new(size, now);
/// let ticket = twin.admit(now, size.reserved(Tokens(1_000), Tokens::ZERO, Some(Tokens(2_000))));
/// assert_eq!(twin.wait(now).as_millis().div_ceil(100), 44); // (9,000 - 6,250) / 625 seconds
/// twin.settle(now, ticket, 1_200.0);
/// assert_eq!(twin.wait(now), Duration::ZERO);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Twin {
    pub(super) size: Size,
    pub(super) drift: Drift,
    pub(super) level: f64,
    pub(super) at: Instant,
    pub(super) known: Baseline,
    /// The end of the wait that the deployment last requested in a 429.
    pub(super) refused_until: Option<Instant>,
    /// Normalized tokens reserved by running calls.
    reserved: f64,
    /// Decayed mean of what calls reserve.
    usual: f64,
    pub(super) evidence: u32,
    /// Decayed sum of tokens returned by ended calls. Its share per second is how fast the level falls in addition to draining.
    returned: f64,
    pub(super) unused: f64,
    /// The probes of the deployment while the twin believes it full.
    pub(super) doubt: Probe,
    /// Seconds of drain kept free after a refusal that the twin did not expect.
    pub(super) guard: Headroom,
}

/// Weight of the latest call in the mean of what calls reserve.
const USUAL_SHARE: f64 = 0.05;

/// Time constant of the average of returned tokens.
const RETURN_SECONDS: f64 = 5.0;

impl Twin {
    /// An empty bucket.
    pub fn new(size: Size, now: Instant) -> Self {
        Self {
            size,
            drift: Drift::new(size.rate, size.window.as_secs_f64()),
            level: 0.0,
            at: now,
            known: Baseline { at: now, over: None, added: 0.0 },
            refused_until: None,
            reserved: 0.0,
            usual: 0.0,
            evidence: 0,
            returned: 0.0,
            unused: 0.0,
            doubt: Probe::new(now),
            guard: Headroom::new(now),
        }
    }

    /// Configured size.
    pub fn size(&self) -> &Size {
        &self.size
    }

    /// Learned rate and window.
    pub(crate) fn drift(&self) -> &Drift {
        &self.drift
    }

    /// Normalized tokens in the bucket.
    pub fn level(&self, now: Instant) -> f64 {
        (self.level - self.drained(now)).max(0.0)
    }

    /// Normalized tokens that are 100 %.
    pub fn capacity(&self) -> f64 {
        self.drift.rate() * self.drift.window()
    }

    /// The level as a share of the capacity: 1.0 is 100 %.
    pub fn utilization(&self, now: Instant) -> f64 {
        self.level(now) / self.capacity()
    }

    /// Normalized tokens that drained away unused since the start: paid for, and wasted.
    pub fn unused(&self, now: Instant) -> f64 {
        self.unused + (self.drained(now) - self.level).max(0.0)
    }

    /// Time until the level is back at the capacity by draining alone; zero while there is capacity.
    pub fn wait(&self, now: Instant) -> Duration {
        self.wait_below(now, self.capacity())
    }

    /// Time until the level is at most `level`, by draining alone.
    pub(crate) fn wait_below(&self, now: Instant, level: f64) -> Duration {
        // A billionth more is rounding, not tokens.
        let over = self.level(now) - level - self.capacity() * 1e-9;
        let rate = self.drift.rate();
        seconds(over / rate + self.guard.seconds(now, self.known.added / rate))
    }

    /// The part of the level that running calls have reserved, in normalized tokens; what they do not use returns when they
    /// end.
    pub fn reserved(&self, now: Instant) -> f64 {
        self.reserved.min(self.level(now))
    }

    /// The time in which the deployment drains what a usual call reserves; zero before the first call.
    pub(super) fn turn(&self) -> f64 {
        self.usual / self.size.rate
    }

    pub(super) fn ended(&mut self, ticket: Ticket) {
        self.reserved = (self.reserved - ticket.reserved).max(0.0);
    }

    /// Time until `tokens` above `level` are gone if calls keep returning what they reserved beyond their use.
    pub(crate) fn expected_wait(&self, now: Instant, level: f64, ahead: f64) -> Duration {
        let over = self.level(now) - level + ahead;
        seconds(over / (self.drift.rate() + self.returning(now)))
    }

    /// A call is sent.
    pub fn admit(&mut self, now: Instant, reserved: f64) -> Ticket {
        self.drain(now);
        let ticket = Ticket {
            reserved,
            over: self.level - self.capacity(),
            level: self.level + reserved,
            added: self.known.added,
            evidence: self.evidence,
            sent: Some(now),
            quota: Sent::NONE,
        };
        let share = if self.usual > 0.0 { USUAL_SHARE } else { 1.0 };
        self.usual += (reserved - self.usual) * share;
        self.reserved += reserved;
        self.add(reserved);
        ticket
    }

    /// True if it is time to send a call although the twin says full.
    pub(crate) fn may_doubt(&self, now: Instant) -> bool {
        self.doubt.is_due(now) && self.level(now) > self.capacity()
    }

    /// Takes the right to send a call although the twin says full, to see whether it is right; it is given rarely, and more
    /// rarely each time the twin was right.
    pub(crate) fn doubts(&mut self, now: Instant) -> bool {
        let may = self.may_doubt(now);
        if may {
            self.doubt.asked(now);
        }
        may
    }

    /// The call failed, and it may never have been admitted. Its reservation is removed only if our own count added it; a
    /// level that the deployment has reported meanwhile stays, because it may not include the call.
    pub(crate) fn withdraw(&mut self, now: Instant, ticket: Ticket) {
        self.drain(now);
        self.ended(ticket);
        if ticket.evidence == self.evidence {
            self.add(-ticket.reserved);
        }
    }

    /// The call ended, and used so much.
    pub fn settle(&mut self, now: Instant, ticket: Ticket, used: f64) {
        self.drain(now);
        self.ended(ticket);
        let fade = ticket.reserved - used;
        if fade > 0.0 {
            self.returned += fade;
        }
        self.add(-fade);
    }

    pub(super) fn learned(&mut self, known: Baseline) {
        self.known = known;
        self.evidence = self.evidence.wrapping_add(1);
    }

    pub(super) fn add(&mut self, tokens: f64) {
        self.known.added += tokens;
        if self.level + tokens < 0.0 {
            self.emptied();
        }
        self.level = (self.level + tokens).max(0.0);
    }

    /// From an empty bucket on, what came before it no longer matters.
    fn emptied(&mut self) {
        self.learned(Baseline { at: self.at, over: None, added: 0.0 });
    }

    fn drained(&self, now: Instant) -> f64 {
        self.drift.rate() * self.age(now)
    }

    fn returning(&self, now: Instant) -> f64 {
        self.returned * (-self.age(now) / RETURN_SECONDS).exp() / RETURN_SECONDS
    }

    fn age(&self, now: Instant) -> f64 {
        now.saturating_duration_since(self.at).as_secs_f64()
    }

    /// Brings it up to `now`; a moment of the past changes nothing.
    pub(super) fn drain(&mut self, now: Instant) {
        let drained = self.drained(now);
        self.returned = self.returning(now) * RETURN_SECONDS;
        let unused = drained - self.level;
        self.level = (-unused).max(0.0);
        self.at = self.at.max(now);
        if unused > 0.0 {
            self.unused += unused;
            self.emptied();
        }
    }
}

fn seconds(value: f64) -> Duration {
    Duration::try_from_secs_f64(value.max(0.0)).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use azure_emulator::bucket::{Admission, Bucket, BucketSettings};
    use proptest::prelude::*;

    use super::*;
    use crate::capacity::convergence::size;
    use crate::units::Tokens;

    #[derive(Debug, Clone)]
    struct Call {
        after_ms: u64,
        prompt: u64,
        cached: u64,
        cap: Option<u64>,
        completion: u64,
        takes_ms: u64,
    }

    fn calls() -> impl Strategy<Value = Vec<Call>> {
        let counts = (0u64..3_000, 0u64..20_000, 0u64..20_000);
        let more = (proptest::option::of(0u64..8_000), 0u64..8_000, 1u64..20_000);
        let call =
            (counts, more).prop_map(|((after_ms, prompt, cached), (cap, completion, takes_ms))| {
                Call { after_ms, prompt, cached, cap, completion, takes_ms }
            });
        proptest::collection::vec(call, 1..80)
    }

    /// Calls in flight at the bucket and its twin.
    type Ongoing = Vec<(Instant, Admission, Ticket, Call)>;

    fn end_until(bucket: &mut Bucket, twin: &mut Twin, open: &mut Ongoing, now: Instant) {
        open.sort_by_key(|(end, ..)| *end);
        while open.first().is_some_and(|(end, ..)| *end <= now) {
            let (end, admission, ticket, call) = open.remove(0);
            bucket.settle(end, &admission, call.prompt, call.cached, call.completion);
            let (prompt, cached) = (Tokens(call.prompt), Tokens(call.cached));
            let used = twin.size().normalized(prompt, cached, Tokens(call.completion));
            twin.accepted(end, ticket);
            twin.settle(end, ticket, used);
        }
    }

    proptest! {
        /// With true counts and sole use the twin is never more than 2 % of the capacity off, refusals included.
        #[test]
        fn tracks_the_bucket(
            ptu in 1.0f64..500.0, window in 1u64..60, discount in 0.0f64..=1.0, calls in calls(),
        ) {
            let start = Instant::now();
            let mut settings = BucketSettings::new(ptu, 2_500.0, 4.0);
            settings.window = Duration::from_secs(window);
            settings.cached_discount = discount;
            let mut bucket = Bucket::new(settings, start).unwrap();
            let mut twin = Twin::new(size(&settings), start);
            let (mut now, mut open) = (start, Ongoing::new());
            for call in calls {
                now += Duration::from_millis(call.after_ms);
                end_until(&mut bucket, &mut twin, &mut open, now);
                let (prompt, cached) = (Tokens(call.prompt), Tokens(call.cached));
                let reserved = twin.size().reserved(prompt, cached, call.cap.map(Tokens));
                let ticket = twin.admit(now, reserved);
                match bucket.admit(now, call.prompt, call.cached, call.cap) {
                    Ok(admission) => {
                        let end = now + Duration::from_millis(call.takes_ms);
                        open.push((end, admission, ticket, call));
                    }
                    // The wire rounds waits up to whole milliseconds.
                    Err(full) => {
                        let millis = u64::try_from(full.wait.as_nanos().div_ceil(1_000_000));
                        twin.refused(now, ticket, Duration::from_millis(millis.unwrap()), None);
                    }
                }
                let off = (twin.level(now) - bucket.level(now)).abs() / bucket.capacity();
                prop_assert!(off < 0.02, "off by {off}");
            }
        }
    }
}
