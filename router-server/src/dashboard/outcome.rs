//! Classifies a request by its record: the way it took, and why.

use router_core::fallback::{Ended, Note};
use router_core::record::RequestRecord;
use router_core::selection::Exclusion;

/// The way that a request took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outcome {
    /// A provisioned deployment answered at once.
    Provisioned,
    /// A provisioned deployment answered once it had room.
    Held,
    /// Pay-as-you-go answered because a provisioned deployment was full.
    Spilled,
    /// Another deployment than the preferred one answered, for a reason other than capacity.
    FellBack,
    /// Pay-as-you-go answered, as planned.
    PayAsYouGo,
    /// It was valid and allowed, and no deployment answered: see [`RequestRecord::is_unanswered`].
    Unanswered,
    /// The router refused it for a mistake of the caller or a limit of its key, or the caller left before the answer.
    Refused,
}

/// Number of ways.
pub(super) const WAYS: usize = 7;

impl Outcome {
    /// All, in the order in which they are listed and drawn.
    pub(super) const ALL: [Self; WAYS] = [
        Self::Provisioned,
        Self::Held,
        Self::Spilled,
        Self::FellBack,
        Self::PayAsYouGo,
        Self::Unanswered,
        Self::Refused,
    ];

    /// Its word on the page.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Provisioned => "provisioned",
            Self::Held => "held",
            Self::Spilled => "spilled",
            Self::FellBack => "fell_back",
            Self::PayAsYouGo => "pay_as_you_go",
            Self::Unanswered => "unanswered",
            Self::Refused => "refused",
        }
    }

    /// Its index in [`Self::ALL`].
    pub(super) fn number(self) -> u8 {
        let place = Self::ALL.into_iter().position(|known| known == self);
        place.and_then(|place| u8::try_from(place).ok()).unwrap_or_default()
    }

    /// The way of a request.
    pub(super) fn of(record: &RequestRecord) -> Self {
        let Some(answer) = &record.answer else {
            return if record.is_unanswered() { Self::Unanswered } else { Self::Refused };
        };
        if answer.spilled_over {
            return Self::Spilled;
        }
        let name = &answer.deployment.name;
        if answer.deployment.billing.is_provisioned() {
            let held = record.notes.iter().any(|note| {
                matches!(note, Note::Held { deployment, entered: true, .. } if deployment.name == *name)
            });
            return match (held, record.fallback.is_some() && !found_full(record)) {
                (_, true) => Self::FellBack,
                (true, false) => Self::Held,
                (false, false) => Self::Provisioned,
            };
        }
        match (found_full(record), record.fallback.is_some()) {
            (true, _) => Self::Spilled,
            (false, true) => Self::FellBack,
            (false, false) => Self::PayAsYouGo,
        }
    }

    /// The reason why it went there, in one word; empty for a first choice that answered.
    pub(super) fn cause(record: &RequestRecord) -> &'static str {
        match &record.answer {
            None => record.ended.error().unwrap_or_default(),
            Some(answer) if answer.spilled_over => "native_spillover",
            Some(_) => record.fallback_cause().unwrap_or_default(),
        }
    }
}

/// True if a provisioned deployment had no room for the request.
fn found_full(record: &RequestRecord) -> bool {
    let passed_over = record.decided.iter().flat_map(|decided| &decided.passed_over);
    let passed_over = passed_over.map(|(_, why)| why).any(|why| {
        matches!(why, Exclusion::Full { .. } | Exclusion::TooLarge { .. } | Exclusion::InFlight)
    });
    let spilled = record.notes.iter().any(|note| matches!(note, Note::Spilled { .. }));
    let refused = record.attempts.iter().any(|step| {
        step.deployment.billing.is_provisioned() && matches!(step.ended, Ended::Throttled(..))
    });
    passed_over || spilled || refused
}
