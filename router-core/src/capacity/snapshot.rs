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

/// State of one deployment at a moment.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[non_exhaustive]
pub struct DeploymentState {
    /// Cooldowns, and when they end.
    pub cooldown: Cooldown,
    /// Learned latency.
    pub latency: Latency,
    /// Requests in flight from this process.
    pub in_flight: u32,
    /// Model of the token bucket; `None` unless the deployment is provisioned.
    pub twin: Option<Twin>,
    /// Used and remaining quota.
    pub quota: Quota,
    /// The reopening after a 429 of pay-as-you-go.
    pub reopening: Reopening,
    /// Decayed average of the tokens that admitted requests use and overreserve.
    pub usual: Overreservation,
    /// Set while the deployment refuses large requests.
    pub large: Option<TooLarge>,
}

/// Lowers a request's entry level for each token it blocks beyond the usual. Measured with `simulate`: 1 to 2 do
/// equally well on the published trace and on bursty ones, 4 leaves the deployment idle.
const BLOCKING_WEIGHT: f64 = 1.5;

/// Lowest entry level: an empty deployment takes any request.
const LEAST_MARK: f64 = 0.05;

/// A deployment refused a request for its size alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLarge {
    /// Requests from this size on are refused: prompt and cap.
    pub from: Tokens,
    /// Until then.
    pub until: Instant,
}

/// Terms on which a request would enter a deployment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Entry {
    /// Size of the request, with the cap that is sent.
    pub load: Load,
    /// Queue priority.
    pub priority: Priority,
    /// Share of the deployment that the request may use, 0 to 1.
    pub limit: f64,
    /// Expected length of the answer in tokens; `None` if unknown, or if the request has no other deployment and need
    /// not leave capacity to others.
    pub answer: Option<f64>,
    /// True if every other deployment was tried before: the request then enters a recovering one too.
    pub insists: bool,
    /// Most requests that the deployment may serve at once; `None` for no bound.
    pub most: Option<u32>,
    /// Number that identifies the key; the queue is fair between keys.
    pub key: u64,
    /// Cap by which the queue weighs the request: the learned one if it is tighter, even if it is not sent.
    pub likely_cap: Option<Tokens>,
    /// Longest stay in a standing queue; `None` if the request has another deployment to go to.
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

    /// Time until a request may enter: by draining alone if the deployment is provisioned, else by the wait of its last 429.
    /// Zero if there is capacity.
    pub(crate) fn entry_wait(&self, entry: &Entry, now: Instant) -> Duration {
        match self.twin {
            Some(twin) => twin.wait_below(now, self.mark(entry) * twin.capacity()),
            None if entry.tier.is_special() => Duration::ZERO,
            None => self.throttled_wait(entry.tier, now).max(self.reopening.wait(now)),
        }
    }

    /// Remaining wait after a 429 in a service tier; nothing may be sent before it has passed.
    pub(crate) fn throttled_wait(&self, tier: ServiceTier, now: Instant) -> Duration {
        match self.cooling_in(tier, now) {
            Some((Cause::Throttled, until)) => until.saturating_duration_since(now),
            Some((Cause::Unavailable | Cause::Fault | Cause::Misconfigured, _)) | None => {
                Duration::ZERO
            }
        }
    }

    /// Time until a request may enter, counting what running calls will return, behind `ahead` queued normalized tokens.
    pub(crate) fn expected_wait(&self, entry: &Entry, ahead: f64, now: Instant) -> Duration {
        let wait = |twin: Twin| twin.expected_wait(now, self.mark(entry) * twin.capacity(), ahead);
        self.twin.map_or_else(|| self.entry_wait(entry, now), wait)
    }

    /// True if it is time to probe a deployment that seems full. Requests that must leave capacity to others never probe.
    pub(crate) fn may_doubt(&self, entry: &Entry, now: Instant) -> bool {
        entry.limit >= 1.0 && self.twin.is_some_and(|twin| twin.may_doubt(now))
    }

    /// Remaining time during which the deployment refuses requests of this size; zero if it accepts them.
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

/// Identity of a request for looking up learned lengths and cache affinity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asker {
    /// The conversation.
    pub conversation: Conversation,
    /// Number that identifies the caller.
    pub caller: u64,
    /// Number that identifies the key.
    pub key: u64,
    /// Class of the cap on the answer.
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

/// State of all deployments, and what is known of one request's conversation. A deployment without an entry counts as new:
/// free, nothing learned.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Snapshot {
    /// Sorted; shared by all snapshots of one configuration.
    names: Arc<[DeploymentName]>,
    /// In the order of the names.
    standings: Vec<DeploymentState>,
    /// Number that identifies the key.
    pub key: u64,
    /// Number that identifies the conversation.
    pub conversation: u64,
    /// Deployment that answered the conversation last.
    pub home: Option<CacheAffinity>,
    /// Expected length of answers to reasoning tasks.
    pub reasoning: Option<Expected>,
    /// Expected length of answers to chat tasks.
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

    /// State of one deployment.
    pub fn standing(&self, name: &DeploymentName) -> &DeploymentState {
        static NEW: LazyLock<DeploymentState> = LazyLock::new(DeploymentState::default);
        let at = self.names.binary_search(name).ok();
        at.and_then(|at| self.standings.get(at)).unwrap_or(&NEW)
    }

    /// Expected length of answers to tasks of this kind.
    pub fn expected(&self, task: Task) -> Option<Expected> {
        match task {
            Task::Reasoning => self.reasoning,
            Task::Chat => self.chat,
        }
    }
}
