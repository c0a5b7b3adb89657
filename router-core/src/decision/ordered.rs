//! Orders the eligible deployments of a choice of models, on the terms on which the request asks for capacity.

use tokio::time::Instant;

use crate::capacity::Admission;
use crate::capacity::Snapshot;
use crate::policy::ModelChoice;
use crate::policy::Preference;
use crate::selection::Candidate;
use crate::selection::Constraints;
use crate::selection::Eligible;
use crate::selection::Preferences;
use crate::selection::order;

use super::admission::{Terms, admission};
use super::{Ask, Rules};

/// The inputs of the order, the same for every choice of models that a request may get.
#[derive(Clone, Copy)]
pub(super) struct Inputs<'d, 'r, 'a> {
    pub(super) ask: Ask<'r, 'a>,
    pub(super) rules: &'d Rules,
    pub(super) snapshot: &'d Snapshot,
    pub(super) constraints: Constraints<'d>,
    pub(super) prefer: Preference,
    pub(super) now: Instant,
}

/// The eligible deployments in order, and the terms.
pub(super) struct Ordered {
    pub(super) candidates: Vec<Candidate>,
    pub(super) admission: Admission,
}

impl Inputs<'_, '_, '_> {
    /// Orders the deployments of a choice.
    pub(super) fn order(&self, kept: Eligible, choice: &ModelChoice) -> Ordered {
        let Self { ask, rules, snapshot, constraints, prefer, now } = *self;
        let (needs, bound) = (constraints.needs, kept.all_provisioned());
        let admission = admission(ask, Terms { choice, needs, rules, snapshot, bound });
        let preferences = Preferences {
            prefer,
            choice,
            needs,
            tiers: constraints.tiers,
            admission: &admission,
            ramp: rules.capacity.ramp,
            reader: ask.ties.reader,
        };
        let candidates = order(kept, preferences, snapshot, now);
        Ordered { candidates, admission }
    }
}
