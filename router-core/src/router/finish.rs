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
use crate::chat::Usage;
use crate::chat::items;
use crate::chat::restream::restream;
use crate::chat::restream_response::restream_response;
use crate::decision::Decision;
use crate::deployment::Deployment;
use crate::deployment::pricing;
use crate::fallback::Answered;
use crate::fallback::Delivered;
use crate::fallback::Note;
use crate::fallback::Relay;
use crate::fallback::Step;
use crate::fallback::StreamEnd;
use crate::fallback::relay::How;
use crate::metrics::Account;
use crate::metrics::InFlight;
use crate::metrics::Metrics;
use crate::response::Body;
use crate::response::ByteStream;
use crate::response::Response;
use crate::response::as_event_stream;
use crate::response::passed;
use crate::response::tell_adapted;
use crate::response::tell_attempts;
use crate::response::tell_cost;
use crate::response::tell_spilled;
use crate::selection::Exclusion;
use crate::selection::Place;
use crate::stored::Caller;
use crate::stored::StoredResponses;
use crate::units::Usd;
use crate::upstream::spilled_over;

use super::other_models::OtherModels;

/// Turns an answer into the response, and closes the account when it ends.
pub(super) struct Finish<'f, 'a> {
    pub(super) metrics: &'f Metrics,
    pub(super) decision: &'f Decision,
    pub(super) request: &'f ChatRequest<'a>,
    /// Where the owner of a stored response is remembered.
    pub(super) stored: (&'f StoredResponses, &'f Caller),
    /// Where answers of another model than configured are told.
    pub(super) others: &'f OtherModels,
    pub(super) began: Instant,
}

impl Finish<'_, '_> {
    pub(super) fn respond(
        &self,
        answered: Answered,
        told: HeaderMap,
        in_flight: InFlight,
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
        metrics.adapted(&deployment, &adapted);
        let mut headers = passed(&delivery.headers);
        headers.extend(told);
        let fallback = self.fallback_cause(&deployment, &trail, &notes);
        tell_attempts(&mut headers, &deployment, &trail, fallback);
        tell_adapted(&mut headers, &adapted);
        let spilled = deployment.billing.is_provisioned() && spilled_over(&delivery.headers);
        if spilled {
            metrics.spilled_over(&deployment);
            tell_spilled(&mut headers);
        }
        let price: Price =
            if spilled { pricing::pay_as_you_go_cost } else { pricing::marginal_cost };
        let before: Option<Usd> = notes.iter().map(cost_of).sum();
        let status = delivery.status;
        match delivery.body {
            Delivered::Full(body, answer) => {
                let usage = answer.usage.unwrap_or_default();
                if status.is_success() {
                    self.remember(&deployment, answer.id.as_deref(), &body);
                    self.others.check(metrics, &deployment, answer.model.as_deref());
                    let known = answer.usage.is_some();
                    let last = known.then(|| price(&deployment, &usage)).flatten();
                    let cost = last.zip(before).map(|(last, before)| last + before);
                    tell_cost(&mut headers, cost);
                    let total = self.began.elapsed();
                    let timing = Timing { first: total, total };
                    let account = Account {
                        operation: self.request.operation(),
                        deployment: &deployment,
                        usage,
                        cost,
                        timing,
                        streamed: false,
                        error: "",
                    };
                    metrics.answered(&account);
                }
                drop(in_flight);
                let again = again && status.is_success();
                whole(status, headers, body, again.then_some(self.request))
            }
            Delivered::Stream(mut relay) => {
                self.remember(&deployment, relay.response_id(), &[]);
                as_event_stream(&mut headers);
                let close = self.closing(&deployment, (price, before), in_flight);
                relay.on_end(close);
                let stream = self.kept(*relay, &deployment);
                Response { status, headers, body: Body::Stream(stream) }
            }
        }
    }

    /// True where the deployment stores what it answers.
    fn stores(&self) -> bool {
        self.request.operation() == Operation::Responses && self.request.stores()
    }

    /// Remembers whose a stored response is, with its items and its conversation.
    fn remember(&self, deployment: &Deployment, id: Option<&str>, answer: &[u8]) {
        if !self.stores() {
            return;
        }
        let (responses, caller) = self.stored;
        let items = items::of_answer(answer);
        let ids = items.iter().map(AsRef::as_ref).chain(id).chain(self.request.conversation());
        ids.for_each(|id| responses.remember(id, &deployment.name, caller));
    }

    /// A stream whose items are remembered as it tells them, where the deployment stores them.
    fn kept(&self, relay: Relay, deployment: &Deployment) -> ByteStream {
        if !self.stores() {
            return ByteStream::new(relay);
        }
        let (responses, caller) = self.stored;
        let (responses, caller) = (responses.clone(), caller.clone());
        let deployment = deployment.name.clone();
        ByteStream::new(relay.inspect(move |event| {
            if let Some(id) = items::of_event(event) {
                responses.remember(&id, &deployment, &caller);
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
        deployment: &Arc<Deployment>,
        (price, before): (Price, Option<Usd>),
        in_flight: InFlight,
    ) -> impl FnOnce(&StreamEnd) + Send + 'static + use<> {
        let (metrics, deployment) = (self.metrics.clone(), Arc::clone(deployment));
        let others = self.others.clone();
        let (began, prompt) = (self.began, self.decision.needs.prompt);
        let (first, operation) = (began.elapsed(), self.request.operation());
        move |end| {
            others.check(&metrics, &deployment, end.model.as_deref());
            let usage = end.usage.unwrap_or_else(|| end.estimated(prompt));
            let last = price(&deployment, &usage);
            let cost = last.zip(before).map(|(last, before)| last + before);
            let (ended, error) = match end.how {
                How::Whole => ("whole", ""),
                How::Interrupted => ("interrupted", "stream_interrupted"),
                How::HungUp => ("hung_up", "caller_hung_up"),
            };
            let timing = Timing { first, total: began.elapsed() };
            let deployment = &deployment;
            let account =
                Account { operation, deployment, usage, cost, timing, streamed: true, error };
            metrics.stream_ended(deployment, ended);
            metrics.answered(&account);
            drop(in_flight);
        }
    }
}

/// What an answer that nobody sees has cost; `None` where no price is known.
fn cost_of(note: &Note) -> Option<Usd> {
    match note {
        Note::AskedAgain { deployment, usage, .. } | Note::Outrun { deployment, usage } => {
            pricing::marginal_cost(deployment, usage)
        }
        Note::Held { .. } | Note::Spilled { .. } | Note::Recovering { .. } => Some(Usd::ZERO),
    }
}

/// What usage costs at a deployment.
type Price = fn(&Deployment, &Usage) -> Option<Usd>;

/// A whole answer, as it came or streamed on to the caller of `again`.
fn whole(
    status: StatusCode,
    mut headers: HeaderMap,
    body: Bytes,
    again: Option<&ChatRequest<'_>>,
) -> Response {
    let events = again.and_then(|request| match request.operation() {
        Operation::Responses => restream_response(&body),
        Operation::Chat | Operation::Completions | Operation::Embeddings | Operation::Passed => {
            restream(&body, request.include_usage())
        }
    });
    let body = match events {
        Some(events) => {
            as_event_stream(&mut headers);
            Body::Stream(ByteStream::new(stream::iter([events])))
        }
        None => Body::Full(body),
    };
    Response { status, headers, body }
}
