//! The router's disclosure about a call besides its answer: the headers of a refusal, the attempts,
//! and the routing for the log.
//!
//! The caller of the library keeps a clone of the disclosure and reads it after the call. Attempts
//! are disclosed when the walk over the plan has ended. A request that the first deployment
//! answered at once has nothing to disclose.

use std::sync::{Arc, OnceLock};

use http::HeaderMap;

use crate::decision::Decision;
use crate::deployment::Residency;
use crate::fallback::Ended;
use crate::fallback::Step;
use crate::fallback::causes;
use crate::fallback::describe;
use crate::record::RequestRecord;
use crate::response::tell_attempts;
use crate::response::tell_count;
use crate::response::tell_decision;
use crate::response::tell_residency;

use super::background::SettledCost;
use super::routing::{Routing, is_private};

/// The disclosure about one request. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Disclosure(Arc<Disclosed>);

#[derive(Debug, Default)]
struct Disclosed {
    /// True if the caller may see causes by deployment.
    exposed: bool,
    headers: OnceLock<HeaderMap>,
    trail: OnceLock<Box<[Step]>>,
    misconfigured: OnceLock<String>,
    settled: OnceLock<SettledCost>,
    routing: OnceLock<Routing>,
}

impl Disclosure {
    /// A disclosure whose causes the caller may see: a stream that fails after its head was sent names them in its error event.
    pub fn exposed() -> Self {
        Self(Arc::new(Disclosed { exposed: true, ..Disclosed::default() }))
    }

    /// The causes, if the caller may see them.
    pub(super) fn exposed_causes(&self) -> Option<String> {
        self.causes().filter(|_| self.0.exposed)
    }

    /// The `x-router-*` headers of a refusal, as far as the request came; `None` if it was answered or never decided.
    pub fn headers(&self) -> Option<&HeaderMap> {
        self.0.headers.get()
    }

    /// The attempts in words; `None` if the first one answered, or none was made.
    pub fn trail(&self) -> Option<String> {
        self.0.trail.get().map(|trail| describe(trail))
    }

    /// The causes of failed attempts by deployment, in words; `None` if none failed. If every deployment refuses the router, refusals
    /// of earlier requests count too, with the upstream's code and the name that was sent. Not for callers who may see no names.
    pub fn causes(&self) -> Option<String> {
        if let Some(causes) = self.0.misconfigured.get() {
            return Some(causes.clone());
        }
        let trail = self.0.trail.get().filter(|trail| !is_private(trail))?;
        Some(causes(trail)).filter(|causes| !causes.is_empty())
    }

    /// How the call was routed; `None` until it has ended.
    pub fn routing(&self) -> Option<&Routing> {
        self.0.routing.get()
    }

    /// The request has ended.
    pub(super) fn closed(&self, record: RequestRecord) {
        self.walked(&record.attempts);
        drop(self.0.routing.set(Routing::of(record)));
    }

    /// The call of a stored response has ended; `refused` with the residency if the router refused it.
    pub(super) fn stored_closed(&self, attempts: &[Step], refused: Option<Residency>) {
        self.walked(attempts);
        if let Some(residency) = &refused {
            self.stored_refused(residency);
        }
        let settled = self.0.settled.get().copied();
        drop(self.0.routing.set(Routing::of_stored(attempts, settled, refused)));
    }

    /// The call of a stored response has settled an answer made in the background.
    pub(super) fn settled(&self, cost: SettledCost) {
        self.0.settled.get_or_init(|| cost);
    }

    /// The walk over the plan has ended.
    pub(super) fn walked(&self, trail: &[Step]) {
        let plain = matches!(trail, [] | [Step { ended: Ended::Served, .. }]);
        if !plain {
            // A call is walked once.
            drop(self.0.trail.set(trail.into()));
        }
    }

    /// Every deployment that the request may use refuses the router, for these causes.
    pub(super) fn misconfigured(&self, causes: String) {
        drop(self.0.misconfigured.set(causes));
    }

    /// A request that was decided got no answer.
    pub(super) fn refused(&self, decision: &Decision) {
        let mut headers = HeaderMap::with_capacity(8);
        tell_decision(&mut headers, decision);
        self.failed(headers);
    }

    /// A call of a stored response, about which nothing is decided, got no answer.
    fn stored_refused(&self, residency: &Residency) {
        let mut headers = HeaderMap::with_capacity(8);
        tell_residency(&mut headers, residency);
        self.failed(headers);
    }

    fn failed(&self, mut headers: HeaderMap) {
        let trail = self.0.trail.get().map_or(&[][..], |trail| trail);
        match trail.last() {
            Some(last) if !is_private(trail) => {
                tell_attempts(&mut headers, &last.deployment, trail, None);
            }
            Some(_) | None => tell_count(&mut headers, trail.len()),
        }
        drop(self.0.headers.set(headers));
    }
}
