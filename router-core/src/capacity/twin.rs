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
use super::outstanding::Outstanding;
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

/// The last reported level: at `at` it was above the capacity by `over` seconds of drain.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LevelReading {
    /// When.
    pub at: Instant,
    /// Seconds of drain; below zero if it was below the capacity.
    pub over: f64,
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
    pub(super) told: Option<LevelReading>,
    /// Tokens that this process has added, less what its calls returned.
    pub(super) net: f64,
    pub(super) open: Outstanding,
    /// Seconds of drain left to replicas whose turn comes before ours.
    pub(super) spacing: f64,
    evidence: u32,
    /// Decayed sum of tokens returned by ended calls. Its share per second is how fast the level falls in addition to draining.
    returned: f64,
    pub(super) unused: f64,
    /// When and how often the deployment was last asked although the twin said full.
    pub(super) doubt: Probe,
    /// Seconds of drain kept free after a refusal although it saw capacity.
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

/// A utilization above 100 % by less than this is too much rounded to tell a window from.
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
            told: None,
            net: 0.0,
            open: Outstanding::default(),
            spacing: 0.0,
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
        seconds(over / rate + self.guard.seconds(now, self.known.added / rate) + self.spacing)
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
        self.add(reserved);
        self.open.begun(reserved);
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
        self.was_told(now);
    }

    /// The call was refused: the level is above the capacity by `wait` of drain. Where the deployment says as well by which
    /// share, both together tell the window.
    pub fn refused(&mut self, now: Instant, ticket: Ticket, wait: Duration, told: Option<f64>) {
        self.drain(now);
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
            // Too soon to tell a rate: what was known before goes on being compared with.
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
        self.level = self.capacity() + over * self.drift.rate();
        self.learned(known);
        self.was_told(now);
    }

    /// The call failed, and whether it was ever admitted is not known. What it reserved goes as far as our own count put it
    /// there; what the deployment has told meanwhile stands, since the call may not have been in it.
    pub fn withdraw(&mut self, now: Instant, ticket: Ticket) {
        self.drain(now);
        self.open.withdrawn(ticket.reserved);
        if ticket.evidence == self.evidence {
            self.add(-ticket.reserved);
        }
    }

    /// The call ended, and used so much.
    pub fn settle(&mut self, now: Instant, ticket: Ticket, used: f64) {
        self.drain(now);
        self.open.ended(ticket.reserved, used);
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
        self.was_told(now);
    }

    fn was_told(&mut self, at: Instant) {
        let over = (self.level - self.capacity()) / self.drift.rate();
        self.told = Some(LevelReading { at, over });
    }

    pub(super) fn learned(&mut self, known: Baseline) {
        self.known = known;
        self.evidence = self.evidence.wrapping_add(1);
    }

    fn add(&mut self, tokens: f64) {
        self.net += tokens;
        self.put(tokens);
    }

    pub(super) fn put(&mut self, tokens: f64) {
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
    use crate::units::Tokens;

    fn size(settings: &BucketSettings) -> Size {
        Size {
            rate: settings.ptu * settings.input_tpm_per_ptu / 60.0,
            window: settings.window,
            output_ratio: settings.output_ratio,
            missing_output: Tokens(settings.missing_max_tokens),
            cached_discount: settings.cached_discount,
        }
    }

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

    /// How the deployment reports its utilization: not at all, or in the head of each answer as it is then, or was when the
    /// call arrived. A refusal reports it as well.
    #[derive(Clone, Copy, PartialEq)]
    enum Header {
        Missing,
        Fresh,
        Old,
    }

    /// What differs between the deployment and what config says of it.
    #[derive(Clone, Copy)]
    struct World {
        rate: f64,
        window: f64,
        others: f64,
        token_error: f64,
        header: Header,
    }

    const SAME: World =
        World { rate: 1.0, window: 1.0, others: 0.0, token_error: 0.0, header: Header::Missing };

    /// A call under way at the deployment.
    struct Flight {
        end: Instant,
        admission: Admission,
        ticket: Ticket,
        prompt: u64,
        completion: u64,
        reading: f64,
    }

    impl Flight {
        fn land(&self, bucket: &mut Bucket, twin: &mut Twin, header: Header) {
            let Self { end, ticket, prompt, completion, .. } = *self;
            bucket.settle(end, &self.admission, prompt, 0, completion);
            match header {
                Header::Missing => {}
                Header::Fresh => twin.read(end, ticket, bucket.utilization(end)),
                Header::Old => twin.read(end, ticket, self.reading),
            }
            twin.accepted(end, ticket);
            let used = twin.size().normalized(Tokens(prompt), Tokens(0), Tokens(completion));
            twin.settle(end, ticket, used);
        }
    }

    /// Runs `minutes` of traffic at 1.3 times what the deployment has left, sent if the twin sees capacity (or probes), and
    /// gives for each minute the share of the calls sent that were refused, and the room used of what there was.
    fn run(world: World, minutes: usize) -> Vec<(f64, f64)> {
        let start = Instant::now();
        let mut settings = BucketSettings::new(60.0 * world.rate, 2_500.0, 4.0);
        settings.window = Duration::from_secs(10).mul_f64(world.window);
        let mut bucket = Bucket::new(settings, start).unwrap();
        let config = BucketSettings::new(60.0, 2_500.0, 4.0);
        let mut twin = Twin::new(size(&config), start);
        let mut seed = 7u64;
        let mut dice = |most: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040);
            (seed >> 33) % most
        };
        let left = bucket.rate() * (1.0 - world.others);
        let (mut out, mut open) = (Vec::new(), Vec::<Flight>::new());
        let (mut sent, mut refused, mut used_in_minute) = (0.0, 0.0, 0.0);
        // 1,000 normalized tokens a call on average, 100 ms a step.
        let per_step = left * 0.1 * 1.3 / 1_000.0;
        let mut owed = 0.0;
        for step in 1..=minutes * 600 {
            let now = start + Duration::from_millis(100) * u32::try_from(step).unwrap();
            bucket.add(now, bucket.rate() * 0.1 * world.others);
            owed += per_step;
            for landed in open.extract_if(.., |flight| flight.end <= now) {
                Flight { end: now, ..landed }.land(&mut bucket, &mut twin, world.header);
            }
            while owed >= 1.0 {
                owed -= 1.0;
                let (prompt, completion) = (dice(1_200), dice(200));
                let cap = completion + dice(200);
                if !twin.wait(now).is_zero() && !twin.doubts(now) {
                    continue;
                }
                sent += 1.0;
                let seen = Tokens(prompt).as_f64() * (1.0 + world.token_error);
                let ticket = twin.admit(now, seen + 4.0 * Tokens(cap).as_f64());
                match bucket.admit(now, prompt, 0, Some(cap)) {
                    Ok(admission) => {
                        used_in_minute +=
                            Tokens(prompt).as_f64() + 4.0 * Tokens(completion).as_f64();
                        let end = now + Duration::from_millis(300 + completion * 16);
                        let reading = bucket.utilization(now);
                        open.push(Flight { end, admission, ticket, prompt, completion, reading });
                    }
                    Err(full) => {
                        refused += 1.0;
                        let told =
                            (world.header != Header::Missing).then(|| bucket.utilization(now));
                        twin.refused(now, ticket, full.wait, told);
                    }
                }
            }
            if step % 600 == 0 {
                out.push((refused / f64::max(sent, 1.0), used_in_minute / (left * 60.0)));
                (sent, refused, used_in_minute) = (0.0, 0.0, 0.0);
            }
        }
        out
    }

    /// How soon it is right again: the minute from which on at most 5 % of the calls sent are refused and at least 95 % of the
    /// capacity is used. `docs/simulate.md` repeats the table.
    #[test]
    fn evidence_brings_it_back() {
        let (fresh, old) = (Header::Fresh, Header::Old);
        for (name, world, from) in [
            ("nothing wrong", SAME, 0),
            ("rate half of config's", World { rate: 0.5, ..SAME }, 2),
            ("rate twice config's", World { rate: 2.0, ..SAME }, 0),
            ("window half of config's", World { window: 0.5, ..SAME }, 0),
            ("window twice config's", World { window: 2.0, ..SAME }, 3),
            ("prompts counted 10 % too high", World { token_error: 0.1, ..SAME }, 0),
            ("prompts counted 10 % too low", World { token_error: -0.1, ..SAME }, 0),
            ("others use 30 %", World { others: 0.3, ..SAME }, 2),
            ("header", World { header: fresh, ..SAME }, 0),
            ("rate half, header", World { rate: 0.5, header: fresh, ..SAME }, 2),
            ("rate twice, header", World { rate: 2.0, header: fresh, ..SAME }, 0),
            ("window half, header", World { window: 0.5, header: fresh, ..SAME }, 3),
            ("window twice, header", World { window: 2.0, header: fresh, ..SAME }, 3),
            ("others, header", World { others: 0.3, header: fresh, ..SAME }, 2),
            ("old header", World { header: old, ..SAME }, 0),
            ("rate half, old header", World { rate: 0.5, header: old, ..SAME }, 0),
            ("rate twice, old header", World { rate: 2.0, header: old, ..SAME }, 0),
            ("window half, old header", World { window: 0.5, header: old, ..SAME }, 0),
            ("window twice, old header", World { window: 2.0, header: old, ..SAME }, 2),
            ("others, old header", World { others: 0.3, header: old, ..SAME }, 2),
        ] {
            let minutes = run(world, 12);
            let right = |(refused, used): &(f64, f64)| *refused <= 0.05 && *used >= 0.95;
            let wrong = minutes.iter().rposition(|minute| !right(minute));
            assert_eq!(wrong.map_or(0, |at| at + 1), from, "{name}: {minutes:.3?}");
        }
    }
}
