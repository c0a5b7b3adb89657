//! The account of one request: open while it is under way, told to the observers once, when it is closed or dropped.
//!
//! A request whose caller goes away is dropped wherever it stands, so the telling is in the drop: nothing on the way can
//! forget it. Where nobody observes, nothing is kept.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use crate::chat::ChatRequest;
use crate::clock;
use crate::decision::Decision;
use crate::error_kind::Kind;
use crate::fallback::Note;
use crate::fallback::Step;
use crate::ledger::Ticket;
use crate::metrics::InFlight;
use crate::metrics::Metrics;
use crate::record::Answer;
use crate::record::Decided;
use crate::record::Observer;
use crate::record::RequestEnd;
use crate::record::RequestRecord;
use crate::task::Score;

use super::background::OpenAnswers;
use super::call::ChatCall;
use super::charging;

/// Who is told of requests; observers can be added at any time.
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

    fn all(&self) -> All {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The account of a request that is under way.
#[derive(Debug)]
pub(super) struct OpenAccount {
    kept: Option<Box<Kept>>,
    _in_flight: Option<InFlight>,
}

#[derive(Debug)]
struct Kept {
    record: RequestRecord,
    observers: All,
    /// Counts by key.
    metrics: Metrics,
    ticket: Option<Ticket>,
}

impl OpenAccount {
    pub(super) fn new(call: &ChatCall, observers: &Observers, metrics: &Metrics) -> Self {
        let in_flight = metrics.enter();
        let observers = observers.all();
        let wanted = !observers.is_empty() || call.caller.name().is_some();
        let kept = wanted.then(|| {
            let id = call.headers.get("x-request-id").and_then(|id| id.to_str().ok());
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
                answer: None,
                // Holds until something else has come of it.
                ended: RequestEnd::HungUp,
                total: Duration::ZERO,
            };
            let metrics = metrics.clone();
            Box::new(Kept { record, observers, metrics, ticket: None })
        });
        Self { kept, _in_flight: Some(in_flight) }
    }

    /// The account, leaving one behind that tells nothing.
    pub(super) fn take(&mut self) -> Self {
        std::mem::replace(self, Self { kept: None, _in_flight: None })
    }

    fn with(&mut self, change: impl FnOnce(&mut RequestRecord)) {
        if let Some(kept) = &mut self.kept {
            change(&mut kept.record);
        }
    }

    pub(super) fn decided(
        &mut self,
        request: &ChatRequest<'_>,
        decision: &Decision,
        threshold: Score,
    ) {
        self.with(|record| {
            record.streamed = request.stream();
            record.max_output = request.max_output();
            record.decided = Some(Decided::of(decision, threshold));
        });
    }

    /// From now on it is on a key's account.
    pub(super) fn admitted(&mut self, ticket: Option<Ticket>) {
        if let Some(kept) = &mut self.kept {
            kept.ticket = ticket;
        }
    }

    /// The answer is still being made: the key is charged what was set aside until a later response says what was used.
    pub(super) fn left_open(&mut self, id: &str, open: &OpenAnswers) {
        let ticket = self.kept.as_mut().and_then(|kept| kept.ticket.take());
        open.opened(id, ticket);
    }

    pub(super) fn walked(&mut self, attempts: &[Step], notes: &[Note]) {
        self.with(|record| {
            record.attempts = attempts.to_vec();
            record.notes = notes.to_vec();
        });
    }

    pub(super) fn fell_back(&mut self, cause: Option<&'static str>) {
        self.with(|record| record.fallback = cause);
    }

    /// Nobody answered.
    pub(super) fn refused(&mut self, kind: Kind) {
        self.with(|record| record.ended = RequestEnd::Refused(kind));
    }

    /// An answer has ended; the account closes with this.
    pub(super) fn close(mut self, ended: RequestEnd, answer: impl FnOnce() -> Answer) {
        self.with(|record| {
            record.ended = ended;
            record.answer = Some(answer());
        });
    }
}

impl Drop for OpenAccount {
    fn drop(&mut self) {
        if let Some(mut kept) = self.kept.take() {
            kept.record.total = kept.record.received.elapsed();
            if let Some(ticket) = kept.ticket.take() {
                charging::settle(ticket, &kept.record);
            }
            kept.metrics.finished(&kept.record);
            for observer in &*kept.observers {
                observer.finished(&kept.record);
            }
        }
    }
}
