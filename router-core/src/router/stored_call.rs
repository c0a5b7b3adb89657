//! Leads calls of a stored response back to the deployment that made it: no other has it, so nothing is decided and nothing
//! is tried again. One that is not known goes to where it can be, if config allows (`unknown.rs`).

use std::sync::Arc;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::StreamExt;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, StatusCode};
use tokio::time::Instant;

use crate::chat::Answer;
use crate::chat::items;
use crate::chat::items::Item;
use crate::clock;
use crate::decision::Refusal;
use crate::decision::residency_of;
use crate::deployment::Deployment;
use crate::error::RouteError;
use crate::fallback::Ended;
use crate::fallback::Limits;
use crate::fallback::Relay;
use crate::fallback::SendingFault;
use crate::fallback::Step;
use crate::fallback::passing::NotWhole;
use crate::fallback::relay::NotOpened;
use crate::fallback::relay::Watch;
use crate::policy::Hints;
use crate::response::Body;
use crate::response::ByteStream;
use crate::response::Response;
use crate::response::as_event_stream;
use crate::response::pass_on;
use crate::response::tell_attempts;
use crate::response::tell_cost;
use crate::stored::Stored;
use crate::stored::Unknown;
use crate::stored::UnknownResponse;
use crate::stored::is_plain;
use crate::trace::Propagation;
use crate::upstream::Attempt;
use crate::upstream::Call;
use crate::upstream::Circumstances;
use crate::upstream::Outcome;
use crate::upstream::Said;
use crate::upstream::Unreachable;
use crate::upstream::Upstream;
use crate::upstream::judge;

use super::audit;
use super::call::StoredCall;
use super::model_router::ModelRouter;
use super::owners::owner_elsewhere;
use super::unknown::places;

impl<U: Upstream> ModelRouter<U> {
    /// Reads, deletes or cancels a stored response at the deployment that made it.
    ///
    /// # Errors
    /// It is not stored here for this caller, its deployment lies outside the residency asked, or does not answer.
    pub async fn stored(&self, mut call: StoredCall) -> Result<Response, RouteError> {
        let slot = if call.entry.is_none() { self.enter_stored(&mut call, None)? } else { None };
        let mut trail = Vec::new();
        let mut answer = self.stored_answer(&call, &mut trail).await;
        self.metrics().attempted(&trail);
        call.disclosure.walked(&trail);
        if let Ok(Response { body: Body::Stream(stream), .. }) = &mut answer {
            stream.hold(slot);
        }
        if let Err(error) = &answer {
            audit::refused(self.metrics(), error, (&call.caller, &call.rights, &call.headers));
            self.metrics().refused(error.kind());
            if let Ok(hints) = call.hints() {
                let residency = residency_of(&self.rules().policy, &call.rights, &hints);
                call.disclosure.stored_refused(&residency);
            }
        }
        answer
    }

    async fn stored_answer(
        &self,
        call: &StoredCall,
        trail: &mut Vec<Step>,
    ) -> Result<Response, RouteError> {
        let hints = call.hints()?;
        if let Some(replicas) = self.replicas() {
            owner_elsewhere(&call.id, self.stored_responses(), replicas).await;
        }
        let makers = self.makers(call, &hints)?;
        match makers.as_slice() {
            [maker] if self.stored_responses().knows(&call.id) => {
                self.stored_at(call, &hints, maker, trail).await
            }
            places => self.of_several(call, &hints, places, trail).await,
        }
    }

    /// Asks each endpoint that can have the response, until one has it.
    async fn of_several(
        &self,
        call: &StoredCall,
        hints: &Hints,
        places: &[Arc<Deployment>],
        trail: &mut Vec<Step>,
    ) -> Result<Response, RouteError> {
        let mut fault = None;
        for place in places {
            match self.stored_at(call, hints, place, trail).await {
                Ok(response) if response.status == StatusCode::NOT_FOUND => {}
                Ok(response) => {
                    // Without keys all callers are one; with them, who asks first need not be who made it.
                    if response.status.is_success() && call.caller.name().is_none() {
                        self.stored_responses().remember(&call.id, &place.name, &call.caller);
                    }
                    return Ok(response);
                }
                Err(error) => fault = fault.or(Some(error)),
            }
        }
        // One that did not answer may have it.
        Err(fault.unwrap_or_else(|| unknown(call).into()))
    }

    /// Carries the call out at one deployment, and notes how that ended.
    async fn stored_at(
        &self,
        call: &StoredCall,
        hints: &Hints,
        deployment: &Arc<Deployment>,
        trail: &mut Vec<Step>,
    ) -> Result<Response, RouteError> {
        let began = Instant::now();
        let answer = self.carried_out(call, hints, deployment, began).await;
        let (ended, said, answer) = match answer {
            Ok((ended, said, response)) => (ended, said, Ok(response)),
            Err(Failed { ended, said, error }) => (ended, said, Err(error)),
        };
        let (deployment, took) = (Arc::clone(deployment), began.elapsed());
        let step = Step { deployment, ended, began, took, span: None, said };
        self.fallback().warn_of(&step);
        trail.push(step);
        let mut response = answer?;
        if let Some(last) = trail.last() {
            tell_attempts(&mut response.headers, &last.deployment, trail, None);
        }
        Ok(response)
    }

    async fn carried_out(
        &self,
        call: &StoredCall,
        hints: &Hints,
        deployment: &Arc<Deployment>,
        began: Instant,
    ) -> Result<(Ended, Said, Response), Failed> {
        let limits = self.fallback().limits();
        let (path, streamed) = call.address();
        let attempt = Attempt {
            deployment: Arc::clone(deployment),
            call: Call::Stored { method: call.method.clone(), path: path.into() },
            body: Bytes::new(),
            streamed,
            trace: Propagation::new(&call.headers, None).attempt().1,
        };
        let deadline = call.received + hints.caller_timeout.unwrap_or(limits.deadline);
        let deadline = deadline.min(began + limits.deadline);
        let reply = self.fallback().upstream().send(attempt);
        let reply = tokio::time::timeout_at(deadline, reply).await;
        let reply = reply.unwrap_or(Err(Unreachable::Timeout)).map_err(Failed::unreachable)?;
        let (status, mut headers) = (reply.status, HeaderMap::new());
        pass_on(&mut headers, &reply.headers);
        if is_event_stream(&reply.headers) && status.is_success() {
            let relay = Relay::open(reply.body, watch(limits, deadline)).await;
            let mut relay = relay.map_err(Failed::not_opened)?;
            self.settled_by_stream(&call.id, &mut relay);
            as_event_stream(&mut headers);
            let body = Body::Stream(ByteStream::new(self.reading(relay, deployment)));
            return Ok((Ended::Served, Said::default(), Response { status, headers, body }));
        }
        let upstream = reply.headers.clone();
        let body = tokio::time::timeout_at(deadline, self.fallback().whole(reply.body)).await;
        let body = body.unwrap_or(Err(NotWhole::Unreachable(Unreachable::Timeout)));
        let body = body.map_err(Failed::not_whole)?;
        let outcome = judge(status, &upstream, &body, circumstances(deployment, limits));
        let ended = ended(&outcome, status.as_u16());
        let said =
            if status.is_success() { Said::default() } else { Said::read(status.as_u16(), &body) };
        let bound = residency_of(&self.rules().policy, &call.rights, hints).is_bound();
        if let Err(error) = refused(&outcome, status.as_u16(), bound) {
            return Err(Failed { ended, said, error });
        }
        if status.is_success() {
            if call.method == Method::DELETE {
                self.stored_responses().forget(&call.id);
            }
            self.readable(items::of_answer(&body), deployment);
            self.settled_by(&call.id, &body, &mut headers);
        }
        Ok((ended, said, Response { status, headers, body: Body::Full(body) }))
    }

    /// What a deployment hands out encrypted, its endpoint can read.
    fn readable(&self, items: impl IntoIterator<Item = Item>, deployment: &Deployment) {
        let contents = items.into_iter().filter_map(|item| item.encrypted);
        contents.for_each(|content| self.inner().encrypted.remember(content, &deployment.endpoint));
    }

    /// A stored stream, whose encrypted items are remembered as they pass.
    fn reading(
        &self,
        relay: Relay,
        deployment: &Deployment,
    ) -> impl Stream<Item = Bytes> + Send + 'static + use<U> {
        let (encrypted, endpoint) = (self.inner().encrypted.clone(), deployment.endpoint.clone());
        relay.inspect(move |event| {
            if let Some(content) = items::of_event(event).and_then(|item| item.encrypted) {
                encrypted.remember(content, &endpoint);
            }
        })
    }

    /// An answer made in the background is settled by the first response that says what it used.
    fn settled_by(&self, id: &str, body: &[u8], headers: &mut HeaderMap) {
        let usage = Answer::read(body).usage;
        let settle = |usage| self.inner().open.settle(id, &usage, self.metrics());
        if let Some(settled) = usage.and_then(settle) {
            tell_cost(headers, settled.cost, settled.at_least);
        }
    }

    fn settled_by_stream(&self, id: &str, relay: &mut Relay) {
        let (open, metrics) = (self.inner().open.clone(), self.metrics().clone());
        let id: Box<str> = id.into();
        relay.on_end(move |end| {
            if let Some(usage) = &end.usage {
                open.settle(&id, usage, &metrics);
            }
        });
    }

    /// The deployment that made the response, if it may be asked; or one of each endpoint that can have it, if it is not known
    /// and may be asked for. Never none.
    fn makers(&self, call: &StoredCall, hints: &Hints) -> Result<Vec<Arc<Deployment>>, RouteError> {
        let unknown = || unknown(call);
        let (responses, rules) = (self.stored_responses(), self.rules());
        if !responses.knows(&call.id)
            && self.fallback().limits().unknown_stored == Unknown::Ask
            && is_plain(&call.id)
        {
            let places = places(rules, &call.rights, hints);
            let few = places.len() == 1 || (call.method == Method::GET && !places.is_empty());
            return if few { Ok(places) } else { Err(unknown().into()) };
        }
        let owner = responses.owner(&call.id, &call.caller).ok_or_else(unknown)?;
        let deployment = rules.catalog.deployment(owner.as_str()).ok_or_else(unknown)?;
        if !call.rights.allow(deployment) {
            return Err(unknown().into());
        }
        let residency = residency_of(&rules.policy, &call.rights, hints);
        if !residency.allows(deployment.area) {
            let models = deployment.model.name.to_string();
            return Err(Refusal::Residency { models, residency }.into());
        }
        if !deployment.enabled {
            return Err(Refusal::Disabled.into());
        }
        Ok(vec![Arc::clone(deployment)])
    }
}

fn watch(limits: &Limits, content_by: Instant) -> Watch {
    Watch {
        content_by,
        idle: limits.idle_timeout,
        heartbeat: limits.heartbeat,
        max_event_bytes: limits.max_event_bytes,
        // A stored response repeats the request's instructions and tools, whose length is not known here.
        max_preamble_bytes: limits.max_event_bytes,
        withhold_usage: false,
        // Whoever follows a stored answer gets each event as it comes.
        background: true,
    }
}

/// What judging needs; a call of a stored response has no body.
fn circumstances<'c>(deployment: &'c Deployment, limits: &Limits) -> Circumstances<'c> {
    Circumstances {
        model: &deployment.azure_deployment,
        sent: &[],
        provisioned: deployment.billing.is_provisioned(),
        wall: clock::wall(),
        longest_wait: limits.wait_max,
    }
}

fn unknown(call: &StoredCall) -> UnknownResponse {
    UnknownResponse { id: call.id.clone(), what: Stored::Response }
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("text/event-stream"))
}

fn sending(fault: SendingFault) -> RouteError {
    RouteError::Sending { fault, wait: None, bound: false }
}

/// A call that failed: how its attempt ended, and what the caller gets.
struct Failed {
    ended: Ended,
    said: Said,
    error: RouteError,
}

impl Failed {
    fn new(ended: Ended, fault: SendingFault) -> Self {
        Self { ended, said: Said::default(), error: sending(fault) }
    }

    fn unreachable(fault: Unreachable) -> Self {
        match fault {
            Unreachable::Timeout => Self::new(Ended::Timeout, SendingFault::Timeout),
            Unreachable::Connect => Self::new(Ended::Connect, SendingFault::Failed),
            Unreachable::Broken => Self::new(Ended::Broken, SendingFault::Failed),
        }
    }

    fn not_whole(why: NotWhole) -> Self {
        match why {
            NotWhole::Unreachable(fault) => Self::unreachable(fault),
            NotWhole::Memory(short) => {
                Self { error: short.into(), ..Self::new(Ended::Broken, SendingFault::Failed) }
            }
        }
    }

    fn not_opened(why: NotOpened) -> Self {
        match why {
            NotOpened::Timeout => Self::unreachable(Unreachable::Timeout),
            NotOpened::Broken => Self::unreachable(Unreachable::Broken),
            NotOpened::Error(reported) => {
                let said = Said { status: None, ..Said::read(0, &reported.body) };
                Self { said, ..Self::new(Ended::ErrorEvent, SendingFault::Failed) }
            }
        }
    }
}

/// A 404 is the caller's to hear: the response may have expired.
const NOT_FOUND: u16 = 404;

fn ended(outcome: &Outcome, status: u16) -> Ended {
    match outcome {
        Outcome::Served => Ended::Served,
        Outcome::Throttled { wait, kind } => Ended::Throttled(*kind, wait.unwrap_or_default()),
        Outcome::ExceedsQuota { .. } => Ended::ExceedsQuota,
        Outcome::Failed { wait: None } => Ended::Status(status),
        Outcome::Failed { wait: Some(wait) } => Ended::Unavailable { status, wait: *wait },
        Outcome::Misconfigured if status != NOT_FOUND => Ended::Misconfigured(status),
        Outcome::Misconfigured
        | Outcome::FieldRefused(_)
        | Outcome::ValueRefused(_)
        | Outcome::ContextLength
        | Outcome::Unreadable
        | Outcome::Rejected => Ended::Rejected(status),
    }
}

fn refused(outcome: &Outcome, status: u16, bound: bool) -> Result<(), RouteError> {
    match outcome {
        Outcome::Throttled { wait, .. } => {
            Err(RouteError::Sending { fault: SendingFault::Throttled, wait: *wait, bound })
        }
        Outcome::Failed { wait: None } => Err(sending(SendingFault::Failed)),
        Outcome::Failed { wait } => {
            Err(RouteError::Sending { fault: SendingFault::Unavailable, wait: *wait, bound })
        }
        Outcome::Misconfigured if status != NOT_FOUND => Err(sending(SendingFault::Misconfigured)),
        Outcome::Misconfigured
        | Outcome::Served
        | Outcome::ExceedsQuota { .. }
        | Outcome::FieldRefused(_)
        | Outcome::ValueRefused(_)
        | Outcome::ContextLength
        | Outcome::Unreadable
        | Outcome::Rejected => Ok(()),
    }
}
