//! The policies to which the router is compared, each over the same buckets.
//!
//! They follow common practice, implemented as well as their rule allows: a 429 costs them no time,
//! and they use its wait to the millisecond if their rule uses it at all.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use azure_emulator::bucket::{Admission, Bucket, BucketFault, Full};
use azure_emulator::wire::throttled;
use tokio::time::Instant;

use crate::simulation_args::PolicyName;

use super::stage::Stage;
use super::tally::{Fate, ServedBy, Tally};
use super::workload::{Call, answer_time};

/// Longest wait of a caller under `wait-only`.
const PATIENCE: Duration = Duration::from_secs(60);

/// The cooldown of `cooldown-5s`.
const COOLDOWN: Duration = Duration::from_secs(5);

/// Something that happens later.
#[derive(Debug, Clone, Copy)]
enum Later {
    /// The answer of a call has ended.
    Settle { call: usize, tank: usize, admission: Admission },
    /// A call tries again.
    Retry { call: usize },
}

/// A provisioned deployment in play.
#[derive(Debug)]
struct Tap {
    pool: usize,
    bucket: Bucket,
    cool_until: Duration,
}

struct Replay<'s> {
    stage: &'s Stage,
    policy: PolicyName,
    base: Instant,
    taps: Vec<Tap>,
    later: Vec<Later>,
    /// The due times of `later`; of two at one moment the older goes first.
    due: BinaryHeap<Reverse<(Duration, usize)>>,
    tally: Tally,
}

/// Plays the stage under a policy other than the router's.
///
/// # Errors
/// A bucket of the stage holds nothing.
pub fn replay(stage: &Stage, policy: PolicyName) -> Result<Tally, BucketFault> {
    let base = Instant::now();
    let mut taps = Vec::new();
    for (pool, place) in stage.pools.iter().enumerate() {
        for tank in &place.tanks {
            let bucket = Bucket::new(tank.settings, base)?;
            taps.push(Tap { pool, bucket, cool_until: Duration::ZERO });
        }
    }
    let unknown = Fate::failed(Duration::ZERO, Duration::ZERO);
    let fates = vec![unknown; stage.calls.len()];
    let tally = Tally { policy, fates, refusals: 0 };
    let (later, due) = (Vec::new(), BinaryHeap::new());
    let mut replay = Replay { stage, policy, base, taps, later, due, tally };
    for (index, call) in stage.calls.iter().enumerate() {
        replay.until(call.at);
        replay.attempt(index, call, call.at);
    }
    replay.until(Duration::MAX);
    Ok(replay.tally)
}

impl Replay<'_> {
    /// Lets everything happen that is due by then.
    fn until(&mut self, now: Duration) {
        while let Some(Reverse((at, number))) = self.due.peek().copied()
            && at <= now
        {
            self.due.pop();
            match self.later.get(number).copied() {
                Some(Later::Settle { call, tank, admission }) => {
                    self.settle(at, call, tank, admission);
                }
                Some(Later::Retry { call: index }) => {
                    if let Some(call) = self.stage.calls.get(index).copied() {
                        self.attempt(index, &call, at);
                    }
                }
                None => {}
            }
        }
    }

    fn plan(&mut self, at: Duration, what: Later) {
        self.due.push(Reverse((at, self.later.len())));
        self.later.push(what);
    }

    fn settle(&mut self, at: Duration, call: usize, tank: usize, admission: Admission) {
        if let (Some(call), Some(tap)) = (self.stage.calls.get(call), self.taps.get_mut(tank)) {
            tap.bucket.settle(self.base + at, &admission, call.prompt, call.cached, call.output);
        }
    }

    /// Tries the provisioned deployments of the call's task in turn, then does what the policy says.
    fn attempt(&mut self, index: usize, call: &Call, now: Duration) {
        let Some(pool) = self.stage.pools.iter().position(|pool| pool.task == call.task) else {
            return;
        };
        let mut shortest: Option<Duration> = None;
        for tank in 0..self.taps.len() {
            match self.knock(tank, pool, call, now) {
                None => {}
                Some(Ok(admission)) => {
                    let end = now + answer_time(call.output);
                    self.plan(end, Later::Settle { call: index, tank, admission });
                    return self.served(index, call, now, ServedBy::Provisioned);
                }
                Some(Err(Full { wait })) => {
                    shortest = Some(shortest.map_or(wait, |known| known.min(wait)));
                }
            }
        }
        match shortest {
            Some(wait) if self.policy == PolicyName::WaitOnly => {
                let again = now + whole_milliseconds(wait);
                if again > call.at + PATIENCE {
                    self.tell(index, Fate::failed(now, now.saturating_sub(call.at)));
                } else {
                    self.plan(again, Later::Retry { call: index });
                }
            }
            _ => self.served(index, call, now, ServedBy::PayAsYouGo),
        }
    }

    /// Asks one deployment; `None` if it is another pool's or left alone.
    fn knock(
        &mut self,
        tank: usize,
        pool: usize,
        call: &Call,
        now: Duration,
    ) -> Option<Result<Admission, Full>> {
        let tap =
            self.taps.get_mut(tank).filter(|tap| tap.pool == pool && tap.cool_until <= now)?;
        let answer = tap.bucket.admit(self.base + now, call.prompt, call.cached, call.cap);
        if let Err(Full { wait }) = &answer {
            self.tally.refusals += 1;
            tap.cool_until = match self.policy {
                PolicyName::WholeSecond => {
                    now + Duration::from_secs(throttled::whole_seconds(*wait))
                }
                PolicyName::CooldownFiveSeconds => now + COOLDOWN,
                PolicyName::Router | PolicyName::AlwaysTry | PolicyName::WaitOnly => now,
            };
        }
        Some(answer)
    }

    fn served(&mut self, index: usize, call: &Call, now: Duration, by: ServedBy) {
        let Some(pool) = self.stage.pool(call) else { return };
        let usage = call.usage(call.output);
        let (usd, provisioned_tokens) = match by {
            ServedBy::Provisioned => (0.0, pool.normalized(&usage)),
            ServedBy::PayAsYouGo => (pool.price(&usage), 0.0),
            ServedBy::Nobody => (0.0, 0.0),
        };
        let added = now.saturating_sub(call.at);
        self.tell(index, Fate { sent: now, by, added, truncated: false, usd, provisioned_tokens });
    }

    fn tell(&mut self, index: usize, fate: Fate) {
        if let Some(place) = self.tally.fates.get_mut(index) {
            *place = fate;
        }
    }
}

/// A wait as `retry-after-ms` tells it.
fn whole_milliseconds(wait: Duration) -> Duration {
    let milliseconds = throttled::whole_milliseconds(wait).max(1);
    Duration::from_millis(u64::try_from(milliseconds).unwrap_or(u64::MAX))
}
