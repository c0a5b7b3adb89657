//! The log of one request's attempts, and other events on the way.
//!
//! Not done here: the consequences (`walk.rs`).

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::chat::ChatRequest;
use crate::deployment::Deployment;
use crate::trace::SpanId;
use crate::units::Tokens;
use crate::upstream::Said;
use crate::upstream::Throttle;

use super::step::{Ended, Note, Step};
use super::walk::Answered;

/// What has happened to a request so far.
#[derive(Debug)]
pub(super) struct AttemptLog {
    pub(super) began: Instant,
    pub(super) trail: Vec<Step>,
    pub(super) notes: Vec<Note>,
    /// The span of the attempt that is under way, where traces are kept.
    pub(super) under_way: Option<SpanId>,
    /// What the upstream said of the attempt that has just ended.
    pub(super) said: Said,
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
    /// What the deployment answered.
    pub(super) answered: Box<Answered>,
}

impl AttemptLog {
    /// A log that begins.
    pub(super) fn new(began: Instant) -> Self {
        let (trail, notes, crowded) = (Vec::new(), Vec::new(), Vec::new());
        Self {
            began,
            trail,
            notes,
            under_way: None,
            said: Said::default(),
            crowded,
            too_long: None,
            over_quota: None,
            encrypted_left_out: false,
        }
    }

    /// From now on the request goes without its encrypted reasoning; false if it did so before, or has none.
    pub(super) fn leave_encrypted_out(&mut self, request: &ChatRequest<'_>) -> bool {
        let before = std::mem::replace(&mut self.encrypted_left_out, true);
        !before && request.holds_reasoning() && !request.encrypted().is_empty()
    }

    /// What happened to an attempt that was made beside; the last step stays last unless it was the other's to answer.
    pub(super) fn join(&mut self, other: Self, answered: bool) {
        let at = self.trail.len().saturating_sub(usize::from(!answered));
        self.trail.splice(at..at, other.trail);
        self.notes.extend(other.notes);
    }

    /// An attempt that another outran.
    pub(super) fn lost(&mut self, (step, note): (Step, Note)) {
        self.trail.push(step);
        self.notes.push(note);
    }

    /// The attempt that was under way has ended; how long it took.
    pub(super) fn ended(
        &mut self,
        deployment: &Arc<Deployment>,
        ended: Ended,
        began: Instant,
    ) -> Duration {
        let (took, span) = (began.elapsed(), self.under_way.take());
        let said = std::mem::take(&mut self.said);
        self.trail.push(Step {
            deployment: Arc::clone(deployment),
            ended,
            began,
            took,
            span,
            said,
        });
        took
    }

    /// The answer that goes back if no deployment answered: one for which the request alone is responsible. A larger quota
    /// that is full or fails now may still serve the request later, so that its fault comes first.
    pub(super) fn own_fault(&mut self) -> Option<Box<Answered>> {
        let later =
            |step: &Step| step.ended.is_fault() || matches!(step.ended, Ended::Throttled(..));
        let too_long = self.too_long.take().map(|(_, answered)| answered);
        let over_quota = self.over_quota.take().filter(|_| !self.trail.iter().any(later));
        too_long.or(over_quota.map(|over| over.answered))
    }

    /// True where the last attempt found a deployment full that may have room in a moment.
    pub(super) fn found_full(&self) -> bool {
        let Some(Step { ended: Ended::Throttled(kind, _), deployment, .. }) = self.trail.last()
        else {
            return false;
        };
        match kind {
            Throttle::ProvisionedFull => true,
            Throttle::Quota => deployment.is_held_for(),
            Throttle::SystemCapacity | Throttle::Size | Throttle::Flex => false,
        }
    }

    pub(super) fn done(self, answered: Answered) -> Answered {
        Answered { trail: self.trail, notes: self.notes, ..answered }
    }
}
