//! Applies the hard constraints: which deployments may and can serve a request, and why each other
//! one is excluded.

use std::sync::Arc;
use std::time::Duration;

use crate::capacity::Cause;
use crate::deployment::Catalog;
use crate::deployment::Deployment;
use crate::deployment::EndpointName;
use crate::deployment::Residency;
use crate::policy::Companion;
use crate::policy::ModelChoice;
use crate::policy::Rights;
use crate::policy::Target;
use crate::units::Day;
use crate::units::Usd;

use super::needs::Needs;
use super::tiers::TierOrder;

/// The conditions for using a deployment at all.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Constraints<'c> {
    /// Rights of the key.
    pub(crate) rights: &'c Rights,
    /// Residency of the request.
    pub(crate) residency: &'c Residency,
    /// Capabilities that the request needs.
    pub(crate) needs: &'c Needs,
    /// The service tiers that serve it.
    pub(crate) tiers: TierOrder,
    /// Second deployments that take part in the request.
    pub(crate) companions: &'c [Companion],
    /// Exclude models that retired before this day; `None` keeps them.
    pub(crate) retired_before: Option<Day>,
    /// The only endpoint that has what the request refers to; `None` for any.
    pub(crate) endpoint: Option<&'c EndpointName>,
}

/// The reason why a deployment is excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exclusion {
    /// It serves another model than those requested.
    Model,
    /// The caller asked for one other deployment.
    NotAsked,
    /// The caller's key does not allow it.
    NotAllowed,
    /// It processes outside the request's residency.
    Residency,
    /// Its endpoint does not have what the request refers to.
    Endpoint,
    /// Config has switched it off.
    Disabled,
    /// Its model lacks what the request needs.
    Ability(&'static str),
    /// The prompt is longer than the model takes.
    ContextWindow,
    /// Its model has retired.
    Retired(Day),
    /// Its service tier does not serve the request, for this reason.
    ServiceTier(&'static str),
    /// It is in a cooldown.
    Cooling {
        /// The cause.
        cause: Cause,
        /// Remaining time.
        wait: Duration,
    },
    /// It has reached its configured number of concurrent requests.
    InFlight,
    /// It is provisioned and full for longer than the request may be held.
    Full {
        /// Approximate remaining time.
        wait: Duration,
    },
    /// The request by itself exceeds its whole quota.
    ExceedsQuota,
    /// It refuses requests of this size for a time.
    TooLarge {
        /// Remaining time.
        wait: Duration,
    },
}

impl Exclusion {
    /// The word used in explanations and labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::NotAsked => "not_asked",
            Self::NotAllowed => "not_allowed_for_key",
            Self::Residency => "residency",
            Self::Endpoint => "endpoint",
            Self::Disabled => "disabled",
            Self::Ability(_) => "ability",
            Self::ContextWindow => "context_window",
            Self::Retired(_) => "retired",
            Self::ServiceTier(_) => "service_tier",
            Self::Cooling { cause, .. } => cause.as_str(),
            Self::InFlight => "in_flight",
            Self::Full { .. } => "full",
            Self::TooLarge { .. } => "too_large",
            Self::ExceedsQuota => "exceeds_quota",
        }
    }

    /// Remaining time of the exclusion; `None` if time alone does not end it, or if the end is unknown.
    pub fn wait(self) -> Option<Duration> {
        match self {
            Self::Cooling { wait, .. } | Self::Full { wait } | Self::TooLarge { wait } => {
                Some(wait)
            }
            Self::Model
            | Self::NotAsked
            | Self::NotAllowed
            | Self::Endpoint
            | Self::Disabled
            | Self::Residency
            | Self::Ability(_)
            | Self::ContextWindow
            | Self::Retired(_)
            | Self::ServiceTier(_)
            | Self::ExceedsQuota
            | Self::InFlight => None,
        }
    }
}

/// A deployment and whether it is in the plan.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Candidate {
    /// The deployment.
    pub deployment: Arc<Deployment>,
    /// Included or excluded.
    pub place: Place,
}

impl Candidate {
    /// The deployment and the reason, where it is provisioned and out only because it may not be used just now.
    pub fn passed_over(&self) -> Option<(&Arc<Deployment>, Exclusion)> {
        let why = match self.place {
            Place::Out(
                why @ (Exclusion::Full { .. }
                | Exclusion::TooLarge { .. }
                | Exclusion::Cooling { .. }
                | Exclusion::InFlight),
            ) => why,
            Place::In(_) | Place::Out(_) => return None,
        };
        self.deployment.billing.is_provisioned().then_some((&self.deployment, why))
    }
}

impl Candidate {
    /// True if nothing excludes the deployment except that it may refuse the router's credential (401, 403, 404, 410).
    pub(crate) fn may_refuse_the_router(&self) -> bool {
        match self.place {
            Place::In(_) => true,
            Place::Out(why) => {
                matches!(why, Exclusion::Cooling { cause: Cause::Misconfigured, .. })
            }
        }
    }
}

/// A candidate's place in the plan, or its exclusion.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Place {
    /// In the plan.
    In(Rank),
    /// Not in the plan.
    Out(Exclusion),
}

/// The values by which candidates are ranked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rank {
    /// Expected cost of the answer; `None` if no price is known.
    pub cost: Option<Usd>,
    /// Expected time to the first token of a stream, or to the complete answer; `None` if unknown.
    pub time: Option<Duration>,
    /// True if it failed recently: it comes last.
    pub failing: bool,
    /// Expected wait for capacity; zero if there is capacity.
    pub wait: Duration,
    /// True if its quota is expected to refuse the request: it comes after those whose quota is not.
    pub over_quota: bool,
}

/// Deployments that keep every hard constraint, in the order of their names.
#[derive(Debug, Clone, Default)]
pub(crate) struct Eligible(pub(super) Vec<Arc<Deployment>>);

impl Eligible {
    /// True if no candidate is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// True if all are provisioned, so that nothing serves the request when they are full.
    pub(crate) fn all_provisioned(&self) -> bool {
        self.0.iter().all(|deployment| deployment.billing.is_provisioned())
    }
}

/// Applies the hard constraints; the second list is what they removed, with the reasons.
pub(crate) fn eligible(
    catalog: &Catalog,
    choice: &ModelChoice,
    constraints: Constraints<'_>,
) -> (Eligible, Vec<Candidate>) {
    let mut kept = Vec::new();
    let mut removed = Vec::new();
    let mut remove = |deployment: &Arc<Deployment>, why| {
        removed.push(Candidate { deployment: Arc::clone(deployment), place: Place::Out(why) });
    };
    for (deployment, in_tiers) in catalog.in_tiers() {
        if let Some(why) = exclusion(deployment, choice, constraints) {
            remove(deployment, why);
            continue;
        }
        for entry in in_tiers {
            match constraints.tiers.exclusion(entry, constraints.needs) {
                None => kept.push(Arc::clone(entry)),
                Some(why) => remove(entry, why),
            }
        }
    }
    (Eligible(kept), removed)
}

/// Reason for excluding a deployment whose resource differs from that of the deployment named in a header.
const COMPANION: &str = "second deployment of the name that a header gives, at the same endpoint";

fn exclusion(
    deployment: &Deployment,
    choice: &ModelChoice,
    constraints: Constraints<'_>,
) -> Option<Exclusion> {
    let model = &deployment.model;
    let needs = constraints.needs;
    if !choice.models.contains(&model.name) {
        return Some(Exclusion::Model);
    }
    if !constraints.rights.allow(deployment) {
        return Some(Exclusion::NotAllowed);
    }
    let outside = constraints.companions.iter().any(Companion::is_outside);
    if outside || !constraints.residency.allows(deployment.area) {
        return Some(Exclusion::Residency);
    }
    if constraints.endpoint.is_some_and(|only| *only != deployment.endpoint) {
        return Some(Exclusion::Endpoint);
    }
    match &choice.target {
        Target::Only(name) if *name != deployment.name => return Some(Exclusion::NotAsked),
        Target::Only(_) | Target::First(_) | Target::Any => {}
    }
    if !deployment.enabled {
        return Some(Exclusion::Disabled);
    }
    let retired =
        model.retires.filter(|day| constraints.retired_before.is_some_and(|today| *day < today));
    let alone = constraints.companions.iter().any(|companion| !companion.serves(deployment));
    let lacking = needs.lacking(deployment).or(alone.then_some(COMPANION)).map(Exclusion::Ability);
    lacking
        .or_else(|| needs.too_long_for(model).then_some(Exclusion::ContextWindow))
        .or_else(|| retired.map(Exclusion::Retired))
}
