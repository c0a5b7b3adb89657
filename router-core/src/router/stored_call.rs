//! Sends operations on a stored response to the deployment that created it: no other has it, so
//! nothing is decided and nothing is retried.
//!
//! An unknown response goes where it can be, if config allows (`unknown.rs`).

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures_util::Stream;
use futures_util::StreamExt;
use futures_util::stream;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, StatusCode};
use tokio::time::Instant;

use crate::chat::Answer;
use crate::chat::Usage;
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
use crate::fallback::Step;
use crate::fallback::passing::NotWhole;
use crate::fallback::relay::Watch;
use crate::policy::Hints;
use crate::response::Body;
use crate::response::ByteStream;
use crate::response::Response;
use crate::response::as_event_stream;
use crate::response::pass_on;
use crate::response::tell_attempts;
use crate::response::tell_cost;
use crate::stored::Unknown;
use crate::stored::UnknownResponse;
use crate::stored::is_plain;
use crate::trace::Propagation;
use crate::upstream::Attempt;
use crate::upstream::Call;
use crate::upstream::Circumstances;
use crate::upstream::Said;
use crate::upstream::Unreachable;
use crate::upstream::Upstream;
use crate::upstream::judge;

use super::audit;
use super::background::{Reporting, SettledCost};
use super::call::StoredCall;
use super::model_router::ModelRouter;
use super::owners::owner_elsewhere;
use super::stored_outcome::{Failed, ended, refused};

impl<U: Upstream> ModelRouter<U> {
    /// Reads, deletes or cancels a stored response at the deployment that made it.
    ///
    /// # Errors
    /// It is not stored here for this caller, its deployment lies outside the residency asked, or does not answer.
    pub async fn stored(&self, mut call: StoredCall) -> Result<Response, RouteError> {
        let slot = if call.entry.is_none() { self.enter_stored(&mut call, None)? } else { None };
        let mut trail = Vec::new();
        let mut answer = match self.check_body(&mut call) {
            Ok(()) => self.stored_answer(&call, &mut trail).await,
            Err(error) => Err(error),
        };
        self.metrics().attempted(&trail);
        if let Ok(Response { body: Body::Stream(stream), .. }) = &mut answer {
            stream.hold(slot);
        }
        if let Err(error) = &answer {
            audit::refused(self.metrics(), error, &call.caller, &call.rights, &call.headers);
            self.metrics().refused(error.kind());
        }
        let refused = answer.is_err().then(|| call.hints().ok()).flatten();
        let residency =
            refused.map(|hints| residency_of(&self.rules().policy, &call.rights, &hints));
        call.disclosure.stored_closed(&trail, residency);
        answer
    }

    async fn stored_answer(
        &self,
        call: &StoredCall,
        trail: &mut Vec<Step>,
    ) -> Result<Response, RouteError> {
        let hints = call.hints()?;
        if call.id.is_empty() {
            return self.of_collection(call, &hints, trail).await;
        }
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
    pub(super) async fn stored_at(
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
            call: Call::Stored {
                method: call.method.clone(),
                collection: call.collection.clone(),
                content_type: call.content_type.clone(),
                path: path.into(),
            },
            body: call.body.clone(),
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
        let share = call.entry.as_ref().and_then(|entry| Some(&entry.memory()?.responses));
        if is_event_stream(&reply.headers) && status.is_success() {
            let held = self.response_memory().holder_of(share);
            let relay = Relay::open(reply.body, watch(limits, deadline), held).await;
            let relay = self.followed(relay.map_err(Failed::not_opened)?, call, deployment);
            as_event_stream(&mut headers);
            let body = Body::Stream(ByteStream::new(relay));
            return Ok((Ended::Served, Said::default(), Response { status, headers, body }));
        }
        let upstream = reply.headers.clone();
        let body =
            tokio::time::timeout_at(deadline, self.fallback().whole(reply.body, share)).await;
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
            if call.method == Method::DELETE && call.is_of_object() {
                self.stored_responses().forget(&call.id);
            }
            self.readable(items::of_answer(&body), deployment);
            if let Some(usage) = Answer::read(&body).usage
                && let Some(settled) = self.settle(call, deployment, usage).await
            {
                tell_cost(&mut headers, settled.cost, settled.at_least);
                call.disclosure.settled(settled);
            }
        }
        Ok((ended, said, Response { status, headers, body: Body::Full(body) }))
    }

    /// Remembers that a deployment's endpoint can decrypt the items that it returned.
    fn readable(&self, items: impl IntoIterator<Item = Item>, deployment: &Deployment) {
        let contents = items.into_iter().filter_map(|item| item.encrypted);
        contents.for_each(|content| self.inner().encrypted.remember(content, &deployment.endpoint));
    }

    /// An answer made in the background is settled by the first response that says what it used.
    async fn settle(
        &self,
        call: &StoredCall,
        deployment: &Arc<Deployment>,
        usage: Usage,
    ) -> Option<SettledCost> {
        let (observers, prices) = (&self.inner().observers, &self.inner().prices);
        let (id, caller, request_id) = (&*call.id, &call.caller, call.request_id());
        let reporting = Reporting { id, usage, deployment, caller, request_id, observers, prices };
        let open = &self.inner().answers;
        match self.replicas() {
            Some(replicas) => open.settle_among(&reporting, self.ledger(), replicas).await,
            None => open.settle(&reporting),
        }
    }

    /// A stored stream, whose encrypted items are remembered as they pass, and which settles its answer at its end.
    fn followed(
        &self,
        mut relay: Relay,
        call: &StoredCall,
        deployment: &Arc<Deployment>,
    ) -> impl Stream<Item = Bytes> + Send + 'static + use<U> {
        let used = Arc::new(OnceLock::new());
        let (router, told) = (self.clone(), Arc::clone(&used));
        let (call, deployment) = (call.clone(), Arc::clone(deployment));
        let (alone, maker) = (self.replicas().is_none(), Arc::clone(&deployment));
        let (inner, following) = (self.inner(), call.clone());
        let (open, observers, prices) =
            (inner.answers.clone(), inner.observers.clone(), inner.prices.clone());
        relay.on_end(move |end| {
            let Some(usage) = end.usage else { return };
            if alone {
                // At once: a caller may close at the last event.
                open.settle(&Reporting {
                    id: &following.id,
                    usage,
                    deployment: &maker,
                    caller: &following.caller,
                    request_id: following.request_id(),
                    observers: &observers,
                    prices: &prices,
                });
            } else {
                told.get_or_init(|| usage);
            }
        });
        let (encrypted, endpoint) = (self.inner().encrypted.clone(), deployment.endpoint.clone());
        let settled = async move {
            if let Some(usage) = used.get() {
                router.settle(&call, &deployment, *usage).await;
            }
            None
        };
        let events = relay.inspect(move |event| {
            if let Some(content) = items::of_event(event).and_then(|item| item.encrypted) {
                encrypted.remember(content, &endpoint);
            }
        });
        events.chain(stream::once(settled).filter_map(std::future::ready))
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
            let places = self.places(call, hints);
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

/// The circumstances for judging a response; a call of a stored response has no body.
fn circumstances<'c>(deployment: &'c Deployment, limits: &Limits) -> Circumstances<'c> {
    Circumstances {
        model: &deployment.azure_deployment,
        sent: &[],
        provisioned: deployment.billing.is_provisioned(),
        wall: clock::wall(),
        longest_wait: limits.wait_max,
    }
}

pub(super) fn unknown(call: &StoredCall) -> UnknownResponse {
    UnknownResponse { id: call.id.clone(), what: call.collection.object() }
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("text/event-stream"))
}
