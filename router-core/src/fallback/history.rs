//! The history of a request: its attempts and other events. The owner of the request's record keeps it, so that it
//! survives a walk that is dropped in the middle.
//!
//! Not done here: what follows from it (`walk.rs`).

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::deployment::Deployment;
use crate::trace::SpanId;
use crate::upstream::Said;

use super::step::{Ended, Note, Step};

/// The history of a request.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    /// The attempts, in order. One that is under way counts as hung up until something else has come of it.
    pub(crate) attempts: Vec<Step>,
    /// Other events.
    pub(crate) notes: Vec<Note>,
}

impl History {
    /// An attempt is sent.
    pub(super) fn begin(&mut self, deployment: &Arc<Deployment>, span: Option<SpanId>) {
        let deployment = Arc::clone(deployment);
        let (ended, began, took) = (Ended::HungUp, Instant::now(), Duration::ZERO);
        self.attempts.push(Step { deployment, ended, began, took, span, said: Said::default() });
    }

    /// The attempt that was under way has ended; how long it took.
    pub(super) fn end(&mut self, ended: Ended, said: Said) -> Duration {
        let Some(step) = self.attempts.last_mut() else { return Duration::ZERO };
        step.took = step.began.elapsed();
        (step.ended, step.said) = (ended, said);
        step.took
    }

    /// Moves everything from another history to the end of this one.
    pub(super) fn append(&mut self, other: &mut Self) {
        self.attempts.append(&mut other.attempts);
        self.notes.append(&mut other.notes);
    }

    /// Another attempt was quicker; false if none was under way.
    pub(super) fn outrun(&mut self) -> bool {
        let under_way = self.attempts.last().is_some_and(|step| step.ended == Ended::HungUp);
        if under_way {
            self.end(Ended::Outrun, Said::default());
        }
        under_way
    }
}

/// The history of a request that is under way.
#[derive(Debug, Default)]
pub(crate) struct Walked {
    /// Its own.
    pub(super) main: History,
    /// That of a hedge, until it joins the other.
    pub(super) hedge: History,
}

impl Walked {
    /// All that has happened. Attempts that are still under way end here.
    pub(crate) fn finish(self) -> History {
        let Self { mut main, mut hedge } = self;
        main.append(&mut hedge);
        for step in main.attempts.iter_mut().filter(|step| step.ended == Ended::HungUp) {
            step.took = step.began.elapsed();
        }
        for note in &mut main.notes {
            if let Note::Held { since, took, entered: false, .. } = note
                && took.is_zero()
            {
                *took = since.elapsed();
            }
        }
        main
    }
}
