//! Orders the eligible deployments: those with capacity first, then by the configured tiers, then
//! those already paid for, then by preference. Deployments that are equal in all of this share
//! requests (`spread.rs`).

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::capacity::Admission;
use crate::capacity::Cause;
use crate::capacity::DeploymentState;
use crate::capacity::Snapshot;
use crate::chat::Usage;
use crate::deployment::Deployment;
use crate::deployment::EndpointName;
use crate::deployment::pricing;
use crate::policy::ModelChoice;
use crate::policy::Preference;
use crate::policy::Target;

use super::constraints::{Candidate, Eligible, Exclusion, Place, Rank};
use super::needs::Needs;
use super::spread::{Equal, turns};
use super::tiers::TierOrder;

/// Inputs of the order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Preferences<'p> {
    /// The caller's preference.
    pub(crate) prefer: Preference,
    /// The requested models, the preferred one first, and the deployment to try first.
    pub(crate) choice: &'p ModelChoice,
    /// Needs of the request.
    pub(crate) needs: &'p Needs,
    /// The service tiers that serve it.
    pub(crate) tiers: TierOrder,
    /// The terms on which it asks for capacity.
    pub(crate) admission: &'p Admission,
    /// Time from the end of a deployment's faults to full traffic.
    pub(crate) ramp: Duration,
    /// The endpoint that can read the request's encrypted items.
    pub(crate) reader: Option<&'p EndpointName>,
}

impl Preferences<'_> {
    /// True if the deployment can decrypt the request's items and few others can.
    fn is_reader(&self, deployment: &Deployment) -> bool {
        self.reader == Some(&deployment.endpoint)
    }

    /// Longest wait for a pay-as-you-go deployment after a 429. For a provisioned one the twin predicts the wait.
    fn patience(&self, deployment: &Deployment) -> Duration {
        let reader = if self.is_reader(deployment) {
            self.admission.reader_patience
        } else {
            Duration::ZERO
        };
        let held = if deployment.is_held_for() { self.admission.patience } else { Duration::ZERO };
        reader.max(held)
    }

    /// True if the deployment holds the conversation's prompt cache, which is worth a short wait.
    fn is_cached(&self, deployment: &Deployment) -> bool {
        self.admission.load.cached.0 > 0 && self.admission.home.as_ref() == Some(&deployment.name)
    }
}

/// Below this share of its capacity a provisioned deployment calls conversations back that had to leave it.
const RETURN_BELOW: f64 = 0.5;

/// Puts eligible deployments into the order of attempts: those with capacity now or soon enough, provisioned
/// before pay-as-you-go, then by preference; those that failed recently last. Those without capacity are excluded, with
/// the reason.
pub(crate) fn order(
    eligible: Eligible,
    preferences: Preferences<'_>,
    snapshot: &Snapshot,
    now: Instant,
) -> Vec<Candidate> {
    let common = Common {
        pinned: pinned(&eligible, preferences, snapshot, now),
        tier_is_named: eligible.0.iter().any(|entry| preferences.tiers.is_named(entry)),
    };
    let mut ranked: Vec<(SortKey, Candidate)> = eligible
        .0
        .into_iter()
        .map(|deployment| {
            let standing = snapshot.standing(&deployment.name);
            let place = place(&deployment, standing, preferences, now);
            let candidate = Candidate { deployment, place };
            (sort_key(&candidate, common, preferences), candidate)
        })
        .collect();
    ranked.sort_by_key(|(key, _)| *key);
    for equals in ranked.chunk_by_mut(|(one, _), (other, _)| one == other) {
        share(equals, snapshot, now);
    }
    ranked.into_iter().map(|(_, candidate)| candidate).collect()
}

/// Puts equals into the order of the conversation.
fn share(equals: &mut [(SortKey, Candidate)], snapshot: &Snapshot, now: Instant) {
    let is_in = |candidate: &Candidate| matches!(candidate.place, Place::In(_));
    if equals.len() < 2 || !equals.first().is_some_and(|(_, candidate)| is_in(candidate)) {
        return;
    }
    let seen = |(_, candidate): &(SortKey, Candidate)| {
        let deployment = &candidate.deployment;
        Equal::of(deployment, snapshot.standing(&deployment.name), now)
    };
    let all: Vec<Equal> = equals.iter().map(seen).collect();
    let mut placed: Vec<_> = turns(&all, snapshot.conversation)
        .into_iter()
        .zip(equals.iter().map(|(_, candidate)| candidate.clone()))
        .collect();
    placed.sort_by(|(one, _), (other, _)| one.cmp(other));
    for ((_, place), (_, candidate)) in equals.iter_mut().zip(placed) {
        *place = candidate;
    }
}

/// True if the conversation left a full provisioned deployment, its new home holds a cache worth keeping, and no
/// provisioned deployment has enough capacity for it to return.
fn pinned(
    eligible: &Eligible,
    preferences: Preferences<'_>,
    snapshot: &Snapshot,
    now: Instant,
) -> bool {
    let spilled = snapshot.home.as_ref().is_some_and(|home| home.spilled);
    let roomy = |deployment: &Arc<Deployment>| {
        let twin = snapshot.standing(&deployment.name).twin.as_ref();
        twin.is_some_and(|twin| twin.utilization(now) < RETURN_BELOW)
    };
    spilled && preferences.admission.load.cached.0 > 0 && !eligible.0.iter().any(roomy)
}

fn place(
    deployment: &Deployment,
    standing: &DeploymentState,
    preferences: Preferences<'_>,
    now: Instant,
) -> Place {
    let Preferences { needs, admission, ramp, .. } = preferences;
    let busy = deployment.max_in_flight.is_some_and(|most| standing.in_flight >= most);
    let entry = admission.entry(deployment);
    // No wait changes this.
    if standing.quota.excludes(&entry.load, now) {
        return Place::Out(Exclusion::ExceedsQuota);
    }
    let mut asked = Duration::ZERO;
    let failing = match standing.cooling_in(deployment.tier(), now) {
        Some((Cause::Throttled, until)) if until - now <= preferences.patience(deployment) => {
            asked = until - now;
            false
        }
        Some((cause @ (Cause::Throttled | Cause::Unavailable | Cause::Misconfigured), until)) => {
            return Place::Out(Exclusion::Cooling { cause, wait: until - now });
        }
        Some((Cause::Fault, _)) => true,
        None => !standing.cooldown.admits(now, standing.in_flight, ramp),
    };
    if busy {
        return Place::Out(Exclusion::InFlight);
    }
    let too_large = standing.too_large(&entry.load, now);
    if !too_large.is_zero() {
        return Place::Out(Exclusion::TooLarge { wait: too_large });
    }
    let mut wait = standing.entry_wait(&entry, now).max(asked);
    if deployment.is_held_for() {
        // Requests that cannot wait that long are sent at once, like the others.
        wait = if wait > admission.patience { Duration::ZERO } else { wait };
    } else if !wait.is_zero() && asked.is_zero() {
        wait = standing.expected_wait(&entry, 0.0, now);
        if wait > admission.patience {
            if !standing.may_doubt(&entry, now) {
                return Place::Out(Exclusion::Full { wait });
            }
            wait = Duration::ZERO;
        }
    }
    let completion = needs.output;
    let cached = entry.load.cached;
    let tier = deployment.tier();
    let usage = Usage { prompt: needs.prompt, cached, completion, tier, ..Usage::default() };
    let latency = &standing.latency;
    let first = || latency.first_tail(now).or_else(|| latency.first());
    let time = if needs.streamed { first() } else { latency.total() };
    // Learned speed is that of the standard tier.
    let time = time.filter(|_| !tier.is_special());
    let over_quota = !standing.quota.wait(now, &entry.load).is_zero();
    let cost = pricing::marginal_cost(deployment, &usage);
    Place::In(Rank { cost, time, failing, wait, over_quota })
}

/// Properties of all candidates together.
#[derive(Clone, Copy)]
struct Common {
    /// The conversation stays where it fell back to.
    pinned: bool,
    /// Some entry is in the service tier that the caller named.
    tier_is_named: bool,
}

/// The sort key of candidates: yes or no questions (no is better), the tier, more questions, and the
/// preference.
type SortKey = ([bool; 6], u32, [bool; 5], [u64; 3]);

/// Costs and times that are not known sort last and first: an unknown price may be high, an unknown speed is worth
/// finding out.
fn sort_key(candidate: &Candidate, common: Common, preferences: Preferences<'_>) -> SortKey {
    let deployment = &candidate.deployment;
    let rank = match candidate.place {
        Place::In(rank) => Some(rank),
        Place::Out(_) => None,
    };
    let models = &preferences.choice.models;
    let model = models.iter().position(|name| *name == deployment.model.name);
    let model = model.and_then(|at| u64::try_from(at).ok()).unwrap_or(u64::MAX);
    let cost = rank.and_then(|rank| rank.cost).map_or(u64::MAX, |cost| whole(cost.as_f64() * 1e12));
    let not_asked = match &preferences.choice.target {
        Target::First(name) | Target::Only(name) => *name != deployment.name,
        Target::Any => false,
    };
    let home = preferences.admission.home.as_ref();
    let is = |question: fn(Rank) -> bool| rank.is_some_and(question);
    let before_tiers = [
        rank.is_none(),
        is(|rank| rank.failing),
        not_asked,
        preferences.reader.is_some() && !preferences.is_reader(deployment),
        common.tier_is_named && !preferences.tiers.is_named(deployment),
        is(|rank| rank.over_quota),
    ];
    let within_tiers = [
        common.pinned && home != Some(&deployment.name),
        !deployment.billing.is_provisioned(),
        !deployment.billing.is_provisioned() && preferences.tiers.place(deployment) > 0,
        is(|rank| !rank.wait.is_zero())
            && !(deployment.is_held_for() && preferences.is_cached(deployment)),
        home.is_some_and(|home| *home != deployment.name),
    ];
    let preference = match preferences.prefer {
        Preference::Balanced => [model, cost, 0],
        Preference::Cost => [cost, model, 0],
        Preference::Fast => [rank.and_then(|rank| rank.time).map_or(0, step), cost, model],
    };
    (before_tiers, deployment.order, within_tiers, preference)
}

/// Times that differ by less than a fifth are one: chance alone makes more of a difference.
fn step(time: Duration) -> u64 {
    whole(time.as_secs_f64().mul_add(1e3, 1.0).ln() / 1.2_f64.ln())
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float cast saturates, which sorts as intended"
)]
fn whole(value: f64) -> u64 {
    value as u64
}
