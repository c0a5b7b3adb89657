//! Which deployments, in what order? Hard constraints first, preference second.
//!
//! The two are different types on purpose: [`eligible`] removes what the request must not or cannot use and gives
//! [`Eligible`], and [`order`] sees only that. So no preference, and nothing learned later, can bring back a deployment
//! outside the residency. Every deployment keeps the reason for being in or out.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::capacity::Cause;
use crate::capacity::Snapshot;
use crate::capacity::Standing;
use crate::chat::ChatRequest;
use crate::chat::Operation;
use crate::chat::ResponseFormat;
use crate::chat::Usage;
use crate::chat::tokens;
use crate::deployment::Billing;
use crate::deployment::Catalog;
use crate::deployment::Deployment;
use crate::deployment::Residency;
use crate::deployment::pricing;
use crate::model::ModelRecord;
use crate::policy::ModelChoice;
use crate::policy::Preference;
use crate::policy::Target;
use crate::units::Day;
use crate::units::Tokens;
use crate::units::Usd;

/// What a request needs of a model.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a yes or no that a model's record answers"
)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// The prompt, nearly.
    pub prompt: Tokens,
    /// The answer, at most or nearly.
    pub output: Tokens,
    /// True where the answer is streamed: what counts is the first word.
    pub streamed: bool,
    /// What is asked of the model.
    pub operation: Operation,
    tools: bool,
    images: bool,
    schema: bool,
}

/// What an answer counts where the caller gives no cap; a guess for ranking by cost, nothing more.
const USUAL_OUTPUT: Tokens = Tokens(512);

impl Needs {
    /// What a chat request needs.
    pub fn of(request: &ChatRequest<'_>) -> Self {
        Self {
            prompt: tokens::of_prompt(request),
            output: request.max_output().map_or(USUAL_OUTPUT, |cap| cap.min(USUAL_OUTPUT)),
            streamed: request.stream(),
            operation: request.operation(),
            tools: request.offers_tools(),
            images: request.images() > 0,
            schema: request.response_format() == ResponseFormat::JsonSchema,
        }
    }

    /// The first ability that the deployment lacks.
    fn lacking(&self, deployment: &Deployment) -> Option<&'static str> {
        let abilities = &deployment.model.abilities;
        let responses = abilities.responses && deployment.api.serves_responses();
        let (serves, name) = match self.operation {
            Operation::Chat => (abilities.chat_completions, "chat completions"),
            Operation::Responses => (responses, "Responses API"),
            Operation::Completions => (abilities.completions, "legacy completions"),
            Operation::Embeddings => (abilities.embeddings, "embeddings"),
            // Which of these models serves which path is the upstream's to say.
            Operation::Passed => (abilities.media, "images, sound or moderations"),
        };
        [
            (!serves, name),
            (self.tools && !abilities.tools, "tools"),
            (self.images && !abilities.images, "images"),
            (self.schema && !abilities.structured_outputs, "structured outputs"),
        ]
        .into_iter()
        .find_map(|(lacking, name)| lacking.then_some(name))
    }

    /// True where the prompt is surely too long; our count may be a third too high, and then the upstream judges.
    fn too_long_for(&self, model: &ModelRecord) -> bool {
        self.prompt.0.saturating_mul(2) / 3 > model.context_window.0
    }
}

/// What must hold for a deployment to be used at all.
#[derive(Debug, Clone, Copy)]
pub struct Constraints<'c> {
    /// The models wished and how the request is bound.
    pub choice: &'c ModelChoice,
    /// Where the request may be processed.
    pub residency: &'c Residency,
    /// What the request needs.
    pub needs: &'c Needs,
    /// Leave out models that retired before this day; `None` keeps them.
    pub retired_before: Option<Day>,
}

/// Why a deployment is out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exclusion {
    /// It serves another model than those wished.
    Model,
    /// The caller asked for one other deployment.
    NotAsked,
    /// It processes outside the request's residency.
    Residency,
    /// Its model lacks what the request needs.
    Ability(&'static str),
    /// The prompt is longer than the model takes.
    ContextWindow,
    /// Its model has retired.
    Retired(Day),
    /// It is left alone for a time.
    Cooling {
        /// Why.
        cause: Cause,
        /// For how much longer.
        wait: Duration,
    },
    /// It serves as many requests as config allows.
    InFlight,
}

impl Exclusion {
    /// The word used in explanations and labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::NotAsked => "not_asked",
            Self::Residency => "residency",
            Self::Ability(_) => "ability",
            Self::ContextWindow => "context_window",
            Self::Retired(_) => "retired",
            Self::Cooling { cause, .. } => cause.as_str(),
            Self::InFlight => "in_flight",
        }
    }
}

/// A deployment with its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// The deployment.
    pub deployment: Arc<Deployment>,
    /// In or out.
    pub place: Place,
}

/// Where a candidate stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Place {
    /// In the plan.
    In(Rank),
    /// Not in the plan.
    Out(Exclusion),
}

/// What ranks a candidate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rank {
    /// What the answer will cost more, nearly; `None` where no price is known.
    pub cost: Option<Usd>,
    /// How long it takes to the first word of a stream, or to the whole answer; `None` where nothing is known.
    pub time: Option<Duration>,
    /// True where it failed a short while ago: it comes last.
    pub failing: bool,
}

/// Deployments that keep every hard constraint, in the order of their names.
#[derive(Debug, Clone, Default)]
pub struct Eligible(Vec<Arc<Deployment>>);

impl Eligible {
    /// True where none is left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Applies the hard constraints; the second list is what they removed, with the reasons.
pub fn eligible(catalog: &Catalog, constraints: Constraints<'_>) -> (Eligible, Vec<Candidate>) {
    let mut kept = Vec::new();
    let mut removed = Vec::new();
    for deployment in catalog.deployments() {
        match exclusion(deployment, constraints) {
            None => kept.push(Arc::clone(deployment)),
            Some(why) => removed
                .push(Candidate { deployment: Arc::clone(deployment), place: Place::Out(why) }),
        }
    }
    (Eligible(kept), removed)
}

fn exclusion(deployment: &Deployment, constraints: Constraints<'_>) -> Option<Exclusion> {
    let model = &deployment.model;
    let needs = constraints.needs;
    if !constraints.choice.models.contains(&model.name) {
        return Some(Exclusion::Model);
    }
    if !constraints.residency.allows(deployment.area) {
        return Some(Exclusion::Residency);
    }
    match &constraints.choice.target {
        Target::Only(name) if *name != deployment.name => return Some(Exclusion::NotAsked),
        Target::Only(_) | Target::First(_) | Target::Any => {}
    }
    let retired =
        model.retires.filter(|day| constraints.retired_before.is_some_and(|today| *day < today));
    let lacking = needs.lacking(deployment).map(Exclusion::Ability);
    lacking
        .or_else(|| needs.too_long_for(model).then_some(Exclusion::ContextWindow))
        .or_else(|| retired.map(Exclusion::Retired))
}

/// What the order goes by.
#[derive(Debug, Clone, Copy)]
pub struct Preferences<'p> {
    /// What matters more to the caller.
    pub prefer: Preference,
    /// The models wished, the first wished most, and the deployment to try first.
    pub choice: &'p ModelChoice,
    /// What the request needs.
    pub needs: &'p Needs,
}

/// Puts eligible deployments into the order in which they are tried: those that have room now, provisioned before
/// pay-as-you-go, then by preference; those that failed a short while ago last. The ones without room are out, with
/// the reason.
pub fn order(
    eligible: Eligible,
    preferences: Preferences<'_>,
    snapshot: &Snapshot,
    now: Instant,
) -> Vec<Candidate> {
    let mut ranked: Vec<(SortKey, Candidate)> = eligible
        .0
        .into_iter()
        .map(|deployment| {
            let standing = snapshot.standing(&deployment.name);
            let place = place(&deployment, &standing, preferences.needs, now);
            let key = sort_key(&deployment, &standing, place, preferences);
            (key, Candidate { deployment, place })
        })
        .collect();
    ranked.sort_by_key(|(key, _)| *key);
    ranked.into_iter().map(|(_, candidate)| candidate).collect()
}

fn place(deployment: &Deployment, standing: &Standing, needs: &Needs, now: Instant) -> Place {
    let full = deployment.max_in_flight.is_some_and(|most| standing.in_flight >= most);
    let failing = match standing.cooling(now) {
        Some((cause @ (Cause::Throttled | Cause::Misconfigured), until)) => {
            return Place::Out(Exclusion::Cooling { cause, wait: until - now });
        }
        Some((Cause::Fault, _)) => true,
        None => false,
    };
    if full {
        return Place::Out(Exclusion::InFlight);
    }
    let usage = Usage { prompt: needs.prompt, completion: needs.output, ..Usage::default() };
    let latency = &standing.latency;
    let time = if needs.streamed { latency.first() } else { latency.total() };
    Place::In(Rank { cost: pricing::marginal_cost(deployment, &usage), time, failing })
}

/// What is compared, from the first that differs: yes or no questions (no is better), the preference, the load.
type SortKey = ([bool; 4], [u64; 3], u64);

/// Costs and times that are not known sort last and first: an unknown price may be high, an unknown speed is worth
/// finding out.
fn sort_key(
    deployment: &Deployment,
    standing: &Standing,
    place: Place,
    preferences: Preferences<'_>,
) -> SortKey {
    let rank = match place {
        Place::In(rank) => Some(rank),
        Place::Out(_) => None,
    };
    let models = &preferences.choice.models;
    let model = models.iter().position(|name| *name == deployment.model.name);
    let model = model.and_then(|at| u64::try_from(at).ok()).unwrap_or(u64::MAX);
    let cost = rank.and_then(|rank| rank.cost).map_or(u64::MAX, |cost| micro(cost.as_f64()));
    let time = rank.and_then(|rank| rank.time).map_or(0, |time| micro(time.as_secs_f64()) / 1_000);
    let not_asked = match &preferences.choice.target {
        Target::First(name) | Target::Only(name) => *name != deployment.name,
        Target::Any => false,
    };
    let failing = rank.is_some_and(|rank| rank.failing);
    let pay_as_you_go = !deployment.billing.is_provisioned();
    let preference = match preferences.prefer {
        Preference::Balanced => [model, cost, time],
        Preference::Cost => [cost, time, model],
        Preference::Fast => [time, cost, model],
    };
    ([rank.is_none(), failing, not_asked, pay_as_you_go], preference, load(deployment, standing))
}

/// How busy a deployment is, for its size: evens out deployments that are equal in all else.
fn load(deployment: &Deployment, standing: &Standing) -> u64 {
    let size = match &deployment.billing {
        Billing::Provisioned(provisioned) => provisioned.ptu.max(1e-6),
        Billing::PayAsYouGo(_) => 1.0,
    };
    micro(f64::from(standing.in_flight) / size)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float cast saturates, which sorts as wished"
)]
fn micro(value: f64) -> u64 {
    (value * 1e6) as u64
}
