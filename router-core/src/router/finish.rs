//! Turns an answer into the response, and closes the account when it ends: at once for a whole answer, at the end or at
//! the drop of a stream.

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
use crate::fallback::Note;
use crate::fallback::Passing;
use crate::fallback::Relay;
use crate::fallback::Step;
use crate::fallback::StreamEnd;
use crate::fallback::relay::How;
use crate::metrics::Account;
use crate::metrics::Metrics;
use crate::record::ReferencePrices;
use crate::record::RequestEnd;
use crate::response::Body;
use crate::response::ByteStream;
use crate::response::Response;
use crate::response::as_event_stream;
use crate::response::pass_on;
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

use super::account::OpenAccount;
use super::background::OpenAnswers;
use super::bill::{Bill, cost_of};
use super::other_models::OtherModels;

/// Where it is remembered who has what.
#[derive(Clone, Copy)]
pub(super) struct Owners<'f> {
    /// Whose a stored response is.
    pub(super) stored: &'f StoredResponses,
    /// Who can read an encrypted item.
    pub(super) encrypted: &'f EncryptedItems,
    /// Who asked.
    pub(super) caller: &'f Caller,
}

/// Turns an answer into the response, and closes the account when it ends.
pub(super) struct Finish<'f, 'a> {
    pub(super) metrics: &'f Metrics,
    pub(super) decision: &'f Decision,
    pub(super) request: &'f ChatRequest<'a>,
    /// Where it is remembered who has what.
    pub(super) owners: Owners<'f>,
    /// Where answers of another model than configured are told.
    pub(super) others: &'f OtherModels,
    /// Answers whose usage is reported later.
    pub(super) open: &'f OpenAnswers,
    /// By whose prices costs are compared.
    pub(super) yardsticks: &'f ReferencePrices,
    pub(super) began: Instant,
}

impl Finish<'_, '_> {
    pub(super) fn respond(
        &self,
        answered: Answered,
        mut headers: HeaderMap,
        mut account: OpenAccount,
    ) -> Response {
        let Answered { deployment, delivery, mut adapted, restream: again, trail, notes } =
            answered;
        if again {
            // The caller gets a stream, but not one that shows the answer as it is made.
            adapted.push("stream");
        }
        let metrics = self.metrics;
        metrics.attempted(&trail);
        metrics.noted(self.decision, &notes);
        account.walked(&trail, &notes);
        self.adapted(&deployment, &adapted, delivery.status);
        pass_on(&mut headers, &delivery.headers);
        let fallback = self.fallback_cause(&deployment, &trail, &notes);
        account.fell_back(fallback);
        tell_attempts(&mut headers, &deployment, &trail, fallback);
        tell_adapted(&mut headers, &adapted);
        let spilled = deployment.billing.is_provisioned() && spilled_over(&delivery.headers);
        if spilled {
            metrics.spilled_over(&deployment);
            tell_spilled(&mut headers);
        }
        let by_token = spilled || !deployment.billing.is_provisioned();
        if by_token && delivery.status.is_success() && self.request.operation().is_scored() {
            let tier = delivery.body.tier().unwrap_or(deployment.tier());
            set_tier_header(&mut headers, tier);
        }
        let bill = self.bill(deployment, spilled, &notes);
        let status = delivery.status;
        match delivery.body {
            Delivered::Full(body, answer) => {
                let whole = Whole { status, headers, body, answer };
                let again = (again && status.is_success()).then_some(self.request);
                let whole = if status.is_success() {
                    self.answered(whole, &bill, account)
                } else {
                    self.rejected(whole, &bill, account)
                };
                whole.respond(again)
            }
            Delivered::Stream(relay) => {
                as_event_stream(&mut headers);
                let body = Body::Stream(self.streamed(*relay, bill, status, account));
                Response { status, headers, body }
            }
            Delivered::Passing(passing) => {
                let body = Body::Stream(self.passing(*passing, bill, status, account));
                Response { status, headers, body }
            }
        }
    }

    fn answered(&self, mut whole: Whole, bill: &Bill, mut account: OpenAccount) -> Whole {
        let (metrics, deployment, answer) = (self.metrics, &bill.deployment, &whole.answer);
        self.remember(deployment, answer.id.as_deref(), &whole.body);
        self.others.check(metrics, deployment, answer.model.as_deref());
        let total = self.began.elapsed();
        let timing = Timing { first: total, total };
        let cost = answer.usage.and_then(|usage| bill.cost(&usage));
        let usage = answer.usage.unwrap_or_default();
        tell_cost(&mut whole.headers, cost, bill.is_at_least(&usage));
        let open = answer.id.as_deref().filter(|_| self.request.background());
        let open = open.filter(|_| answer.usage.is_none());
        if let Some(id) = open {
            account.left_open(id, self.open);
        }
        let (operation, pending) = (self.request.operation(), open.is_some());
        let (streamed, ended) = (false, RequestEnd::Served);
        let told = Account { operation, deployment, usage, cost, timing, streamed, ended, pending };
        metrics.answered(&told);
        bill.observed(metrics, &usage);
        let told = (answer.usage, answer.model.as_deref());
        account.close(RequestEnd::Served, || bill.answer(whole.status.as_u16(), told, timing));
        whole
    }

    /// An upstream's answer that says that the request is to blame.
    fn rejected(&self, whole: Whole, bill: &Bill, account: OpenAccount) -> Whole {
        let total = self.began.elapsed();
        let timing = Timing { first: total, total };
        let refused = (self.request.operation(), self.decision);
        self.metrics.failed(refused, Some(&bill.deployment), RequestEnd::Rejected, total);
        let status = whole.status.as_u16();
        account.close(RequestEnd::Rejected, || bill.answer(status, (None, None), timing));
        whole
    }

    /// A stream for the caller, which closes the account at its end.
    fn streamed(
        &self,
        mut relay: Relay,
        bill: Bill,
        status: StatusCode,
        account: OpenAccount,
    ) -> ByteStream {
        self.remember(&bill.deployment, relay.response_id(), &[]);
        let deployment = Arc::clone(&bill.deployment);
        relay.on_end(self.closing(bill, status, account, true));
        self.kept(relay, &deployment)
    }

    /// An answer that is relayed as it arrives, which closes the account at its end.
    fn passing(
        &self,
        mut passing: Passing,
        bill: Bill,
        status: StatusCode,
        account: OpenAccount,
    ) -> ByteStream {
        self.remember(&bill.deployment, passing.response_id(), &[]);
        passing.on_end(self.closing(bill, status, account, false));
        ByteStream::breaking(passing)
    }

    fn bill(&self, deployment: Arc<Deployment>, spilled_over: bool, notes: &[Note]) -> Bill {
        let before = notes.iter().map(cost_of).sum();
        let (would, yardsticks) = (self.decision.would, self.yardsticks.clone());
        Bill { deployment, spilled_over, before, would, yardsticks }
    }

    /// True where the deployment stores what it answers.
    fn stores(&self) -> bool {
        matches!(self.request.operation(), Operation::Chat | Operation::Responses)
            && self.request.stores()
    }

    /// Counts what was changed. A good answer shows that its deployment could read all encrypted items that it was sent.
    fn adapted(&self, deployment: &Deployment, adapted: &[&'static str], status: StatusCode) {
        self.metrics.adapted(deployment, adapted);
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

    /// Why the deployment wished most did not answer: its own attempt's end, or the wait it had asked for before.
    fn fallback_cause(
        &self,
        deployment: &Deployment,
        trail: &[Step],
        notes: &[Note],
    ) -> Option<&'static str> {
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
        self.metrics.fell_back(from, deployment, cause);
        Some(cause)
    }

    /// Closes the account of a stream when it has ended, however it did.
    fn closing(
        &self,
        bill: Bill,
        status: StatusCode,
        account: OpenAccount,
        streamed: bool,
    ) -> impl FnOnce(&StreamEnd) + Send + 'static + use<> {
        let metrics = self.metrics.clone();
        let others = self.others.clone();
        let (began, prompt) = (self.began, self.decision.needs.prompt);
        let (first, operation) = (began.elapsed(), self.request.operation());
        let background = self.request.background().then(|| self.open.clone());
        let mut account = account;
        move |end| {
            let deployment = &bill.deployment;
            others.check(&metrics, deployment, end.model.as_deref());
            // An answer in the background goes on without its caller; what it used is reported later.
            let open = background.filter(|_| end.usage.is_none()).zip(end.response_id.as_deref());
            let pending = open.is_some();
            if let Some((answers, id)) = open {
                account.left_open(id, &answers);
            }
            let usage = end.usage.unwrap_or_else(|| end.estimated(prompt));
            let cost = bill.cost(&usage);
            let (how, ended) = match end.how {
                How::Whole => ("whole", RequestEnd::Served),
                How::Interrupted => ("interrupted", RequestEnd::Interrupted),
                How::Rejected => ("rejected", RequestEnd::Rejected),
                How::HungUp => ("hung_up", RequestEnd::HungUp),
            };
            let timing = Timing { first, total: began.elapsed() };
            let told =
                Account { operation, deployment, usage, cost, timing, streamed, ended, pending };
            if streamed {
                metrics.stream_ended(deployment, how);
            }
            metrics.answered(&told);
            bill.observed(&metrics, &usage);
            let told = (Some(usage).filter(|_| !pending), end.model.as_deref());
            account.close(ended, || bill.answer(status.as_u16(), told, timing));
        }
    }
}

/// An answer that is not streamed.
struct Whole {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    answer: crate::chat::usage::Answer,
}

impl Whole {
    /// As it came, or streamed on to the caller of `again`.
    fn respond(self, again: Option<&ChatRequest<'_>>) -> Response {
        let Self { status, mut headers, body, .. } = self;
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
