//! The log of one request's attempts, and other events on the way.
//!
//! Not done here: the consequences (`walk.rs`).

use std::sync::Arc;

use tokio::time::Instant;

use crate::chat::ChatRequest;
use crate::deployment::Deployment;
use crate::units::Tokens;
use crate::upstream::Throttle;

use super::history::History;
use super::step::{Ended, Note, Step};
use super::walk::Answered;

/// The history of a request so far.
#[derive(Debug)]
pub(super) struct AttemptLog<'w> {
    pub(super) began: Instant,
    pub(super) history: &'w mut History,
    /// The log in which a hedge records its attempts; `None` while one does.
    pub(super) hedge: Option<&'w mut History>,
    /// Those that were passed by because others try them already: they come last.
    pub(super) crowded: Vec<Arc<Deployment>>,
    /// An answer that says that the prompt is too long, and for which window.
    pub(super) too_long: Option<(Tokens, Box<Answered>)>,
    /// True once a deployment could not read the encrypted items: the request goes on without them.
    pub(super) encrypted_left_out: bool,
    /// An answer that says that the request alone exceeds the whole quota, and the limit as far as it is known.
    pub(super) over_quota: Option<OverQuota>,
}

/// A deployment refused the request because it exceeds the whole quota.
#[derive(Debug)]
pub(super) struct OverQuota {
    /// The largest limit so far; `None` if none is known.
    pub(super) limit: Option<u64>,
    /// The answer of the deployment.
    pub(super) answered: Box<Answered>,
}

impl<'w> AttemptLog<'w> {
    /// A log that begins.
    pub(super) fn new(
        began: Instant,
        history: &'w mut History,
        hedge: Option<&'w mut History>,
    ) -> Self {
        let crowded = Vec::new();
        let (too_long, over_quota, encrypted_left_out) = (None, None, false);
        Self { began, history, hedge, crowded, too_long, encrypted_left_out, over_quota }
    }

    /// The attempts so far.
    pub(super) fn attempts(&self) -> &[Step] {
        &self.history.attempts
    }

    /// Notes what else happened.
    pub(super) fn note(&mut self, note: Note) {
        self.history.notes.push(note);
    }

    /// From now on the request goes without its encrypted reasoning; false if it did so before, or has none.
    pub(super) fn leave_encrypted_out(&mut self, request: &ChatRequest<'_>) -> bool {
        let before = std::mem::replace(&mut self.encrypted_left_out, true);
        !before && request.holds_reasoning() && !request.encrypted().is_empty()
    }

    /// The request was held since then, and goes on.
    pub(super) fn entered(&mut self, held_since: Instant) {
        held_until_now(&mut self.history.notes, held_since, true);
    }

    /// Merges a hedge's attempts; the answer stays the last one.
    pub(super) fn join(&mut self, hedge: &mut History, answered: bool) {
        let attempts = &mut self.history.attempts;
        let at = attempts.len().saturating_sub(usize::from(!answered));
        attempts.splice(at..at, hedge.attempts.drain(..));
        self.history.notes.append(&mut hedge.notes);
    }

    /// The answer that goes back if no deployment answered: one for which the request alone is responsible. A larger quota
    /// that is full or fails now may still serve the request later, so that its fault comes first.
    pub(super) fn own_fault(&mut self) -> Option<Box<Answered>> {
        let later =
            |step: &Step| step.ended.is_fault() || matches!(step.ended, Ended::Throttled(..));
        let too_long = self.too_long.take().map(|(_, answered)| answered);
        let over_quota =
            self.over_quota.take().filter(|_| !self.history.attempts.iter().any(later));
        too_long.or(over_quota.map(|over| over.answered))
    }

    /// True where the last attempt found a deployment full that may have room in a moment.
    pub(super) fn found_full(&self) -> bool {
        let last = self.history.attempts.last();
        let Some(Step { ended: Ended::Throttled(kind, _), deployment, .. }) = last else {
            return false;
        };
        match kind {
            Throttle::ProvisionedFull => true,
            Throttle::Quota => deployment.is_held_for(),
            Throttle::SystemCapacity | Throttle::Size | Throttle::Flex => false,
        }
    }
}

/// The hold that began then is over.
pub(super) fn held_until_now(notes: &mut [Note], began: Instant, now_entered: bool) {
    if let Some(Note::Held { took, entered, .. }) = notes.last_mut() {
        (*took, *entered) = (began.elapsed(), now_entered);
    }
}
