//! Finds what is wrong, from the router's state, its configuration and the last five minutes. Thresholds are those of the
//! shipped alerts. It keeps no state.

use std::collections::BTreeMap;
use std::fmt::Write;

use router_core::deployment::{Billing, Deployment};
use router_core::router::ModelRouter;
use router_core::units::{Day, Usd};
use tokio::time::Instant;

use crate::budgets::Budget;
use crate::budgets::Owner;

use super::entry::milliseconds;
use super::hub::Facts;
use super::outcome::Outcome;
use super::rollup::{Attempts, Rollup};
use super::trouble::{Kind, Severity, Trouble, Words};

/// The time over which rates are taken.
const RECENT_MS: u64 = 300_000;

/// A rate needs at least this many requests or attempts.
const LEAST: u64 = 10;

/// The share of unanswered requests that is too much, as in the alert `ModelRouterUnanswered`.
const UNANSWERED_PERCENT: u64 = 5;

/// The share of faulty attempts at a deployment that is too much, as in the alert `ModelRouterDeploymentFaulty`.
const FAULTY_PERCENT: u64 = 20;

/// A queue counts as standing once its oldest request has waited this long.
const STANDING_MS: u64 = 1_000;

/// A budget is reported from this share on.
const NEARLY_SPENT_PERCENT: u64 = 80;

/// A retirement is reported this many days ahead.
const NOTICE_DAYS: i64 = 30;

/// Faults of a configuration that are listed.
const MOST_FAULTS: usize = 5;

/// The inputs of a diagnosis.
#[derive(Debug)]
pub(super) struct Scene<'s> {
    pub(super) router: &'s ModelRouter,
    pub(super) facts: &'s Facts,
    pub(super) recent: &'s Recent,
    /// The troubles of the second before: a standing queue is reported until it is empty.
    pub(super) before: &'s [Trouble],
    pub(super) now: Instant,
    pub(super) at_ms: u64,
}

/// Requests and attempts that ended in the last five minutes.
#[derive(Debug, Default)]
pub(super) struct Recent {
    answered: u64,
    unanswered: u64,
    /// Unanswered requests by error code.
    causes: BTreeMap<Box<str>, u64>,
    attempts: BTreeMap<Box<str>, Attempts>,
}

impl Recent {
    /// Sums up the last steps of the history.
    pub(super) fn of(rollup: &Rollup, at_ms: u64) -> Self {
        let mut recent = Self::default();
        for bucket in rollup.last(RECENT_MS, at_ms) {
            for (group, sums) in &bucket.cells {
                if group.way == Outcome::Unanswered.number() {
                    recent.unanswered += sums.requests;
                    // A group that was folded into another has lost its cause.
                    let cause = match rollup.names.name(group.cause) {
                        "" => "others",
                        cause => cause,
                    };
                    *recent.causes.entry(cause.into()).or_default() += sums.requests;
                } else if group.way != Outcome::Refused.number() {
                    recent.answered += sums.requests;
                }
            }
            for (id, attempts) in &bucket.attempts {
                let known = recent.attempts.entry(rollup.names.name(*id).into()).or_default();
                known.merge(attempts);
            }
        }
        recent
    }
}

/// All troubles, unsorted.
pub(super) fn troubles(scene: &Scene<'_>) -> Vec<Trouble> {
    let mut found = Vec::new();
    for deployment in scene.router.rules().catalog.deployments() {
        if deployment.enabled {
            found.extend(refused(scene, deployment));
            found.extend(standing_queue(scene, deployment));
            found.extend(failing(scene, deployment));
            found.extend(retiring(scene.facts.today, deployment));
            found.extend(unpriced(deployment));
        }
    }
    found.extend(scene.facts.budgets.iter().filter_map(spent));
    found.extend(unanswered(scene));
    found.extend(not_reloaded(scene));
    found.extend(alone(scene));
    found
}

fn refused(scene: &Scene<'_>, deployment: &Deployment) -> Option<Trouble> {
    let refusal = scene.router.last_refusal(&deployment.name)?;
    let name = deployment.name.as_str();
    let said = refusal
        .code
        .as_ref()
        .map_or_else(|| refusal.status.to_string(), |code| format!("{} {code}", refusal.status));
    let action = match refusal.status {
        401 => "Check the key or identity of the endpoint, then run `router-server check --live`.",
        403 => {
            "Give the identity the role Cognitive Services OpenAI User, or open the resource's network to the router; \
             a new role takes some minutes."
        }
        410 => "The model has retired: deploy its successor and put it first in the role.",
        _ => {
            "Set azure_deployment to Azure's name of the deployment: `router-server check --live` lists what differs."
        }
    };
    let cause = format!(
        "The upstream answered {said} for the name `{}`. Requests go elsewhere until a slow probe succeeds or the \
         configuration changes.",
        refusal.sent
    );
    let title = format!("{name} is refused: {said}");
    let words = Words { title, cause, action: action.to_owned() };
    Some(Trouble::new(Kind::DeploymentRefused, Severity::Critical, name, words))
}

fn standing_queue(scene: &Scene<'_>, deployment: &Deployment) -> Option<Trouble> {
    let name = deployment.name.as_str();
    let queue = scene.router.queue(&deployment.name).filter(|queue| queue.waiting > 0)?;
    let longest = milliseconds(queue.longest_wait);
    let stood = |one: &Trouble| one.order == Kind::QueueStanding && &*one.subject == name;
    if longest < STANDING_MS && !scene.before.iter().any(stood) {
        return None;
    }
    let words = Words {
        title: format!("{} wait for {name}", counted(queue.waiting as u64, "request")),
        cause: format!("The oldest has waited {}: more arrives than the deployment serves.", seconds(longest)),
        action: "Add PTU, add a pay-as-you-go deployment inside the same residency, or lower bound_wait_ms so that callers \
                 are refused sooner."
            .to_owned(),
    };
    Some(Trouble::new(Kind::QueueStanding, Severity::Warning, name, words))
}

fn failing(scene: &Scene<'_>, deployment: &Deployment) -> Option<Trouble> {
    let name = deployment.name.as_str();
    let attempts = scene.recent.attempts.get(name)?;
    let (faults, all) = (u64::from(attempts.faults), u64::from(attempts.all));
    let percent = percent(faults, all).filter(|percent| *percent > FAULTY_PERCENT)?;
    let words = Words {
        title: format!("{percent} % of attempts at {name} fail"),
        cause: format!("{faults} of {all} in the last 5 minutes: no connection, no answer in time, or 5xx."),
        action: "Requests go elsewhere as far as the plan reaches. Look at the status of the region, and at the log for `an \
                 attempt failed`."
            .to_owned(),
    };
    Some(Trouble::new(Kind::DeploymentFailing, Severity::Warning, name, words))
}

fn unanswered(scene: &Scene<'_>) -> Option<Trouble> {
    let Recent { answered, unanswered, causes, .. } = scene.recent;
    let all = answered + unanswered;
    let percent = percent(*unanswered, all).filter(|percent| *percent >= UNANSWERED_PERCENT)?;
    let mut cause = format!("{unanswered} of {all} in the last 5 minutes");
    for (at, (word, count)) in causes.iter().enumerate() {
        let between = if at == 0 { ": " } else { ", " };
        // Writing to a String cannot fail; the result is the trait's.
        let _written = write!(cause, "{between}{count} {word}");
    }
    cause.push('.');
    let words = Words {
        title: format!("{percent} % of requests are unanswered"),
        cause,
        action: "Look at the deployments below: those that are refused or cooling down are the cause. Each code has its entry in \
                 the troubleshooting guide."
            .to_owned(),
    };
    Some(Trouble::new(Kind::ErrorRate, Severity::Critical, "", words))
}

fn retiring(today: Day, deployment: &Deployment) -> Option<Trouble> {
    let retires = deployment.model.retires?;
    let days = retires.days_since(today);
    if days > NOTICE_DAYS {
        return None;
    }
    let (name, model) = (deployment.name.as_str(), &deployment.model.name);
    let (severity, when) = match days {
        ..0 => (Severity::Critical, format!("retired on {retires}")),
        0 => (Severity::Critical, "retires today".to_owned()),
        1 => (Severity::Warning, "retires tomorrow".to_owned()),
        _ => (Severity::Warning, format!("retires in {days} days")),
    };
    let words = Words {
        title: format!("{model} of {name} {when}"),
        cause: format!(
            "Azure retires the model on {retires}; from then on its calls may be answered 410."
        ),
        action: "Deploy its successor and put it first in the role.".to_owned(),
    };
    Some(Trouble::new(Kind::ModelRetiring, severity, name, words))
}

fn unpriced(deployment: &Deployment) -> Option<Trouble> {
    let (name, model) = (deployment.name.as_str(), &deployment.model.name);
    let words = match &deployment.billing {
        Billing::PayAsYouGo(_) if deployment.prices().is_none() => Words {
            title: format!("{name} has no price"),
            cause: format!(
                "No price of {model} is known: its answers count as nothing in costs, savings and budgets."
            ),
            action: format!(
                "Set usd_per_million_tokens in [models.\"{model}\"] or in the deployment."
            ),
        },
        Billing::Provisioned(provisioned) if provisioned.usd_per_hour.is_none() => Words {
            title: format!("{name} has no PTU price"),
            cause: "The net saving leaves out what its PTUs cost by the hour.".to_owned(),
            action: format!("Set deployments.{name}.usd_per_ptu_hour."),
        },
        Billing::PayAsYouGo(_) | Billing::Provisioned(_) => return None,
    };
    Some(Trouble::new(Kind::PriceMissing, Severity::Info, name, words))
}

fn spent(budget: &Budget) -> Option<Trouble> {
    let Budget { owner, name, span, limit, spent, renews } = budget;
    let spent_percent = u128::from(spent.picodollars()) * 100;
    let spent_percent = spent_percent.checked_div(u128::from(limit.picodollars())).unwrap_or(100);
    let spent_percent = u64::try_from(spent_percent).unwrap_or(u64::MAX);
    if spent_percent < NEARLY_SPENT_PERCENT {
        return None;
    }
    let (owner, span) = (owner_word(*owner), span.as_str());
    let (severity, action) = if spent_percent >= 100 {
        let action = "Its requests are answered 429 insufficient_quota until then. Raise the budget, or wait.";
        (Severity::Critical, action)
    } else {
        (
            Severity::Warning,
            "At 100 % its requests are answered 429 insufficient_quota: raise the budget, or inform its owner.",
        )
    };
    let dollars = |usd: &Usd| format!("${:.2}", usd.as_f64());
    let words = Words {
        title: format!("{owner} {name} has spent {spent_percent} % of its budget for the {span}"),
        cause: format!("{} of {}; it renews on {renews}, UTC.", dollars(spent), dollars(limit)),
        action: action.to_owned(),
    };
    let subject = format!("{} {name} {span}", owner.to_lowercase());
    Some(Trouble::new(Kind::BudgetSpent, severity, &subject, words))
}

fn owner_word(owner: Owner) -> &'static str {
    match owner {
        Owner::Key => "Key",
        Owner::Team => "Team",
    }
}

fn not_reloaded(scene: &Scene<'_>) -> Option<Trouble> {
    let Facts { reload_faults, reloaded_ms, config, .. } = scene.facts;
    if reload_faults.is_empty() {
        return None;
    }
    let mut cause = reload_faults.iter().take(MOST_FAULTS).cloned().collect::<Vec<_>>().join("\n");
    if reload_faults.len() > MOST_FAULTS {
        cause.push_str("\n..");
    }
    let words = Words {
        title: format!(
            "The new configuration has {}",
            counted(reload_faults.len() as u64, "fault")
        ),
        cause,
        action: format!(
            "Version {} stays in use. Correct the files: they are read again at once.",
            short(config)
        ),
    };
    let trouble = Trouble::new(Kind::ReloadRefused, Severity::Warning, "", words);
    Some(trouble.since(*reloaded_ms))
}

fn alone(scene: &Scene<'_>) -> Option<Trouble> {
    let status = scene.router.replicas()?.status(scene.now);
    if status.connected {
        return None;
    }
    let age = status.age.map(milliseconds);
    let words = Words {
        title: "This replica has lost the others".to_owned(),
        cause: match age {
            Some(age) => format!("Redis has not answered for {}.", seconds(age)),
            None => "Redis has not answered since the start.".to_owned(),
        },
        action: "Until Redis is back, each replica goes by its own view of cooldowns, rates and budgets. Check replicas.url and \
                 the network."
            .to_owned(),
    };
    let trouble = Trouble::new(Kind::ReplicaDisconnected, Severity::Warning, "", words);
    Some(match age {
        Some(age) => trouble.since(scene.at_ms.saturating_sub(age)),
        None => trouble,
    })
}

/// A share in whole percent; `None` if there are too few.
fn percent(part: u64, all: u64) -> Option<u64> {
    (all >= LEAST).then(|| part * 100 / all)
}

fn counted(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

fn seconds(ms: u64) -> String {
    format!("{}.{} s", ms / 1_000, ms % 1_000 / 100)
}

fn short(version: &str) -> String {
    version.chars().take(8).collect()
}
