//! Summarizes why no deployment remains, by the reason on which the caller can act best.

use std::time::Duration;

use crate::capacity::Cause;
use crate::deployment::Residency;
use crate::units::ModelName;

use super::constraints::Exclusion;

/// The reason why no request is sent.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// No deployment of the models is inside the residency.
    #[error("no deployment of {models} processes inside {residency}")]
    Residency {
        /// The requested models.
        models: String,
        /// The residency asked.
        residency: Residency,
    },
    /// No requested model can do what the request needs.
    #[error("{models}: no {ability}")]
    Ability {
        /// The requested models.
        models: String,
        /// The missing capabilities.
        ability: &'static str,
    },
    /// The prompt is longer than any requested model takes.
    #[error("the prompt is longer than {models} takes")]
    ContextWindow {
        /// The requested models.
        models: String,
        /// The field that holds the prompt.
        field: &'static str,
    },
    /// A tool would be run by the service itself, and config forbids that where a residency binds.
    #[error(
        "the hosted tool `{tool}` may process data outside {residency}; it is not allowed here"
    )]
    HostedTool {
        /// The tool, in the caller's word.
        tool: Box<str>,
        /// The residency asked.
        residency: Residency,
    },
    /// The requested models have retired.
    #[error("{models}: retired")]
    Retired {
        /// The requested models.
        models: String,
    },
    /// The caller's key allows no deployment of the requested models.
    #[error("this key may use no deployment of {models}")]
    NotAllowed {
        /// The requested models.
        models: String,
    },
    /// Every deployment asked to be left alone for a time, or serves as many requests as it may.
    #[error("every deployment is full; the shortest wait is {} ms", wait.as_millis())]
    Full {
        /// The shortest wait.
        wait: Duration,
        /// True if a residency binds the request.
        bound: bool,
    },
    /// The response that the request follows is stored at an endpoint that has no deployment of the requested models.
    #[error(
        "what this request follows is stored where {models} has no deployment; name the model that made it, or none"
    )]
    Elsewhere {
        /// The requested models.
        models: String,
    },
    /// Every deployment that is left asked for a time without requests after a fault.
    #[error("every deployment is unavailable; the shortest wait is {} ms", wait.as_millis())]
    Unavailable {
        /// The shortest wait.
        wait: Duration,
    },
    /// The request alone exceeds the quota of every deployment that could serve it.
    #[error(
        "the request by itself exceeds the token quota of every deployment; shorten it or lower its cap"
    )]
    ExceedsQuota,
    /// Every deployment that could serve it is disabled.
    #[error("every deployment that could serve this request is disabled")]
    Disabled,
    /// Every deployment refuses us.
    #[error("every deployment is misconfigured")]
    Misconfigured,
}

/// The assumed wait for a deployment that is merely busy.
pub(crate) const BUSY_WAIT: Duration = Duration::from_secs(1);

/// The requested models, and the request field that holds the prompt.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Models<'m> {
    /// Their names.
    pub(crate) names: &'m [ModelName],
    /// The field that holds the prompt.
    pub(crate) prompt_field: &'static str,
}

/// The reason that the caller can do most about: a wait before a fault of ours, residency only where it alone decided.
pub(crate) fn refusal(
    reasons: impl Iterator<Item = Exclusion>,
    choice: Models<'_>,
    residency: &Residency,
) -> Refusal {
    let reasons: Vec<Exclusion> = reasons.collect();
    let has = |wanted: fn(&Exclusion) -> bool| reasons.iter().any(wanted);
    if let Some(wait) = reasons.iter().filter_map(wait_of).min() {
        let mut temporary = reasons.iter().filter(|why| wait_of(why).is_some());
        return if temporary.all(is_unavailable) {
            Refusal::Unavailable { wait }
        } else {
            Refusal::Full { wait, bound: residency.is_bound() }
        };
    }
    if has(|why| matches!(why, Exclusion::ExceedsQuota)) {
        return Refusal::ExceedsQuota;
    }
    if has(|why| matches!(why, Exclusion::Cooling { .. })) {
        return Refusal::Misconfigured;
    }
    if has(|why| matches!(why, Exclusion::Disabled)) {
        return Refusal::Disabled;
    }
    let Models { names, prompt_field: field } = choice;
    let names: Vec<&str> = names.iter().map(ModelName::as_str).collect();
    let models = names.join(", ");
    let ability = |why: &Exclusion| {
        if let Exclusion::Ability(ability) = why {
            return Some(*ability);
        }
        let tier = matches!(why, Exclusion::ServiceTier(_));
        tier.then_some("service tier that serves this request")
    };
    if let Some(ability) = reasons.iter().find_map(ability) {
        Refusal::Ability { models, ability }
    } else if has(|why| matches!(why, Exclusion::ContextWindow)) {
        Refusal::ContextWindow { models, field }
    } else if has(|why| matches!(why, Exclusion::Retired(_)))
        && !has(|why| matches!(why, Exclusion::Residency))
    {
        Refusal::Retired { models }
    } else if has(|why| matches!(why, Exclusion::NotAllowed))
        && !has(|why| matches!(why, Exclusion::Residency))
    {
        Refusal::NotAllowed { models }
    } else if has(|why| matches!(why, Exclusion::Endpoint)) {
        Refusal::Elsewhere { models }
    } else {
        Refusal::Residency { models, residency: residency.clone() }
    }
}

fn is_unavailable(why: &Exclusion) -> bool {
    matches!(why, Exclusion::Cooling { cause: Cause::Unavailable, .. })
}

/// Time until a deployment may have capacity again; `None` if time alone does not help.
fn wait_of(why: &Exclusion) -> Option<Duration> {
    let busy = matches!(why, Exclusion::InFlight).then_some(BUSY_WAIT);
    let hopeless = matches!(why, Exclusion::Cooling { cause: Cause::Misconfigured, .. });
    busy.or_else(|| why.wait().filter(|_| !hopeless))
}
