//! Walks a plan: one attempt after another until one answers, within one deadline.
//!
//! A 429 and every fault before the first content byte move on to the next deployment. An error
//! that the request itself causes goes back to the caller unchanged. The residency needs no check
//! here, because the plan holds nothing outside it. `try_deployment` handles each deployment.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::capacity::Admission;
use crate::capacity::Asker;
use crate::capacity::Cause;
use crate::capacity::DeploymentState;
use crate::chat::ChatRequest;
use crate::decision::Plan;
use crate::deployment::Deployment;
use crate::encrypted_items::Readers;
use crate::memory::Budget;
use crate::memory::Share;
use crate::model::Effort;
use crate::state::CapacityState;
use crate::state::Kept;
use crate::state::Renewal;
use crate::task::Task;
use crate::trace::Propagation;
use crate::units::DeploymentName;
use crate::upstream::Call;
use crate::upstream::Upstream;
use crate::waiting::Times;
use crate::waiting::Waiting;

use super::admit::admit;
use super::attempt_log::AttemptLog;
use super::budget::RetryTokens;
use super::caller_headers::FeatureHeaders;
use super::history::Walked;
use super::last_refusals::{LastRefusal, LastRefusals};
use super::limits::{Hedging, Limits, RetryBudget};
use super::passing::answer_memory;
use super::refused_fields::Refusals;
use super::send_attempt::Delivery;
use super::step::{Note, SendingFault, Spill, gave_up};
use super::warnings::Warnings;

/// A request on its way, with the plan for it.
#[derive(Debug)]
pub(crate) struct Dispatch<'r, 'a> {
    /// The request.
    pub(crate) request: &'r ChatRequest<'a>,
    /// The operation to call at each deployment.
    pub(crate) call: Call,
    /// The deployments to try.
    pub(crate) plan: &'r Plan,
    /// The terms on which it asks for capacity.
    pub(crate) admission: Admission,
    /// The caller.
    pub(crate) asker: Asker,
    /// The key's share of the memory for answers, if it may hold only a share.
    pub(crate) share: Option<&'r Arc<Share>>,
    /// The kind of task that its answer is learned by.
    pub(crate) task: Task,
    /// The effort of the role, for requests that set none.
    pub(crate) effort: Option<Effort>,
    /// True where the router chose the model, not the caller.
    pub(crate) chosen: bool,
    /// True where a request that would need adapting is refused.
    pub(crate) reject_unsupported: bool,
    /// The time of each attempt to its first byte.
    pub(crate) first_byte: Duration,
    /// No attempt starts after this moment, and none waits for its first byte beyond it.
    pub(crate) deadline: Instant,
    /// The endpoints that can decrypt its items.
    pub(crate) readers: &'r Readers,
    /// The trace context of its attempts.
    pub(crate) trace: Propagation,
    /// The headers of Azure's features that go with it.
    pub(crate) features: FeatureHeaders<'r>,
    /// The `prompt_cache_key` that is sent if it has none.
    pub(crate) cache_key: Option<Box<str>>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answered {
    /// The deployment that answered.
    pub(crate) deployment: Arc<Deployment>,
    /// The answer.
    pub(crate) delivery: Delivery,
    /// The fields that were changed or left out.
    pub(crate) adapted: Vec<&'static str>,
    /// True where the whole answer must be streamed on to the caller.
    pub(crate) restream: bool,
}

/// Sends requests by their plans.
#[derive(Debug)]
pub(crate) struct Fallback<U> {
    pub(super) upstream: U,
    pub(super) waiting: Arc<Waiting>,
    pub(super) limits: Limits,
    retries: RetryTokens,
    /// The memory that all answers that are not streamed share.
    pub(super) answers: Arc<Budget>,
    /// Fields that deployments refused against their records.
    pub(super) refusals: Refusals,
    pub(super) warnings: Arc<Warnings>,
    /// The latest refusals of the router by deployments.
    pub(super) last_refusals: Arc<LastRefusals>,
    /// The budget of second attempts; `None` where none are made.
    pub(super) hedges: Option<RetryTokens>,
}

/// The end of a walk over the plan.
pub(super) enum WalkEnd {
    /// A deployment answered.
    Answered(Box<Answered>),
    /// Our own cap cut the answer off: ask again with the caller's.
    Again,
    /// The request must not be changed, and unchanged it cannot be sent.
    Unsupported(SendingFault),
}

/// The reason why a walk goes on to the next deployment.
pub(super) enum Declined {
    /// The deployment did not answer.
    NoAnswer,
    /// One with a larger window may answer; if there is none, this is the answer.
    LargerWindow(Box<Answered>),
    /// One with a larger quota may answer; if there is none, this is the answer.
    LargerQuota(Box<Answered>),
}

/// The step that follows an attempt.
pub(super) type Next = ControlFlow<WalkEnd, Declined>;

/// The step that follows a pass over deployments: the end, or further deployments.
pub(super) type Passed = ControlFlow<WalkEnd>;

/// The most attempts of one request at a deployment that answers "full"; a request without another deployment is tried as
/// long as it may be held.
pub(super) const FULL_TRIES: usize = 4;

impl<U: Upstream> Fallback<U> {
    /// Sends over `upstream`, waits and learns through `waiting`.
    pub(crate) fn new(upstream: U, waiting: Waiting, limits: Limits) -> Self {
        let retries = RetryTokens::new(limits.retry_budget, Instant::now());
        let hedges = limits.hedging.map(|one| RetryTokens::new(share(one), Instant::now()));
        let answers = Arc::new(Budget::new(answer_memory(&limits)));
        Self {
            upstream,
            waiting: Arc::new(waiting),
            limits,
            retries,
            answers,
            refusals: Refusals::default(),
            warnings: Arc::default(),
            last_refusals: Arc::default(),
            hedges,
        }
    }

    /// The budget of further attempts after faults.
    pub(crate) fn retries(&self) -> &RetryTokens {
        &self.retries
    }

    /// The same under a new config: budgets and what was learned of deployments that stay are carried on.
    #[must_use]
    pub(crate) fn renewed(&self, upstream: U, limits: Limits, renewal: &Renewal<'_>) -> Self {
        let state = Arc::new(self.waiting.state().renewed(renewal));
        let waiting = self.waiting.renewed(state, renewal);
        self.answers.resize(answer_memory(&limits));
        self.last_refusals.keep(|name| renewal.kept.get(name) == Some(&Kept::Whole));
        let hedges = |hedging: Hedging| {
            let before = self.hedges.as_ref().map(|tokens| tokens.renewed(share(hedging)));
            before.unwrap_or_else(|| RetryTokens::new(share(hedging), renewal.now))
        };
        Self {
            upstream,
            waiting: Arc::new(waiting),
            retries: self.retries.renewed(limits.retry_budget),
            answers: Arc::clone(&self.answers),
            refusals: self.refusals.renewed(|name| renewal.kept.get(name) == Some(&Kept::Whole)),
            warnings: Arc::clone(&self.warnings),
            last_refusals: Arc::clone(&self.last_refusals),
            hedges: limits.hedging.map(hedges),
            limits,
        }
    }

    /// The queues in front of full deployments.
    pub(crate) fn waiting(&self) -> &Arc<Waiting> {
        &self.waiting
    }

    /// The reason why a deployment refused the router the last time; `None` if it has answered since.
    pub(crate) fn last_refusal(&self, deployment: &DeploymentName) -> Option<LastRefusal> {
        self.last_refusals.of(deployment)
    }

    /// The state that it learns into.
    pub(crate) fn state(&self) -> &Arc<CapacityState> {
        self.waiting.state()
    }

    /// The upstream, for calls without a decision.
    pub(crate) fn upstream(&self) -> &U {
        &self.upstream
    }

    /// The limits it keeps.
    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Tries the deployments of the plan in order until one answers. What happens is recorded in `walked` where it happens.
    ///
    /// # Errors
    /// None answered.
    pub(crate) async fn walk(
        &self,
        mut dispatch: Dispatch<'_, '_>,
        walked: &mut Walked,
    ) -> Result<Answered, SendingFault> {
        let began = Instant::now();
        self.retries.deposit(began);
        if let Some(hedges) = &self.hedges {
            hedges.deposit(began);
        }
        let Walked { main, hedge } = walked;
        let mut log = AttemptLog::new(began, main, Some(hedge));
        if !self.time_to_ask_again(&dispatch, began) {
            dispatch.admission.tight = None;
        }
        let patient = began.checked_add(dispatch.admission.patience).unwrap_or(dispatch.deadline);
        let until = patient.min(self.latest_start(&dispatch));
        let mut passed = self.pass(&mut dispatch, until, &mut log).await;
        if matches!(passed, ControlFlow::Break(WalkEnd::Again)) {
            dispatch.admission = dispatch.admission.with_own_cap();
            passed = self.pass(&mut dispatch, until, &mut log).await;
        }
        match passed {
            ControlFlow::Break(WalkEnd::Answered(answered)) => Ok(*answered),
            ControlFlow::Break(WalkEnd::Unsupported(fault)) => Err(fault),
            ControlFlow::Break(WalkEnd::Again) | ControlFlow::Continue(()) => {
                let late = Instant::now() >= dispatch.deadline;
                let own_fault = log.own_fault().map(|answered| *answered);
                own_fault.ok_or_else(|| SendingFault::of(log.attempts(), late))
            }
        }
    }

    /// Tries the plan's deployments in order. Where there is nothing but provisioned ones, those with room come first, and
    /// then the one that will have some soonest is waited for.
    async fn pass(
        &self,
        dispatch: &mut Dispatch<'_, '_>,
        until: Instant,
        log: &mut AttemptLog<'_>,
    ) -> Passed {
        let hold_until = if dispatch.admission.bound { Instant::now() } else { until };
        let plan = dispatch.plan;
        self.readers(dispatch, log).await?;
        for (at, deployment) in plan.iter().enumerate().skip(dispatch.bound_readers()) {
            let now = Instant::now();
            let hold_until = self.hold_until(at, dispatch, hold_until);
            if self.is_too_small(deployment, log, now)
                || self.is_closed(deployment, now, hold_until)
            {
                continue;
            }
            if !self.may_go_on(log, dispatch.deadline) {
                return ControlFlow::Continue(());
            }
            self.stay(deployment, dispatch, hold_until, log).await?;
        }
        let crowded = std::mem::take(&mut log.crowded);
        dispatch.admission.insists = true;
        for deployment in &crowded {
            if self.began_cooling(deployment, Instant::now()) {
                continue;
            }
            if !self.may_go_on(log, dispatch.deadline) {
                return ControlFlow::Continue(());
            }
            self.stay(deployment, dispatch, hold_until, log).await?;
        }
        dispatch.admission.insists = false;
        while dispatch.admission.bound && Instant::now() < until {
            let Some(soonest) = self.soonest(dispatch, log.attempts()) else { break };
            let before = log.attempts().len();
            self.stay(&soonest, dispatch, until, log).await?;
            let tried = log.attempts().len() > before;
            if !(tried && log.found_full()) {
                break;
            }
        }
        ControlFlow::Continue(())
    }

    /// Tries one deployment, again where it is full and there is time to wait.
    pub(super) async fn stay(
        &self,
        deployment: &Arc<Deployment>,
        dispatch: &Dispatch<'_, '_>,
        until: Instant,
        log: &mut AttemptLog<'_>,
    ) -> Passed {
        for _ in 0..FULL_TRIES {
            let entry = dispatch.admission.entry(deployment);
            let times = Times { since: log.began, until };
            let notes = &mut log.history.notes;
            let Some(reserved) = admit(&self.waiting, deployment, &entry, times, notes).await
            else {
                if matches!(notes.last(), Some(Note::Recovering { .. })) {
                    log.crowded.push(Arc::clone(deployment));
                }
                return ControlFlow::Continue(());
            };
            match self.attempt(reserved, dispatch, log).await? {
                Declined::LargerWindow(answered) => {
                    log.too_long = Some((deployment.model.context_window, answered));
                    return ControlFlow::Continue(());
                }
                Declined::LargerQuota(answered) => {
                    self.note_over_quota(deployment, answered, log);
                    return ControlFlow::Continue(());
                }
                Declined::NoAnswer if !log.found_full() => return ControlFlow::Continue(()),
                Declined::NoAnswer if deployment.is_held_for() && Instant::now() >= until => {
                    return ControlFlow::Continue(());
                }
                Declined::NoAnswer if Instant::now() < until => {}
                Declined::NoAnswer => break,
            }
        }
        let deployment = Arc::clone(deployment);
        log.note(Note::Spilled { deployment, cause: Spill::Refused });
        ControlFlow::Continue(())
    }

    /// True where the deployment asked to be left alone since the decision was made.
    pub(super) fn began_cooling(&self, deployment: &Deployment, now: Instant) -> bool {
        let cooling = |standing: &DeploymentState| standing.cooling_in(deployment.tier(), now);
        let cause = self.waiting.state().see(&deployment.name, cooling);
        matches!(cause, Some((Cause::Throttled | Cause::Unavailable | Cause::Misconfigured, _)))
    }

    /// True while there is time for another attempt, and the budget of retries allows it after a fault.
    pub(super) fn may_go_on(&self, log: &AttemptLog<'_>, deadline: Instant) -> bool {
        let now = Instant::now();
        let fault = log.attempts().last().is_some_and(|step| step.ended.is_fault());
        now < deadline && !gave_up(log.attempts()) && (!fault || self.retries.withdraw(now))
    }
}

/// The budget of second attempts.
fn share(hedging: Hedging) -> RetryBudget {
    RetryBudget { ratio: hedging.ratio, per_second: 0.0 }
}
