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
    over: f64,
    /// Level including this call.
    level: f64,
    /// Tokens added since the last evidence.
    added: f64,
    /// Number of the last evidence.
    evidence: u32,
    sent: Option<Instant>,
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
    evidence: u32,
    /// Decayed sum of tokens returned by ended calls. Its share per second is how fast the level falls in addition to draining.
    returned: f64,
    pub(super) unused: f64,
    /// The probes of the deployment while the twin believes it full.
    pub(super) doubt: Probe,
    /// Seconds of drain kept free after a refusal that the twin did not expect.
    guard: Headroom,
}

/// Additional share of the capacity believed free for each successful probe in a row. A 200 says
/// only "at most"; without a guess beyond it a rate that is far too low would be found out slowly. A guess too high costs
/// one 429, which says exactly how much.
const DOUBT_SHARE: f64 = 0.05;

/// Time constant of the average of returned tokens.
const RETURN_SECONDS: f64 = 5.0;

/// Evidence within this much of what was expected corrects the level but teaches nothing about the deployment.
const TOLERANCE_SECONDS: f64 = 0.02;

/// A reading that differs from the expectation by less than this share of the capacity is ignored.
const READING_SHARE: f64 = 0.02;

/// Readings are compared over at least this time: each is only known to lie within some range.
const READING_SECONDS: f64 = 5.0;

/// A utilization above 100 % by less than this is rounded too much to derive a window from.
const LEAST_SHARE: f64 = 0.01;

/// Evidence closer together than this says more about rounding than about the rate.
pub(super) const LEAST_SECONDS: f64 = 1.0;

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
    pub fn drift(&self) -> &Drift {
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
    pub fn wait_below(&self, now: Instant, level: f64) -> Duration {
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

    fn ended(&mut self, ticket: Ticket) {
        self.reserved = (self.reserved - ticket.reserved).max(0.0);
    }

    /// Time until `tokens` above `level` are gone if calls keep returning what they reserved beyond their use.
    pub fn expected_wait(&self, now: Instant, level: f64, ahead: f64) -> Duration {
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
        self.reserved += reserved;
        self.add(reserved);
        ticket
    }

    /// True if it is time to send a call although the twin says full.
    pub fn may_doubt(&self, now: Instant) -> bool {
        self.doubt.is_due(now) && self.level(now) > self.capacity()
    }

    /// Takes the right to send a call although the twin says full, to see whether it is right; it is given rarely, and more
    /// rarely each time the twin was right.
    pub fn doubts(&mut self, now: Instant) -> bool {
        let may = self.may_doubt(now);
        if may {
            self.doubt.asked(now);
        }
        may
    }

    /// The call was admitted: on its arrival the level was at most the capacity.
    pub fn accepted(&mut self, now: Instant, ticket: Ticket) {
        self.drain(now);
        let Some(sent) = ticket.sent.filter(|_| ticket.evidence == self.evidence) else { return };
        let over = ticket.over / self.drift.rate();
        if over <= TOLERANCE_SECONDS {
            return;
        }
        let streak = self.doubt.was_right(now);
        let believed = self.capacity() * DOUBT_SHARE * f64::from(streak);
        let before = ticket.over + self.capacity();
        let since = sent.saturating_duration_since(self.known.at).as_secs_f64();
        match self.known.over {
            Some(above) => self.drift.drained(ticket.added + believed, since - above),
            None => self.drift.filled(before / self.drift.rate()),
        }
        self.level = (self.level - ticket.over - believed).max(0.0);
        self.learned(Baseline {
            at: sent,
            over: Some(0.0),
            added: self.known.added - ticket.added,
        });
    }

    /// The call was refused: the level is above the capacity by `wait` of drain. If the deployment also reports its
    /// utilization, both together give the window.
    pub fn refused(&mut self, now: Instant, ticket: Ticket, wait: Duration, told: Option<f64>) {
        self.drain(now);
        self.ended(ticket);
        self.add(-ticket.reserved);
        let over = wait.as_secs_f64();
        if let Some(share) = told.map(|utilization| utilization - 1.0)
            && share >= LEAST_SHARE
        {
            self.drift.filled(over / share);
        }
        let expected = (self.level - self.capacity()) / self.drift.rate();
        let since = now.saturating_duration_since(self.known.at).as_secs_f64();
        let mut known = Baseline { at: now, over: Some(over), added: 0.0 };
        match self.known.over {
            Some(above) if since >= LEAST_SECONDS => {
                self.drift.drained(self.known.added, over - above + since);
            }
            // Too soon to derive a rate: the earlier baseline stays.
            Some(_) => known = self.known,
            None if told.is_none() && expected < over - TOLERANCE_SECONDS => {
                self.drift.filled(self.level / self.drift.rate() - over);
            }
            None => {}
        }
        if ticket.over > 0.0 {
            self.doubt.was_wrong(now);
        } else {
            self.guard.refused(now, over - expected);
        }
        self.doubt.told(now, wait);
        self.refused_until = Some(now + wait);
        self.level = self.capacity() + over * self.drift.rate();
        self.learned(known);
    }

    /// The call failed, and it may never have been admitted. Its reservation is removed only if our own count added it; a
    /// level that the deployment has reported meanwhile stays, because it may not include the call.
    pub fn withdraw(&mut self, now: Instant, ticket: Ticket) {
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

    /// The deployment said in the head of an answer how full it is: 1.0 is 100 %. Whether it was so when the call arrived or
    /// when its answer began is not documented, so only what contradicts both moments is a reason to move.
    pub fn read(&mut self, now: Instant, ticket: Ticket, utilization: f64) {
        self.drain(now);
        // Evidence that may be older does not repeat a correction that newer evidence has made.
        if ticket.evidence != self.evidence || !(0.0..=100.0).contains(&utilization) {
            return;
        }
        let (told, near) = (utilization * self.capacity(), self.capacity() * READING_SHARE);
        // Nor whether what the call returns is in it.
        let (low, high) =
            (self.level.min(ticket.level) - ticket.reserved, self.level.max(ticket.level));
        let off = told - told.clamp(low - near, high + near);
        if off.abs() <= 0.0 {
            return;
        }
        let level = (self.level + off).max(0.0);
        let above = (level - self.capacity()) / self.drift.rate();
        let since = now.saturating_duration_since(self.known.at).as_secs_f64();
        let known = Baseline { at: now, over: (level > 0.0).then_some(above), added: 0.0 };
        self.level = level;
        let known = match self.known.over {
            // Too soon after the last evidence to learn a rate from; the level still counts.
            Some(_) if since < READING_SECONDS => self.known,
            Some(before) if level > 0.0 => {
                self.drift.drained(self.known.added, above - before + since);
                known
            }
            Some(_) | None => known,
        };
        self.learned(known);
    }

    pub(super) fn learned(&mut self, known: Baseline) {
        self.known = known;
        self.evidence = self.evidence.wrapping_add(1);
    }

    fn add(&mut self, tokens: f64) {
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
