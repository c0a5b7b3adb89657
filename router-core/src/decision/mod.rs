//! Decides what to do with a request: one pure function over all modules listed earlier.
//!
//! [`decide`] does no I/O, reads no clock and draws no random number: the same request, rules,
//! snapshot and moment give the same [`Decision`], which carries every candidate with its reason.
//! It can be explained without being carried out, tested without a network, and replayed.

mod admission;
mod ordered;
mod ruled;
mod served;
mod tradeoff;

use std::sync::Arc;

use tokio::time::Instant;

use crate::capacity::Admission;
use crate::capacity::Settings;
use crate::capacity::Snapshot;
use crate::chat::ChatRequest;
use crate::deployment::Catalog;
use crate::deployment::Deployment;
use crate::deployment::EndpointName;
use crate::deployment::Residency;
use crate::model::Effort;
use crate::model::ModelRecord;
use crate::policy::Choose;
use crate::policy::Companion;
use crate::policy::Hints;
use crate::policy::HostedTools;
use crate::policy::ModelChoice;
use crate::policy::Names;
use crate::policy::Policy;
use crate::policy::Preference;
use crate::policy::Priority;
use crate::policy::RequestedModel;
use crate::policy::Rights;
use crate::policy::Sender;
use crate::policy::UnknownModel;
use crate::selection::Candidate;
use crate::selection::Constraints;
use crate::selection::Exclusion;
use crate::selection::Needs;
use crate::selection::Place;
use crate::selection::TierOrder;
use crate::selection::refusal;
use crate::selection::refusal::Models;
use crate::task::Because;
use crate::task::Classifier;
use crate::task::Task;
use crate::task::Verdict;
use crate::units::Day;

use admission::kind_of;
use ordered::{Inputs, Ordered};
use ruled::{Basis, Ruled, judged};
use served::Served;
use tradeoff::Scales;

pub use crate::selection::Plan;
pub use crate::selection::Refusal;
pub use ruled::MatchedRule;
pub use tradeoff::Tradeoff;

/// The inputs of decisions that stay fixed until the configuration changes.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Turns requests into tasks.
    pub classifier: Classifier,
    /// The models of each task.
    pub policy: Policy,
    /// The deployments.
    pub catalog: Catalog,
    /// Settings of waits, reservations and cache affinity.
    pub capacity: Settings,
}

/// The input of a decision: the request and its headers.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'r, 'a> {
    /// The request.
    pub request: &'r ChatRequest<'a>,
    /// The deployment named in the path, as Azure clients do; it wins over the body's model.
    pub path_model: Option<&'r str>,
    /// The steering headers.
    pub hints: &'r Hints,
    /// The caller's rights; hints must lie inside them ([`Rights::narrow`]).
    pub rights: &'r Rights,
    /// The sender, whose key and headers rules test.
    pub sender: Sender<'r>,
    /// Endpoints that the request is tied to by the objects it refers to.
    pub ties: Ties<'r>,
}

/// The endpoints to which a request is tied by the objects it refers to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ties<'r> {
    /// The only endpoint that has what it refers to: no other is used.
    pub only: Option<&'r EndpointName>,
    /// The endpoint that can read its encrypted items: it comes first and is waited for.
    pub reader: Option<&'r EndpointName>,
}

/// A moment and its UTC day, which retirements and budgets are compared with.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// The moment.
    pub now: Instant,
    /// The day.
    pub today: Day,
}

impl Moment {
    /// Of a moment and its day.
    pub fn new(now: Instant, today: Day) -> Self {
        Self { now, today }
    }
}

/// The result of deciding on a request, with its reasons.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Decision {
    /// The meaning of the model name in the request.
    pub asked: RequestedModel,
    /// The task and its score; `None` if the caller named a model and nothing had to be scored.
    pub verdict: Option<Verdict>,
    /// Score, benefit and their tradeoff; `None` if the request was not scored.
    pub tradeoff: Option<Tradeoff>,
    /// The task that the score would have chosen, where scores are only observed; else `None`.
    pub would: Option<Task>,
    /// The requested models.
    pub choice: ModelChoice,
    /// True if config says which role serves, whatever was scored or asked for.
    pub forced: bool,
    /// The reason why the score did not set the role; `None` if it did.
    pub set_by: Option<SetBy>,
    /// The rule that matched; `None` if none did, or if the request names what shall serve it.
    pub rule: Option<MatchedRule>,
    /// The effort of the role or of the rule, for requests that set none; `None` leaves the model its own.
    pub effort: Option<Effort>,
    /// The effort that the caller set, if it is a known word.
    pub asked_effort: Option<Effort>,
    /// True if the reasoning role had no deployment inside the residency and the chat role serves.
    pub downgraded: bool,
    /// The areas that may process the request.
    pub residency: Residency,
    /// The preference: cost, speed or a balance.
    pub prefer: Preference,
    /// The priority: interactive requests have a caller who waits.
    pub priority: Priority,
    /// The capabilities that the request needs.
    pub needs: Needs,
    /// The terms on which it asks for capacity.
    pub admission: Admission,
    /// Every deployment with its place: those of the plan first, in order.
    pub candidates: Vec<Candidate>,
    /// Second deployments that take part in the request.
    pub companions: Vec<Companion>,
    /// The deployments to try, or why there is none.
    pub plan: Result<Plan, Refusal>,
}

/// The reason why the score did not set the role of a scored request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SetBy {
    /// The caller's key leaves one role alone.
    Key,
    /// A rule of the operator set the task or the role.
    Rule,
}

impl Decision {
    /// The kind of task that its answer is learned by.
    pub fn kind(&self, catalog: &Catalog) -> Task {
        kind_of(&self.choice, catalog)
    }

    /// The task by which the models were chosen.
    pub fn task(&self) -> Option<Task> {
        self.choice.role
    }

    /// The word for what gave the task, if it was scored: `rule` where a rule of the operator set it, `key` where the caller's
    /// key leaves one role alone, `benefit` or `value` where that chose ([`Tradeoff`]), else what `Because` says.
    pub fn decided_by(&self) -> Option<&'static str> {
        let because = self.verdict?.because;
        if because == Because::Hint && self.set_by != Some(SetBy::Rule) {
            return Some(because.as_str());
        }
        let chosen_by = self.tradeoff.map(|tradeoff| tradeoff.chosen_by);
        Some(match (self.set_by, chosen_by) {
            (Some(SetBy::Rule), _) => "rule",
            (Some(SetBy::Key), _) => "key",
            (None, Some(chosen_by)) if chosen_by != Choose::Type => chosen_by.as_str(),
            (None, _) => because.as_str(),
        })
    }

    /// The effort at which a model answers: the caller's, else that of the role or the rule, else the model's own. `None` for a
    /// model without efforts.
    pub fn effort_at(&self, model: &ModelRecord) -> Option<Effort> {
        let efforts = model.efforts.as_ref().filter(|efforts| !efforts.accepted.is_empty())?;
        Some(efforts.used(self.asked_effort, self.effort))
    }

    /// The provisioned deployments that were left out because they may not be used just now, and why.
    pub fn passed_over(&self) -> impl Iterator<Item = (&Arc<Deployment>, Exclusion)> {
        self.candidates.iter().filter_map(Candidate::passed_over)
    }
}

/// Decides what to do with a request.
///
/// # Errors
/// The request names a model that does not exist here. [`Decision::plan`] has every other reason against sending, with the
/// candidates.
pub fn decide(
    ask: Ask<'_, '_>,
    rules: &Rules,
    snapshot: &Snapshot,
    moment: Moment,
) -> Result<Decision, UnknownModel> {
    let Rules { policy, catalog, .. } = rules;
    let (name, rights) = (ask.path_model.or_else(|| ask.request.model()), ask.rights);
    let asked = rights.look_up(name, &policy.aliases, catalog)?;
    // A switch of config's widens no right of a key.
    let forced = policy.forced.filter(|role| rights.allow_role(*role));
    let residency = residency_of(policy, rights, ask.hints);
    let needs = Needs::of(ask.request, ask.sender.key);
    let basis = Basis { asked: &asked, forced, rules };
    let mut ruled = Ruled::of(ask, basis, &needs);
    let prefer = ask.hints.prefer.or(asked.preference()).or(ruled.set.prefer);
    let prefer = prefer.unwrap_or(policy.prefer);
    let tiers = TierOrder::of(ask.request, prefer, ask.hints.priority.unwrap_or_default());
    let companions = companions(ask, rules, &residency)?;
    let constraints = Constraints {
        rights,
        residency: &residency,
        needs: &needs,
        tiers,
        companions: &companions,
        retired_before: policy.exclude_retired.then_some(moment.today),
        endpoint: ask.ties.only,
    };
    ruled.check_model(catalog, constraints);
    let mut judged = judged(ask, basis, &ruled.set);
    let inputs = Inputs { ask, rules, snapshot, constraints, prefer, now: moment.now };
    let tradeoff = judged.weigh(Scales { inputs, asked: &asked });
    let by_role = policy.choose(&asked, judged.task(policy), catalog);
    let Served { choice, kept, mut removed, downgraded } =
        Served::of(ruled.choice(by_role), rules, constraints);
    let Ordered { mut candidates, admission } = inputs.order(kept, &choice);
    let models = Models { names: &choice.models, prompt_field: needs.operation.prompt_field() };
    let plan = hosted_tool(ask.request, policy, &residency)
        .map_or_else(|| planned(&candidates, &removed, models, &residency), Err);
    candidates.append(&mut removed);
    let effort = effort_of(&choice, ruled.set.effort, policy, || judged.benefit(ask, rules));
    let verdict = judged.verdict;
    Ok(Decision {
        asked,
        verdict,
        tradeoff,
        would: verdict.filter(|_| judged.fixed.is_none()).and_then(|found| policy.would(found)),
        forced: forced.is_some() && choice.role.is_some(),
        set_by: judged.set_by,
        effort,
        asked_effort: ask.request.reasoning_effort().and_then(Effort::from_word),
        rule: ruled.matched,
        choice,
        downgraded,
        residency,
        prefer,
        priority: admission.priority,
        needs,
        admission,
        candidates,
        companions,
        plan,
    })
}

/// The areas that may process a request: the configured residency, narrowed by the caller's rights and hints.
pub fn residency_of(policy: &Policy, rights: &Rights, hints: &Hints) -> Residency {
    let mut residency = policy.residency.clone();
    let bounds = rights.residency.into_iter().chain(hints.residency);
    bounds.for_each(|area| residency.narrow(area));
    residency
}

/// The second deployments that take part in the request.
fn companions(
    ask: Ask<'_, '_>,
    rules: &Rules,
    residency: &Residency,
) -> Result<Vec<Companion>, UnknownModel> {
    let names = Names { aliases: &rules.policy.aliases, catalog: &rules.catalog };
    let hints = ask.hints.companions.iter();
    hints.map(|hint| Companion::look_up(hint, ask.rights, residency, names)).collect()
}

/// The deployments to try, or why there is none.
fn planned(
    candidates: &[Candidate],
    removed: &[Candidate],
    models: Models<'_>,
    residency: &Residency,
) -> Result<Plan, Refusal> {
    Plan::of(candidates).ok_or_else(|| {
        let all = candidates.iter().chain(removed);
        refusal(all.filter_map(excluded), models, residency)
    })
}

/// The refusal of a request with a hosted tool, if config forbids those where a residency binds.
fn hosted_tool(
    request: &ChatRequest<'_>,
    policy: &Policy,
    residency: &Residency,
) -> Option<Refusal> {
    let forbidden = policy.hosted_tools == HostedTools::Reject && residency.is_bound();
    let tool = forbidden.then(|| request.hosted_tool()).flatten()?;
    Some(Refusal::HostedTool { tool, residency: residency.clone() })
}

/// The effort for requests that set none: the rule's, else the role's; `None` if the caller named a model.
fn effort_of(
    choice: &ModelChoice,
    of_rule: Option<Effort>,
    policy: &Policy,
    benefit: impl FnOnce() -> f32,
) -> Option<Effort> {
    let of_role = &policy.role(choice.role?).effort;
    of_rule.or_else(|| of_role.at(of_role.is_ladder().then(benefit)))
}

fn excluded(candidate: &Candidate) -> Option<Exclusion> {
    match candidate.place {
        Place::In(_) => None,
        Place::Out(why) => Some(why),
    }
}
