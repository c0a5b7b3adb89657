//! Takes one request along the whole path: parse, decide, send, record. Only this file sees all of
//! it. Building is in `build.rs`.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::HeaderMap;
use tokio::time::Instant;

use crate::capacity::Cause;
use crate::capacity::DeploymentState;
use crate::clock;
use crate::decision::Ask;
use crate::decision::Decision;
use crate::decision::Moment;
use crate::decision::Rules;
use crate::decision::Ties;
use crate::decision::decide;
use crate::deployment::Deployment;
use crate::encrypted_items::EncryptedItems;
use crate::error::RouteError;
use crate::fallback::Dispatch;
use crate::fallback::Fallback;
use crate::fallback::FeatureHeaders;
use crate::fallback::Limits;
use crate::fallback::Note;
use crate::fallback::Walked;
use crate::ledger::Ledger;
use crate::metrics::Metrics;
use crate::metrics::Watched;
use crate::policy::Rights;
use crate::policy::Sender;
use crate::record::Observer;
use crate::record::ReferencePrices;
use crate::replicas::Replicas;
use crate::response::Response;
use crate::response::tell_adapted;
use crate::response::tell_decision;
use crate::response::tell_overhead;
use crate::response::tell_plan;
use crate::selection::Exclusion;
use crate::selection::Place;
use crate::selection::refusal::BUSY_WAIT;
use crate::state::CapacityState;
use crate::stored::StoredResponses;
use crate::task::Task;
use crate::trace::Propagation;
use crate::units::DeploymentName;
use crate::upstream::HttpUpstream;
use crate::upstream::Upstream;
use crate::waiting::QueueView;

use super::audit;
use super::background::OpenAnswers;
use super::bulk::Bulk;
use super::call::ChatCall;
use super::charging::{Unsaid, admit};
use super::early_head::{EarlyHead, Pace, answer_or_early_head};
use super::incoming::{Incoming, read};
use super::naming::{Named, name_of, role_of_follow_up};
use super::open_request::{Observers, OpenRequest};
use super::owners::owners_elsewhere;
use super::refusing::refusals;
use super::respond::{Owners, Respond};

/// Routes chat requests. Cloning is cheap; clones share everything.
#[derive(Debug)]
pub struct ModelRouter<U = HttpUpstream>(Arc<Inner<U>>);

impl<U> Clone for ModelRouter<U> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

#[derive(Debug)]
pub(super) struct Inner<U> {
    pub(super) rules: Rules,
    pub(super) state: Arc<CapacityState>,
    pub(super) fallback: Fallback<U>,
    pub(super) metrics: Metrics,
    pub(super) watched: Watched,
    pub(super) stored: StoredResponses,
    pub(super) encrypted: EncryptedItems,
    pub(super) answers: OpenAnswers,
    pub(super) observers: Observers,
    pub(super) ledger: Arc<Ledger>,
    pub(super) bulk: Arc<Bulk>,
    /// By whose prices costs are compared.
    pub(super) prices: ReferencePrices,
    pub(super) replicas: Option<Arc<Replicas>>,
}

impl<U: Upstream> ModelRouter<U> {
    pub(super) fn of(inner: Inner<U>) -> Self {
        Self(Arc::new(inner))
    }

    pub(super) fn inner(&self) -> &Inner<U> {
        &self.0
    }

    /// From now on the observer is told of each request that begins.
    pub fn observe(&self, observer: Arc<dyn Observer>) {
        self.0.observers.add(observer);
    }

    /// One request to a model, from bytes to response.
    ///
    /// Dropping the future, or the stream of the response, cancels what is under way upstream.
    ///
    /// # Errors
    /// Nothing could be sent, or no deployment answered. An answer of the upstream that is the caller's own fault (a
    /// content filter's 400, say) is a [`Response`] with that status.
    pub async fn chat(&self, call: ChatCall) -> Result<Response, RouteError> {
        let Limits { hold, heartbeat, .. } = *self.0.fallback.limits();
        let pace = Pace { operation: call.operation, early: Instant::now() + hold, heartbeat };
        let promise: Arc<OnceLock<EarlyHead>> = Arc::default();
        let work = Box::pin(Arc::clone(&self.0).answer(call, Arc::clone(&promise)));
        answer_or_early_head(work, &promise, pace).await
    }

    /// All names that a caller with these rights can ask for.
    pub fn names(&self, rights: &Rights) -> Vec<String> {
        rights.names(&self.0.rules.policy.aliases, &self.0.rules.catalog)
    }

    /// The accounts of keys; a router that takes this one's place goes on with them.
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.0.ledger
    }

    /// A caller showed no key that is known and valid; counted by its cause.
    pub fn unauthorized(&self, cause: &'static str) {
        self.0.metrics.unauthorized(cause);
    }

    /// True while at least one deployment may be used: it is not switched off, and nothing of its config or rights is known
    /// to be wrong.
    pub fn ready(&self) -> bool {
        let now = Instant::now();
        self.0.rules.catalog.deployments().iter().any(|deployment| {
            let cooling = self.0.state.standing(&deployment.name).cooling(now);
            deployment.enabled && cooling.is_none_or(|(cause, _)| cause != Cause::Misconfigured)
        })
    }

    /// The current state of a deployment.
    pub fn standing(&self, deployment: &DeploymentName) -> DeploymentState {
        self.0.state.standing(deployment)
    }

    /// The queue in front of a deployment now; `None` for an unknown one.
    pub fn queue(&self, deployment: &DeploymentName) -> Option<QueueView> {
        self.0.fallback.waiting().queue(deployment, Instant::now())
    }

    /// The other routers with which it shares what it knows. Whoever starts it runs them: [`Replicas::run`].
    pub fn replicas(&self) -> Option<&Arc<Replicas>> {
        self.0.replicas.as_ref()
    }

    pub(super) fn fallback(&self) -> &Fallback<U> {
        &self.0.fallback
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    pub(super) fn stored_responses(&self) -> &StoredResponses {
        &self.0.stored
    }

    /// The rules of decisions.
    pub fn rules(&self) -> &Rules {
        &self.0.rules
    }
}

impl<U: Upstream> tower::Service<ChatCall> for ModelRouter<U> {
    type Response = Response;
    type Error = RouteError;
    type Future = BoxFuture<'static, Result<Response, RouteError>>;

    fn poll_ready(
        &mut self,
        _context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), RouteError>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: ChatCall) -> Self::Future {
        let router = self.clone();
        Box::pin(async move { router.chat(call).await })
    }
}

/// A decision, and when its request began.
#[derive(Clone, Copy)]
struct Made<'d> {
    decision: &'d Decision,
    began: Instant,
}

impl<U: Upstream> Inner<U> {
    pub(super) fn decide(&self, incoming: &Incoming<'_>) -> Result<Decision, RouteError> {
        let Incoming { call, request, hints, readers, .. } = incoming;
        let unknown = self.fallback.limits().unknown_stored;
        let Named { name, only } = name_of(incoming, &self.rules, &self.stored, unknown)?;
        let path_model = name.as_deref();
        let moment = Moment { now: Instant::now(), today: clock::day(clock::wall()) };
        let ties = Ties { only: only.as_ref(), reader: readers.endpoint() };
        let sender = Sender { key: call.caller.name(), headers: Some(&call.headers) };
        let ask = Ask { request, path_model, hints, rights: &call.rights, sender, ties };
        let snapshot = self.state.snapshot(incoming.asker(), moment.now);
        Ok(decide(ask, &self.rules, &snapshot, moment)?)
    }

    pub(super) fn max_messages(&self) -> usize {
        self.fallback.limits().max_messages
    }

    pub(super) async fn answer(
        self: Arc<Self>,
        call: ChatCall,
        promise: Arc<OnceLock<EarlyHead>>,
    ) -> Result<Response, RouteError> {
        let call = Arc::new(call);
        let mut open = OpenRequest::new(&call, &self.observers, &self.metrics);
        let answer = self.attempt(&call, &promise, &mut open).await;
        if let Err(error) = &answer {
            audit::refused(&self.metrics, error, &call.caller, &call.rights, &call.headers);
            open.refused(error.kind());
        }
        answer
    }

    async fn attempt(
        self: &Arc<Self>,
        call: &Arc<ChatCall>,
        promise: &OnceLock<EarlyHead>,
        open: &mut OpenRequest,
    ) -> Result<Response, RouteError> {
        let began = Instant::now();
        let (bytes, most) = (call.body.len(), self.max_messages());
        let owned = Arc::clone(call);
        let mut incoming = self.bulk.run(bytes, move || read(owned, most)).await?;
        let request = &incoming.get().request;
        owners_elsewhere(request, &self.stored, &self.encrypted, self.replicas.as_deref()).await;
        let readers = self.encrypted.readers(request.encrypted());
        incoming.with_mut(|incoming| incoming.readers = readers);
        let inner = Arc::clone(self);
        let decide = move || inner.decide(incoming.get()).map(|decision| (incoming, decision));
        let (incoming, decision) = self.bulk.run(bytes, decide).await?;
        let incoming = incoming.get();
        let request = &incoming.request;
        open.decided(request, &decision, self.rules.classifier.threshold());
        let answer =
            self.carry_out(incoming, Made { decision: &decision, began }, promise, open).await;
        if let Err(error) = &answer {
            call.disclosure.refused(&decision);
            if error.is_misconfigured() {
                call.disclosure.misconfigured(refusals(&self.fallback, &decision));
            }
        }
        answer
    }

    async fn carry_out(
        self: &Arc<Self>,
        incoming: &Incoming<'_>,
        Made { decision, began }: Made<'_>,
        promise: &OnceLock<EarlyHead>,
        open: &mut OpenRequest,
    ) -> Result<Response, RouteError> {
        let Incoming { call, request, hints, readers, .. } = incoming;
        let plan = decision.plan.as_ref().map_err(Clone::clone)?;
        let unsaid = Unsaid::of(&self.rules, request);
        open.admitted(admit(&self.ledger, call, decision, plan, unsaid)?);
        let mut told = HeaderMap::with_capacity(20);
        tell_decision(&mut told, decision);
        let limits = self.fallback.limits();
        let patience = hints.caller_timeout.map_or(limits.deadline, |own| own.min(limits.deadline));
        let task = decision
            .task()
            .or_else(|| role_of_follow_up(request, &plan.first.model.name, &self.rules));
        let role = task.map(|task| self.rules.policy.role(task));
        let dispatch = Dispatch {
            request,
            call: call.call(request),
            plan,
            admission: decision.admission.clone(),
            asker: incoming.asker(),
            share: call.entry.as_ref().and_then(|entry| Some(&entry.memory()?.responses)),
            readers,
            task: decision.kind(&self.rules.catalog),
            effort: decision.effort.or_else(|| role.and_then(|role| role.effort.at(None))),
            chosen: task.is_some(),
            reject_unsupported: self.rules.policy.reject_unsupported,
            first_byte: self.first_byte(decision, &plan.first),
            deadline: call.received + patience,
            trace: Propagation::new(&call.headers, call.span.clone()),
            features: FeatureHeaders::of(&call.headers, &decision.companions),
            cache_key: incoming.cache_key(self.rules.policy.cache_key),
        };
        if request.stream() {
            let (headers, disclosure) =
                (self.foreseen(told.clone(), &dispatch), call.disclosure.clone());
            // Nobody else sets it, so that it is set here is all that can come of it.
            drop(promise.set(EarlyHead { headers, disclosure }));
        }
        let decided = began.elapsed();
        let mut nowhere = Walked::default();
        let walked = self.fallback.walk(dispatch, open.walked().unwrap_or(&mut nowhere)).await;
        open.end_walk();
        let (attempts, notes) = open.history();
        call.disclosure.walked(attempts);
        let answered = walked.map_err(|fault| self.sending_fault(fault, decision))?;
        let upstream: Duration = attempts.iter().map(|step| step.took).sum();
        let held: Duration = notes.iter().map(Note::held).sum();
        let overhead = began.elapsed().saturating_sub(upstream + held).max(decided);
        open.took_itself(overhead);
        tell_overhead(&mut told, overhead);
        let (stored, encrypted) = (&self.stored, &self.encrypted);
        let owners = Owners { stored, encrypted, caller: &call.caller };
        let (answers, prices) = (&self.answers, &self.prices);
        let respond = Respond { decision, request, owners, answers, prices, began };
        Ok(respond.respond(answered, told, open.take()))
    }

    /// The headers of a stream that are certain before there is an answer.
    fn foreseen(&self, mut headers: HeaderMap, dispatch: &Dispatch<'_, '_>) -> HeaderMap {
        tell_plan(&mut headers, dispatch.plan);
        tell_adapted(&mut headers, &self.fallback.foreseen(dispatch));
        headers
    }

    /// A reasoning model takes minutes where a chat model takes seconds; the role's limit, else the model's kind.
    fn first_byte(&self, decision: &Decision, first: &Deployment) -> Duration {
        let task = decision.task().unwrap_or(if first.model.reasons() {
            Task::Reasoning
        } else {
            Task::Chat
        });
        self.rules.policy.role(task).first_byte_timeout
    }

    fn sending_fault(
        &self,
        fault: crate::fallback::SendingFault,
        decision: &Decision,
    ) -> RouteError {
        let now = Instant::now();
        // The deployments that the request may use, whether or not the plan held them.
        let pool = decision.candidates.iter().filter(|candidate| {
            matches!(
                candidate.place,
                Place::In(_)
                    | Place::Out(
                        Exclusion::Cooling { .. } | Exclusion::InFlight | Exclusion::Full { .. }
                    )
            )
        });
        let wait = pool
            .filter_map(|candidate| {
                let standing = self.state.standing(&candidate.deployment.name);
                let entry = decision.admission.entry(&candidate.deployment);
                let full = if decision.admission.bound {
                    self.fallback.waiting().newcomers_wait(&candidate.deployment.name, &entry, now)
                } else {
                    standing.entry_wait(&entry, now)
                };
                let cooling =
                    standing.cooling(now).filter(|(cause, _)| *cause != Cause::Misconfigured);
                let cooling = cooling.map(|(_, until)| until - now);
                let busy = candidate.deployment.max_in_flight;
                let busy = busy.filter(|most| standing.in_flight >= *most).map(|_| BUSY_WAIT);
                cooling.max((!full.is_zero()).then_some(full)).or(busy)
            })
            .min();
        let bound = decision.residency.is_bound();
        RouteError::Sending { fault, wait, bound }
    }
}
