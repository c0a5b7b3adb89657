//! Turns an answer into the response: headers and body. The request ends with its answer: at once for a whole one, at the end
//! or at the drop of a stream.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;
use http::{HeaderMap, StatusCode};
use tokio::time::Instant;

use crate::capacity::Timing;
use crate::chat::ChatRequest;
use crate::chat::Operation;
use crate::chat::adapt;
use crate::chat::items;
use crate::chat::items::Item;
use crate::chat::restream::restream;
use crate::chat::restream_response::restream_response;
use crate::decision::Decision;
use crate::deployment::Deployment;
use crate::encrypted_items::EncryptedItems;
use crate::fallback::Answered;
use crate::fallback::Delivered;
use crate::fallback::Delivery;
use crate::fallback::Note;
use crate::fallback::Passing;
use crate::fallback::Relay;
use crate::fallback::Step;
use crate::fallback::StreamEnd;
use crate::fallback::relay::How;
use crate::record::Answer;
use crate::record::Counterfactual;
use crate::record::FellBack;
use crate::record::ReferencePrices;
use crate::record::RequestEnd;
use crate::response::Body;
use crate::response::ByteStream;
use crate::response::Response;
use crate::response::as_event_stream;
use crate::response::pass_on;
use crate::response::set_effort_header;
use crate::response::set_tier_header;
use crate::response::tell_adapted;
use crate::response::tell_attempts;
use crate::response::tell_cost;
use crate::response::tell_not_to_retry;
use crate::response::tell_spilled;
use crate::selection::Exclusion;
use crate::selection::Place;
use crate::stored::Caller;
use crate::stored::StoredResponses;
use crate::upstream::spilled_over;

use super::background::OpenAnswers;
use super::open_request::{AnswerEnd, Head, OpenRequest};

/// The owners of stored objects and encrypted items.
#[derive(Clone, Copy)]
pub(super) struct Owners<'f> {
    /// The owners of stored responses.
    pub(super) stored: &'f StoredResponses,
    /// The endpoints that can decrypt items.
    pub(super) encrypted: &'f EncryptedItems,
    /// The caller.
    pub(super) caller: &'f Caller,
}

/// Turns an answer into the response.
pub(super) struct Respond<'f, 'a> {
    pub(super) decision: &'f Decision,
    pub(super) request: &'f ChatRequest<'a>,
    /// The owners of stored objects and encrypted items.
    pub(super) owners: Owners<'f>,
    /// Answers whose usage is reported later.
    pub(super) answers: &'f OpenAnswers,
    /// By whose prices costs are compared.
    pub(super) prices: &'f ReferencePrices,
    pub(super) began: Instant,
}

impl Respond<'_, '_> {
    pub(super) fn respond(
        &self,
        answered: Answered,
        mut headers: HeaderMap,
        mut open: OpenRequest,
    ) -> Response {
        let Answered { deployment, delivery, mut adapted, restream: again } = answered;
        if again {
            // The caller gets a stream, but not one that shows the answer as it is made.
            adapted.push("stream");
        }
        let Delivery { status, headers: upstream, body } = delivery;
        self.good_without(&deployment, &adapted, status);
        pass_on(&mut headers, &upstream);
        let (attempts, notes) = open.history();
        let fallback = self.fallback(&deployment, attempts, notes);
        let cause = fallback.as_ref().map(|fell_back| fell_back.cause);
        tell_attempts(&mut headers, &deployment, attempts, cause);
        set_effort_header(&mut headers, self.decision.effort_at(&deployment.model));
        tell_adapted(&mut headers, &adapted);
        let spilled_over = deployment.billing.is_provisioned() && spilled_over(&upstream);
        if spilled_over {
            tell_spilled(&mut headers);
        }
        let by_token = spilled_over || !deployment.billing.is_provisioned();
        if by_token && status.is_success() && self.request.operation().is_scored() {
            set_tier_header(&mut headers, body.tier().unwrap_or(deployment.tier()));
        }
        let first = self.began.elapsed();
        let answer = Answer {
            deployment: Arc::clone(&deployment),
            status: status.as_u16(),
            spilled_over,
            model: None,
            streamed: matches!(body, Delivered::Stream(_)),
            usage: None,
            cost: None,
            cost_at_least: false,
            timing: Timing { first, total: first },
            instead: Counterfactual::default(),
        };
        open.head(Head { answer, adapted, fallback });
        match body {
            Delivered::Full(body, answer) => {
                let again = (again && status.is_success()).then_some(self.request);
                let mut whole = Whole { status, headers, body };
                self.whole(&mut whole, &deployment, &answer, open);
                whole.respond(again)
            }
            Delivered::Stream(relay) => {
                as_event_stream(&mut headers);
                let body = Body::Stream(self.streamed(*relay, &deployment, open));
                Response { status, headers, body }
            }
            Delivered::Passing(passing) => {
                let body = Body::Stream(self.passing(*passing, &deployment, open));
                Response { status, headers, body }
            }
        }
    }

    /// A whole answer ends at once; one that says that the request is to blame has no usage.
    fn whole(
        &self,
        whole: &mut Whole,
        deployment: &Deployment,
        answer: &crate::chat::Answer,
        mut open: OpenRequest,
    ) {
        let good = whole.status.is_success();
        let total = self.began.elapsed();
        let (usage, model) = (answer.usage.filter(|_| good), answer.model.as_deref());
        if good {
            self.remember(deployment, answer.id.as_deref(), &whole.body);
            let made_later = self.request.background() && usage.is_none();
            if let Some(id) = answer.id.as_deref().filter(|_| made_later) {
                open.left_open(id, self.answers);
            }
        }
        let ended = if good { RequestEnd::Served } else { RequestEnd::Rejected };
        let (timing, model) = (Timing { first: total, total }, model.filter(|_| good));
        open.answered(&AnswerEnd { ended, timing, usage, model }, self.prices);
        let answer = open.record().and_then(|record| record.answer.as_ref());
        if let Some(answer) = answer.filter(|answer| answer.usage.is_some()) {
            tell_cost(&mut whole.headers, answer.cost, answer.cost_at_least);
        }
    }

    /// A stream for the caller, whose end is that of the request.
    fn streamed(&self, mut relay: Relay, deployment: &Deployment, open: OpenRequest) -> ByteStream {
        self.remember(deployment, relay.response_id(), &[]);
        relay.on_end(self.closing(open));
        self.kept(relay, deployment)
    }

    /// An answer that is relayed as it arrives, whose end is that of the request.
    fn passing(
        &self,
        mut passing: Passing,
        deployment: &Deployment,
        open: OpenRequest,
    ) -> ByteStream {
        self.remember(deployment, passing.response_id(), &[]);
        passing.on_end(self.closing(open));
        ByteStream::breaking(passing)
    }

    /// True where the deployment stores what it answers.
    fn stores(&self) -> bool {
        matches!(self.request.operation(), Operation::Chat | Operation::Responses)
            && self.request.stores()
    }

    /// A good answer shows that its deployment could read all encrypted items that it was sent.
    fn good_without(&self, deployment: &Deployment, adapted: &[&str], status: StatusCode) {
        let left_out = adapted.iter().any(|field| adapt::LEFT_OUT_ITEMS.contains(field));
        if status.is_success() && !left_out {
            let (contents, encrypted) = (self.request.encrypted().iter(), self.owners.encrypted);
            contents.for_each(|content| encrypted.remember(*content, &deployment.endpoint));
        }
    }

    /// Remembers whose a stored response is, with its items and its conversation, and who can read what is encrypted.
    fn remember(&self, deployment: &Deployment, id: Option<&str>, answer: &[u8]) {
        if self.request.operation().read_as() == Operation::Responses {
            items::of_answer(answer).into_iter().for_each(self.keeper(deployment));
        }
        if self.stores() {
            let Owners { stored, caller, .. } = self.owners;
            // Among several callers the first to name a conversation does not own it by that.
            let owned = |id: &&str| caller.name().is_none() || stored.owner(id, caller).is_some();
            let ids = id.into_iter().chain(self.request.conversation().filter(owned));
            ids.for_each(|id| stored.remember(id, &deployment.name, caller));
        }
    }

    /// Remembers the items of an answer, one by one.
    fn keeper(&self, deployment: &Deployment) -> impl FnMut(Item) + Send + 'static + use<> {
        let Owners { stored, encrypted, caller } = self.owners;
        let stored = self.stores().then(|| (stored.clone(), caller.clone()));
        let (encrypted, endpoint) = (encrypted.clone(), deployment.endpoint.clone());
        let name = deployment.name.clone();
        move |Item { id, encrypted: content }| {
            if let (Some(id), Some((responses, caller))) = (id, &stored) {
                responses.remember(&id, &name, caller);
            }
            if let Some(content) = content {
                encrypted.remember(content, &endpoint);
            }
        }
    }

    /// A stream whose items are remembered as it tells them.
    fn kept(&self, relay: Relay, deployment: &Deployment) -> ByteStream {
        if self.request.operation().read_as() != Operation::Responses {
            return ByteStream::new(relay);
        }
        let mut keep = self.keeper(deployment);
        ByteStream::new(relay.inspect(move |event| {
            if let Some(item) = items::of_event(event) {
                keep(item);
            }
        }))
    }

    /// The reason why the preferred deployment did not answer: its own attempt's end, or the wait it had asked for before.
    fn fallback(
        &self,
        deployment: &Deployment,
        trail: &[Step],
        notes: &[Note],
    ) -> Option<FellBack> {
        let first = trail.first()?;
        let spilled = notes.iter().find_map(|note| match note {
            Note::Spilled { deployment: from, cause } if from.name != deployment.name => {
                Some((from, cause.as_str()))
            }
            Note::Recovering { deployment: from } if from.name != deployment.name => {
                Some((from, "recovering"))
            }
            Note::Spilled { .. }
            | Note::Held { .. }
            | Note::Recovering { .. }
            | Note::AskedAgain { .. }
            | Note::Outrun { .. } => None,
        });
        let (from, cause) = if let Some(spilled) = spilled {
            spilled
        } else if first.deployment.name == deployment.name {
            let skipped = self.decision.candidates.iter().find(|candidate| {
                candidate.deployment.billing.is_provisioned()
                    && !deployment.billing.is_provisioned()
                    && matches!(
                        candidate.place,
                        Place::Out(
                            Exclusion::Cooling { .. }
                                | Exclusion::InFlight
                                | Exclusion::Full { .. }
                                | Exclusion::TooLarge { .. }
                        )
                    )
            })?;
            let full = matches!(skipped.place, Place::Out(Exclusion::Full { .. }));
            (&skipped.deployment, if full { "full" } else { "cooling" })
        } else {
            (&first.deployment, first.ended.as_str())
        };
        Some(FellBack { from: Arc::clone(from), cause })
    }

    /// Ends the request with its stream, however that ends.
    fn closing(&self, open: OpenRequest) -> impl FnOnce(&StreamEnd) + Send + 'static + use<> {
        let (began, first) = (self.began, self.began.elapsed());
        let (prompt, prices) = (self.decision.needs.prompt, self.prices.clone());
        let answers = self.request.background().then(|| self.answers.clone());
        let mut open = open;
        move |end| {
            // An answer in the background goes on without its caller; what it used is reported later.
            let made_later = answers.filter(|_| end.usage.is_none());
            if let Some((answers, id)) = made_later.zip(end.response_id.as_deref()) {
                open.left_open(id, &answers);
            }
            let ended = match end.how {
                How::Whole => RequestEnd::Served,
                How::Interrupted => RequestEnd::Interrupted,
                How::Rejected => RequestEnd::Rejected,
                How::HungUp => RequestEnd::HungUp,
            };
            let usage = Some(end.usage.unwrap_or_else(|| end.estimated(prompt)));
            let timing = Timing { first, total: began.elapsed() };
            let model = end.model.as_deref();
            open.answered(&AnswerEnd { ended, timing, usage, model }, &prices);
        }
    }
}

/// An answer that is not streamed.
struct Whole {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Whole {
    /// The response as received, or restreamed to the caller of `again`.
    fn respond(self, again: Option<&ChatRequest<'_>>) -> Response {
        let Self { status, mut headers, body } = self;
        let events = again.and_then(|request| match request.operation() {
            Operation::Responses => restream_response(&body),
            Operation::Chat
            | Operation::Completions
            | Operation::InputTokens
            | Operation::Compact
            | Operation::Embeddings
            | Operation::Passed(_) => restream(&body, request.include_usage()),
        });
        if status == StatusCode::TOO_MANY_REQUESTS {
            tell_not_to_retry(&mut headers);
        }
        let body = match events {
            Some(events) => {
                as_event_stream(&mut headers);
                Body::Stream(ByteStream::new(stream::iter([events])))
            }
            None => Body::Full(body),
        };
        Response { status, headers, body }
    }
}
