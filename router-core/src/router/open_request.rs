//! A request that is under way: the one guard that owns its record, its key's reservation and its place among those in flight.
//!
//! Every request keeps its record. A request whose caller leaves is dropped wherever it stands, so the record is closed in the
//! drop: nothing on the way can forget it, and the attempts made so far are in it.
//!
//! Not done here: what is charged (`charging`), what an answer costs (`bill`), and what observers make of the record.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use http::HeaderName;

use crate::capacity::Timing;
use crate::chat::ChatRequest;
use crate::chat::Usage;
use crate::clock;
use crate::decision::Decision;
use crate::error_kind::Kind;
use crate::fallback::Note;
use crate::fallback::Step;
use crate::fallback::Walked;
use crate::ledger::Ticket;
use crate::metrics::InFlight;
use crate::metrics::Metrics;
use crate::record::Answer;
use crate::record::Decided;
use crate::record::FellBack;
use crate::record::Observer;
use crate::record::ReferencePrices;
use crate::record::RequestEnd;
use crate::record::RequestRecord;
use crate::record::Settlement;
use crate::task::Score;

use super::background::OpenAnswers;
use super::bill;
use super::call::ChatCall;
use super::charging;
use super::disclosure::Disclosure;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The observers of requests; more can be added at any time.
#[derive(Debug, Clone, Default)]
pub(super) struct Observers(Arc<RwLock<All>>);

type All = Arc<[Arc<dyn Observer>]>;

impl Observers {
    /// One that is told already is not told twice: a router under a new config has the observers of the one before it.
    pub(super) fn add(&self, observer: Arc<dyn Observer>) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let same = |known: &Arc<dyn Observer>| {
            std::ptr::addr_eq(Arc::as_ptr(known), Arc::as_ptr(&observer))
        };
        if all.iter().any(same) {
            return;
        }
        *all = all.iter().cloned().chain([observer]).collect();
    }

    /// An answer made in the background has reported what it used.
    pub(super) fn settled(&self, settlement: &Settlement) {
        self.all().iter().for_each(|observer| observer.settled(settlement));
    }

    fn all(&self) -> All {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A request that is under way.
#[derive(Debug)]
pub(super) struct OpenRequest(Option<Box<Open>>);

#[derive(Debug)]
struct Open {
    record: RequestRecord,
    walked: Walked,
    observers: All,
    /// Where the caller of the library reads how the request was routed.
    disclosure: Disclosure,
    ticket: Option<Ticket>,
    /// True once observers have seen the head.
    head: bool,
    /// Counts it among those being served.
    _in_flight: InFlight,
}

/// The facts known with the head of an answer.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) answer: Answer,
    pub(super) adapted: Vec<&'static str>,
    pub(super) fallback: Option<FellBack>,
}

/// The facts known once an answer has ended.
#[derive(Debug)]
pub(super) struct AnswerEnd<'e> {
    pub(super) ended: RequestEnd,
    pub(super) timing: Timing,
    pub(super) usage: Option<Usage>,
    /// The model by the upstream's word.
    pub(super) model: Option<&'e str>,
}

impl OpenRequest {
    pub(super) fn new(call: &ChatCall, observers: &Observers, metrics: &Metrics) -> Self {
        let id = call.headers.get(REQUEST_ID).and_then(|id| id.to_str().ok());
        let record = RequestRecord {
            at: clock::wall(),
            received: call.received,
            span: call.span.clone(),
            request_id: id.map(Box::from),
            caller: call.caller.clone(),
            operation: call.operation,
            streamed: false,
            max_output: None,
            decided: None,
            attempts: Vec::new(),
            notes: Vec::new(),
            fallback: None,
            adapted: Vec::new(),
            pending: false,
            overhead: None,
            answer: None,
            // Holds until something else has come of it.
            ended: RequestEnd::HungUp,
            total: Duration::ZERO,
        };
        let (walked, observers) = (Walked::default(), observers.all());
        let open = Open {
            record,
            walked,
            observers,
            disclosure: call.disclosure.clone(),
            ticket: None,
            head: false,
            _in_flight: metrics.enter(),
        };
        Self(Some(Box::new(open)))
    }

    /// The request, leaving nothing behind that would close its record.
    pub(super) fn take(&mut self) -> Self {
        Self(self.0.take())
    }

    /// The record so far; `None` once it was taken.
    pub(super) fn record(&self) -> Option<&RequestRecord> {
        self.0.as_ref().map(|open| &open.record)
    }

    pub(super) fn decided(
        &mut self,
        request: &ChatRequest<'_>,
        decision: &Decision,
        threshold: Score,
    ) {
        if let Some(Open { record, .. }) = self.0.as_deref_mut() {
            record.streamed = request.stream();
            record.max_output = request.max_output();
            record.decided = Some(Decided::of(decision, threshold));
        }
    }

    /// From now on it is on a key's account.
    pub(super) fn admitted(&mut self, ticket: Option<Ticket>) {
        if let Some(open) = &mut self.0 {
            open.ticket = ticket;
        }
    }

    /// The part of the record that the walk over the plan fills.
    pub(super) fn walked(&mut self) -> Option<&mut Walked> {
        self.0.as_mut().map(|open| &mut open.walked)
    }

    /// No more attempts follow.
    pub(super) fn end_walk(&mut self) {
        if let Some(open) = &mut self.0 {
            open.end_walk();
        }
    }

    /// The attempts, and what else happened.
    pub(super) fn history(&self) -> (&[Step], &[Note]) {
        let record = self.0.as_ref().map(|open| &open.record);
        record.map_or((&[], &[]), |record| (&record.attempts, &record.notes))
    }

    /// The router's own time.
    pub(super) fn took_itself(&mut self, overhead: Duration) {
        if let Some(open) = &mut self.0 {
            open.record.overhead = Some(overhead);
        }
    }

    /// The head of the answer is known.
    pub(super) fn head(&mut self, head: Head) {
        if let Some(open) = &mut self.0 {
            let Head { answer, adapted, fallback } = head;
            open.record.adapted = adapted;
            open.record.fallback = fallback;
            open.record.answer = Some(answer);
            open.show_head();
        }
    }

    /// The answer is still being made: the key is charged what was set aside until a later response reports its usage.
    pub(super) fn left_open(&mut self, id: &str, answers: &OpenAnswers) {
        let Some(Open { record, ticket, .. }) = self.0.as_deref_mut() else { return };
        record.pending = true;
        answers.opened(id, ticket.take());
    }

    /// Nobody answered.
    pub(super) fn refused(&mut self, kind: Kind) {
        if let Some(open) = &mut self.0 {
            open.record.ended = RequestEnd::Refused(kind);
        }
    }

    /// The answer has ended. Dropping the request closes its record.
    pub(super) fn answered(&mut self, end: &AnswerEnd<'_>, prices: &ReferencePrices) {
        let Some(Open { record, .. }) = self.0.as_deref_mut() else { return };
        record.ended = end.ended;
        let Some(mut answer) = record.answer.take() else { return };
        answer.timing = end.timing;
        answer.model = end.model.filter(|name| is_name(name)).map(Box::from);
        answer.usage = end.usage.filter(|_| !record.pending);
        bill::price(&mut answer, &record.notes, prices);
        if record.pending {
            // Not nothing: not known yet.
            answer.cost = None;
        }
        record.answer = Some(answer);
    }
}

impl Open {
    fn end_walk(&mut self) {
        let history = std::mem::take(&mut self.walked).finish();
        self.record.attempts.extend(history.attempts);
        self.record.notes.extend(history.notes);
    }

    fn show_head(&mut self) {
        self.head = true;
        for observer in &*self.observers {
            observer.head(&self.record);
        }
    }
}

/// True for what may be the name of a model: an upstream says what it likes.
fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        let Some(mut open) = self.0.take() else { return };
        open.end_walk();
        open.record.total = open.record.received.elapsed();
        if !open.head {
            open.show_head();
        }
        if let Some(ticket) = open.ticket.take() {
            charging::settle(ticket, &open.record);
        }
        let Open { record, observers, disclosure, .. } = *open;
        for observer in &*observers {
            observer.closed(&record);
        }
        disclosure.closed(record);
    }
}
