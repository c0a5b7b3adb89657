//! A copy of the state of all deployments at a moment; a decision reads it.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use tokio::time::Instant;

use crate::model::ServiceTier;
use crate::policy::Priority;
use crate::task::Task;
use crate::units::DeploymentName;
use crate::units::Tokens;

use super::affinity::{CacheAffinity, Conversation};
use super::cooldown::{Cause, Cooldown};
use super::latency::Latency;
use super::overreservation::Overreservation;
use super::quota::Quota;
use super::reopening::Reopening;
use super::reservation::{CapClass, Expected, Load};
use super::twin::Twin;

/// What is known of one deployment.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct DeploymentState {
    /// Until when it is in cooldown.
    pub cooldown: Cooldown,
    /// How quick it is.
    pub latency: Latency,
    /// How many requests it is serving for us.
    pub in_flight: u32,
    /// How full it is; `None` if it is not provisioned.
    pub twin: Option<Twin>,
    /// What is left of its quota.
    pub quota: Quota,
    /// When requests may enter after a 429 of pay-as-you-go.
    pub reopening: Reopening,
    /// What the requests that entered were expected to use and to leave, the latest counting most.
    pub usual: Overreservation,
    /// It refuses large requests for a while.
    pub large: Option<TooLarge>,
}

/// How much earlier a request leaves for each token that it blocks beyond what is usual. Measured with `simulate`: 1 to 2 do
/// equally well on the published trace and on bursty ones, 4 leaves the deployment idle.
const BLOCKING_WEIGHT: f64 = 1.5;

/// An empty deployment takes any request.
const LEAST_MARK: f64 = 0.05;

/// A deployment refused a request for its size alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLarge {
    /// Requests from this size on are refused: prompt and cap.
    pub from: Tokens,
    /// Until then.
    pub until: Instant,
}

/// How a request would enter a provisioned deployment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Entry {
    /// What it weighs, with the cap it is sent with.
    pub load: Load,
    /// Who goes first.
    pub priority: Priority,
    /// How full of the deployment it may use, 0 to 1.
    pub limit: f64,
    /// How long its answer will be, nearly; `None` if nothing is known, or if it has nowhere else to go and so need
    /// not leave room to others.
    pub answer: Option<f64>,
    /// True if every other deployment was tried before: it enters one that is recovering as well.
    pub insists: bool,
    /// The most requests that the deployment may serve at once; `None` for no bound.
    pub most: Option<u32>,
    /// A number that identifies the key: keys share the queue.
    pub key: u64,
    /// The cap by which the queue weighs it: the learned one if it is tighter, also where it cannot be sent.
    pub likely_cap: Option<Tokens>,
    /// How long it stays in a standing queue; `None` if it has somewhere else to go.
    pub standing_wait: Option<Duration>,
    /// The service tier in which it enters.
    pub tier: ServiceTier,
}

impl DeploymentState {
    /// The cause and end of the cooldown that holds longest.
    pub fn cooling(&self, now: Instant) -> Option<(Cause, Instant)> {
        self.cooldown.holds(now)
    }

    /// The same of requests in a service tier.
    pub fn cooling_in(&self, tier: ServiceTier, now: Instant) -> Option<(Cause, Instant)> {
        self.cooldown.holds_in(tier, now)
    }

    /// How long until a request may enter: a provisioned deployment by draining alone, another one by the wait of its last 429.
    /// Zero where there is room.
    pub fn entry_wait(&self, entry: &Entry, now: Instant) -> Duration {
        match self.twin {
            Some(twin) => twin.wait_below(now, self.mark(entry) * twin.capacity()),
            None if entry.tier.is_special() => Duration::ZERO,
            None => self.throttled_wait(entry.tier, now).max(self.reopening.wait(now)),
        }
    }

    /// How long the wait of a 429 in a service tier still lasts; nothing may be sent before.
    pub fn throttled_wait(&self, tier: ServiceTier, now: Instant) -> Duration {
        match self.cooling_in(tier, now) {
            Some((Cause::Throttled, until)) => until.saturating_duration_since(now),
            Some((Cause::Unavailable | Cause::Fault | Cause::Misconfigured, _)) | None => {
                Duration::ZERO
            }
        }
    }

    /// The same with what running calls will return, behind `ahead` normalized tokens that wait already.
    pub fn expected_wait(&self, entry: &Entry, ahead: f64, now: Instant) -> Duration {
        let wait = |twin: Twin| twin.expected_wait(now, self.mark(entry) * twin.capacity(), ahead);
        self.twin.map_or_else(|| self.entry_wait(entry, now), wait)
    }

    /// True if it is time to probe a deployment that seems full; never for a request that must leave capacity to others.
    pub fn may_doubt(&self, entry: &Entry, now: Instant) -> bool {
        entry.limit >= 1.0 && self.twin.is_some_and(|twin| twin.may_doubt(now))
    }

    /// For how long it refuses a request of this size; zero if it should not.
    pub fn too_large(&self, load: &Load, now: Instant) -> Duration {
        let size = load.prompt + load.cap.unwrap_or_default();
        self.large
            .filter(|large| size >= large.from)
            .map_or(Duration::ZERO, |large| large.until.saturating_duration_since(now))
    }
}

impl DeploymentState {
    /// A request entered.
    pub fn entered(&mut self, entry: &Entry) {
        let blocking = self.twin.and_then(|twin| Overreservation::of(entry, twin.size()));
        if let Some(blocking) = blocking {
            self.usual.learn(blocking);
        }
    }

    /// The level up to which a request may enter, as a share of the capacity: all of it, or what is left to its priority; less
    /// for one that blocks more than is usual. As the deployment fills, those leave first.
    pub fn mark(&self, entry: &Entry) -> f64 {
        let Some(twin) = &self.twin else { return entry.limit };
        let blocking = Overreservation::of(entry, twin.size());
        let beyond = blocking.map_or(0.0, |blocking| blocking.beyond(&self.usual));
        (entry.limit - BLOCKING_WEIGHT * beyond / twin.capacity()).max(LEAST_MARK)
    }
}

/// Who asks: what decides which lengths and which home are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asker {
    /// The conversation.
    pub conversation: Conversation,
    /// A number that identifies the caller.
    pub caller: u64,
    /// A number that identifies the key.
    pub key: u64,
    /// How large its cap on the answer is.
    pub class: CapClass,
}

impl Asker {
    /// A `prompt_cache_key` for the conversation, the same in all replicas of one build. It holds no text, and another key's
    /// conversation of the same words has another.
    pub fn cache_key(&self) -> Box<str> {
        let mut hasher = DefaultHasher::new();
        (self.conversation, self.key).hash(&mut hasher);
        format!("{:016x}", hasher.finish()).into()
    }
}

/// What is known of all deployments, in the order of their names, and of who asks. Names that are not in it count as new:
/// free, with nothing learned.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// Sorted; shared by all snapshots of one configuration.
    names: Arc<[DeploymentName]>,
    /// In the order of the names.
    standings: Vec<DeploymentState>,
    /// A number that identifies the key.
    pub key: u64,
    /// A number that identifies the conversation.
    pub conversation: u64,
    /// Where the conversation was answered last.
    pub home: Option<CacheAffinity>,
    /// How long answers to reasoning tasks will be.
    pub reasoning: Option<Expected>,
    /// How long answers to chat tasks will be.
    pub chat: Option<Expected>,
}

impl Snapshot {
    /// A snapshot of these; names may come in any order.
    pub fn new(standings: impl IntoIterator<Item = (DeploymentName, DeploymentState)>) -> Self {
        let mut standings: Vec<_> = standings.into_iter().collect();
        if !standings.is_sorted_by(|(one, _), (other, _)| one <= other) {
            standings.sort_by(|(one, _), (other, _)| one.cmp(other));
        }
        let names = standings.iter().map(|(name, _)| name.clone()).collect();
        Self::of(names, standings.into_iter().map(|(_, standing)| standing))
    }

    /// A snapshot of these, in the order of the names, which are sorted.
    pub fn of(
        names: Arc<[DeploymentName]>,
        standings: impl IntoIterator<Item = DeploymentState>,
    ) -> Self {
        Self { names, standings: standings.into_iter().collect(), ..Self::default() }
    }

    /// What is known of a deployment.
    pub fn standing(&self, name: &DeploymentName) -> &DeploymentState {
        static NEW: LazyLock<DeploymentState> = LazyLock::new(DeploymentState::default);
        let at = self.names.binary_search(name).ok();
        at.and_then(|at| self.standings.get(at)).unwrap_or(&NEW)
    }

    /// How long answers to tasks of this kind will be.
    pub fn expected(&self, task: Task) -> Option<Expected> {
        match task {
            Task::Reasoning => self.reasoning,
            Task::Chat => self.chat,
        }
    }
}
