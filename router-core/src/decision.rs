//! Decides what to do with a request: one pure function over all modules listed earlier.
//!
//! [`decide`] does no I/O, reads no clock and draws no random number: the same request, rules,
//! snapshot and moment give the same [`Decision`], which carries every candidate with its reason.
//! It can be explained without being carried out, tested without a network, and replayed.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::capacity::Admission;
use crate::capacity::Reserve;
use crate::capacity::STANDING_WAIT_SHARE;
use crate::capacity::Settings;
use crate::capacity::Snapshot;
use crate::capacity::usual_bound_wait;
use crate::chat::ChatRequest;
use crate::chat::Operation;
use crate::deployment::Catalog;
use crate::deployment::Deployment;
use crate::deployment::EndpointName;
use crate::deployment::Residency;
use crate::policy::Companion;
use crate::policy::Hints;
use crate::policy::HostedTools;
use crate::policy::ModelChoice;
use crate::policy::Names;
use crate::policy::OnUnavailable;
use crate::policy::Policy;
use crate::policy::Preference;
use crate::policy::Priority;
use crate::policy::RequestedModel;
use crate::policy::Rights;
use crate::policy::Target;
use crate::policy::UnknownModel;
use crate::selection::Candidate;
use crate::selection::Constraints;
use crate::selection::Eligible;
use crate::selection::Exclusion;
use crate::selection::Needs;
use crate::selection::Place;
use crate::selection::Preferences;
use crate::selection::TierOrder;
use crate::selection::eligible;
use crate::selection::order;
use crate::selection::refusal;
use crate::selection::refusal::Models;
use crate::task::Because;
use crate::task::Classifier;
use crate::task::Task;
use crate::task::Verdict;
use crate::units::Day;

pub use crate::selection::Plan;
pub use crate::selection::Refusal;

/// What decisions go by; fixed until config changes.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Turns requests into tasks.
    pub classifier: Classifier,
    /// Which models do which task.
    pub policy: Policy,
    /// Which deployments there are.
    pub catalog: Catalog,
    /// How long to wait, what to reserve, what to keep together.
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
    /// What the caller may use; hints are to be inside it ([`Rights::narrow`]).
    pub rights: &'r Rights,
    /// How what it refers to ties it to endpoints.
    pub ties: Ties<'r>,
}

/// How a request is tied to endpoints by what it refers to.
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

/// What to do with a request, and why.
#[derive(Debug, Clone)]
pub struct Decision {
    /// What the name in the request meant.
    pub asked: RequestedModel,
    /// The task and its score; `None` if the caller named a model and nothing had to be scored.
    pub verdict: Option<Verdict>,
    /// The task that the score would have chosen, where scores are only observed; else `None`.
    pub would: Option<Task>,
    /// The requested models.
    pub choice: ModelChoice,
    /// True if config says which role serves, whatever was scored or asked for.
    pub forced: bool,
    /// True if the caller's key leaves one role alone, which serves whatever was scored.
    pub set_by_key: bool,
    /// True if the reasoning role had no deployment inside the residency and the chat role serves.
    pub downgraded: bool,
    /// Where the request may be processed.
    pub residency: Residency,
    /// What matters more.
    pub prefer: Preference,
    /// Whether somebody waits.
    pub priority: Priority,
    /// What the request needs.
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

impl Decision {
    /// The kind of task that its answer is learned by.
    pub fn kind(&self, catalog: &Catalog) -> Task {
        kind_of(&self.choice, catalog)
    }

    /// The task by which the models were chosen.
    pub fn task(&self) -> Option<Task> {
        self.choice.role
    }

    /// The word for what gave the task, if it was scored: `key` where the caller's key leaves one role alone, else what
    /// [`Because`] says.
    pub fn decided_by(&self) -> Option<&'static str> {
        let because = self.verdict?.because;
        let set = self.set_by_key && because != Because::Hint;
        Some(if set { "key" } else { because.as_str() })
    }

    /// The provisioned deployments that were left out because they may not be used just now, and why.
    pub fn passed_over(&self) -> impl Iterator<Item = (&Arc<Deployment>, Exclusion)> {
        self.candidates.iter().filter_map(Candidate::passed_over)
    }
}

/// Decides what to do with a request.
///
/// # Errors
/// The request names a model that does not exist here. Everything else that prevents sending is told in
/// [`Decision::plan`], together with what was considered.
pub fn decide(
    ask: Ask<'_, '_>,
    rules: &Rules,
    snapshot: &Snapshot,
    moment: Moment,
) -> Result<Decision, UnknownModel> {
    let Rules { policy, catalog, capacity, .. } = rules;
    let (name, rights) = (ask.path_model.or_else(|| ask.request.model()), ask.rights);
    let asked = rights.look_up(name, &policy.aliases, catalog)?;
    // A switch of config's widens no right of a key.
    let forced = policy.forced.filter(|role| rights.allow_role(*role));
    let (verdict, task, named_preference) = judged(ask, &asked, forced, rules);
    let would = verdict.and_then(|verdict| policy.would(verdict, forced.or(rights.role)));
    let (residency, needs) = (residency_of(policy, rights, ask.hints), Needs::of(ask.request));
    let prefer = ask.hints.prefer.or(named_preference).unwrap_or(policy.prefer);
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
    let mut choice = policy.choose(&asked, task, catalog);
    let (mut kept, mut removed) = eligible(catalog, &choice, constraints);
    let downgraded = kept.is_empty()
        && rights.allow_role(Task::Chat)
        && may_downgrade(policy, &choice, &removed);
    if downgraded {
        choice = policy.choose(&RequestedModel::Role(Task::Chat), Task::Chat, catalog);
        (kept, removed) = eligible(catalog, &choice, constraints);
    }
    let admission = admission(ask, Terms::of(&choice, &needs, &kept), rules, snapshot);
    let preferences = Preferences {
        prefer,
        choice: &choice,
        needs: &needs,
        tiers,
        admission: &admission,
        ramp: capacity.ramp,
        reader: ask.ties.reader,
    };
    let mut candidates = order(kept, preferences, snapshot, moment.now);
    let models = Models { names: &choice.models, prompt_field: needs.operation.prompt_field() };
    let plan = hosted_tool(ask.request, policy, &residency)
        .map_or_else(|| planned(&candidates, &removed, models, &residency), Err);
    candidates.append(&mut removed);
    Ok(Decision {
        asked,
        verdict,
        would,
        forced: forced.is_some() && choice.role.is_some(),
        set_by_key: verdict.is_some() && rights.role.is_some(),
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

/// The task, with its score if it was scored, and the preference that came with the name.
fn judged(
    ask: Ask<'_, '_>,
    asked: &RequestedModel,
    forced: Option<Task>,
    rules: &Rules,
) -> (Option<Verdict>, Task, Option<Preference>) {
    match asked {
        RequestedModel::Auto(prefer) => {
            let verdict = rules.classifier.classify(ask.request, ask.hints.task);
            let task = forced.or(ask.rights.role);
            (Some(verdict), task.unwrap_or_else(|| rules.policy.heed(verdict)), *prefer)
        }
        RequestedModel::Role(task) => (None, forced.unwrap_or(*task), None),
        RequestedModel::Model(_) | RequestedModel::Deployment(_) | RequestedModel::Pinned(_) => {
            (None, Task::Chat, None)
        }
    }
}

/// Where a request may be processed: config's residency, narrowed by its caller's rights and hints.
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

/// The kind of task that answers are learned by: the role, or the kind of model where one was named.
fn kind_of(choice: &ModelChoice, catalog: &Catalog) -> Task {
    let record = choice.models.first().and_then(|name| catalog.model(name.as_str()));
    let reasons = record.is_some_and(|record| record.reasons());
    choice.role.unwrap_or(if reasons { Task::Reasoning } else { Task::Chat })
}

/// What the terms of a request depend on.
#[derive(Clone, Copy)]
struct Terms<'d> {
    choice: &'d ModelChoice,
    needs: &'d Needs,
    /// True if only provisioned deployments may serve it.
    bound: bool,
}

impl<'d> Terms<'d> {
    fn of(choice: &'d ModelChoice, needs: &'d Needs, kept: &Eligible) -> Self {
        Self { choice, needs, bound: kept.all_provisioned() }
    }
}

/// The terms on which the request asks for capacity.
fn admission(ask: Ask<'_, '_>, terms: Terms<'_>, rules: &Rules, snapshot: &Snapshot) -> Admission {
    let Terms { choice, needs, bound } = terms;
    let (settings, kind) = (&rules.capacity, kind_of(choice, &rules.catalog));
    // A guess is good enough only where nothing else can serve the request.
    let expected = snapshot.expected(kind).filter(|expected| bound || expected.sure);
    // A cap that is hardly tighter blocks hardly less, and asking again is paid for.
    let usual_reserve = if bound { Reserve::Learned } else { Reserve::Asked };
    let reserve = settings.reserve.unwrap_or(usual_reserve);
    let tight = expected.map(|expected| expected.most).filter(|most| {
        let longer = needs.cap.is_none_or(|cap| cap.0.saturating_mul(4) > most.0.saturating_mul(5));
        reserve == Reserve::Learned
            && needs.operation == Operation::Chat
            && !needs.streamed
            && ask.request.n() == 1
            && longer
    });
    let mut load = needs.load();
    load.cached = snapshot.home.as_ref().map_or(load.cached, |home| home.cached(load.prompt));
    let priority = ask.hints.priority.unwrap_or_default();
    // Who pins one deployment chose to have no other; who is bound did not.
    let pinned = matches!(choice.target, Target::Only(_));
    let most = ask.rights.max_wait.unwrap_or(Duration::MAX);
    let bound_wait = usual_bound_wait(kind);
    let usual = match settings.bound_wait {
        _ if pinned || !bound => settings.max_wait,
        wait => wait.or(ask.hints.caller_timeout).unwrap_or(bound_wait),
    };
    Admission {
        load,
        tight,
        expected,
        home: snapshot.home.as_ref().map(|home| home.deployment.clone()),
        priority,
        // Where there is nowhere else to go, nothing is kept free for others: the line's order sees to that.
        limit: if bound { 1.0 } else { settings.limit(priority) },
        patience: ask.hints.max_wait.unwrap_or(usual).min(most),
        reader_patience: ask.hints.max_wait.unwrap_or(settings.max_wait).min(most),
        bound,
        key: snapshot.key,
        standing_wait: (bound && !pinned).then(|| bound_wait.mul_f64(STANDING_WAIT_SHARE)),
        insists: false,
    }
}

fn excluded(candidate: &Candidate) -> Option<Exclusion> {
    match candidate.place {
        Place::In(_) => None,
        Place::Out(why) => Some(why),
    }
}

/// True if the reasoning role fell to residency, rights or retirement alone and config lets chat serve instead.
fn may_downgrade(policy: &Policy, choice: &ModelChoice, removed: &[Candidate]) -> bool {
    let fell = removed.iter().filter_map(excluded).any(|why| {
        matches!(
            why,
            Exclusion::Residency
                | Exclusion::Retired(_)
                | Exclusion::NotAllowed
                | Exclusion::Disabled
        )
    });
    choice.role == Some(Task::Reasoning)
        && policy.reasoning.on_unavailable == OnUnavailable::Downgrade
        && fell
}
