//! The decision for a call, with its reasons; sends nothing.

use crate::decision::Decision;
use crate::error::RouteError;
use crate::policy::PrefixHash;
use crate::task::Reason;
use crate::upstream::Upstream;

use super::call::ChatCall;
use super::incoming::Incoming;
use super::model_router::ModelRouter;

impl<U: Upstream> ModelRouter<U> {
    /// The decision alone; nothing is sent. It is made on this thread: large calls belong on a thread that serves nobody else.
    ///
    /// # Errors
    /// The call cannot be understood, or names a model that does not exist here.
    pub fn route(&self, call: &ChatCall) -> Result<Decision, RouteError> {
        let inner = self.inner();
        let mut incoming = Incoming::read(call, inner.max_messages())?;
        incoming.readers = inner.encrypted.readers(incoming.request.encrypted());
        inner.decide(&incoming)
    }

    /// The question located in the last user's turn of a call, in the caller's words; none if nothing is scored.
    pub fn question(&self, call: &ChatCall) -> Option<String> {
        let inner = self.inner();
        let request = call.request(inner.max_messages()).ok();
        let scored = request.filter(|request| request.operation().is_scored());
        scored.and_then(|request| inner.rules.classifier.question(&request))
    }

    /// The hashes by which a rule can recognize the call's system prompt; none if nothing is scored.
    pub fn instructions_hashes(&self, call: &ChatCall) -> Vec<PrefixHash> {
        let request = call.request(self.inner().max_messages()).ok();
        let scored = request.filter(|request| request.operation().is_scored());
        scored.map(|request| PrefixHash::offered(&request)).unwrap_or_default()
    }

    /// The features that weighed most in the benefit of a call, heaviest first; none where it is no chat request.
    pub fn benefit_reasons(&self, call: &ChatCall, most: usize) -> Vec<Reason> {
        let inner = self.inner();
        let request = call.request(inner.max_messages()).ok();
        let scored = request.filter(|request| request.operation().is_scored());
        let reasons = |request| inner.rules.classifier.benefit_reasons(&request, most);
        scored.map(reasons).unwrap_or_default()
    }

    /// The features that weighed most in the score of a call, heaviest first; none where it is no chat request.
    pub fn reasons(&self, call: &ChatCall, most: usize) -> Vec<Reason> {
        let inner = self.inner();
        let request = call.request(inner.max_messages()).ok();
        let scored = request.filter(|request| request.operation().is_scored());
        let reasons = scored.map(|request| inner.rules.classifier.reasons(&request, most));
        reasons.unwrap_or_default()
    }
}
