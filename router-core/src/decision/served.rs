//! Selects the models that serve, and the deployments that may: chat if the reasoning role may be downgraded.

use crate::policy::ModelChoice;
use crate::policy::OnUnavailable;
use crate::policy::Policy;
use crate::policy::RequestedModel;
use crate::selection::Candidate;
use crate::selection::Constraints;
use crate::selection::Eligible;
use crate::selection::Exclusion;
use crate::selection::eligible;
use crate::task::Task;

use super::{Rules, excluded};

/// The models that serve, and the deployments that may.
pub(super) struct Served {
    pub(super) choice: ModelChoice,
    pub(super) kept: Eligible,
    pub(super) removed: Vec<Candidate>,
    /// True if chat serves because the reasoning role has no usable deployment.
    pub(super) downgraded: bool,
}

impl Served {
    /// The deployments of a choice, or of chat in its place.
    pub(super) fn of(choice: ModelChoice, rules: &Rules, constraints: Constraints<'_>) -> Self {
        let Rules { policy, catalog, .. } = rules;
        let (kept, removed) = eligible(catalog, &choice, constraints);
        let downgraded = kept.is_empty()
            && constraints.rights.allow_role(Task::Chat)
            && may_downgrade(policy, &choice, &removed);
        if !downgraded {
            return Self { choice, kept, removed, downgraded };
        }
        let choice = policy.choose(&RequestedModel::Role(Task::Chat), Task::Chat, catalog);
        let (kept, removed) = eligible(catalog, &choice, constraints);
        Self { choice, kept, removed, downgraded }
    }
}

/// True if the reasoning role fell to residency, rights or retirement alone and config lets chat serve instead.
fn may_downgrade(policy: &Policy, choice: &ModelChoice, removed: &[Candidate]) -> bool {
    let fell = removed.iter().filter_map(excluded).any(|why| {
        matches!(
            why,
            Exclusion::Residency
                | Exclusion::Retired(_)
                | Exclusion::NotAllowed
                | Exclusion::Disabled
        )
    });
    choice.role == Some(Task::Reasoning)
        && policy.reasoning.on_unavailable == OnUnavailable::Downgrade
        && fell
}
