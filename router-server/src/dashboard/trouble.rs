//! Troubles: one entry for each problem that an operator should act on, with its cause, its start and the remedy.
//!
//! Texts contain names from the configuration, figures, and an upstream's status and code, but nothing that a caller wrote.

use serde::Serialize;

/// The page that explains each kind, at the kind's own anchor.
const DOCS: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/troubleshooting.md#");

/// A kind of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    DeploymentRefused,
    ErrorRate,
    BudgetSpent,
    QueueStanding,
    DeploymentFailing,
    ReloadRefused,
    ReplicaDisconnected,
    ModelRetiring,
    PriceMissing,
}

impl Kind {
    /// All, most severe first.
    #[cfg(test)]
    pub(super) const ALL: [Self; 9] = [
        Self::DeploymentRefused,
        Self::ErrorRate,
        Self::BudgetSpent,
        Self::QueueStanding,
        Self::DeploymentFailing,
        Self::ReloadRefused,
        Self::ReplicaDisconnected,
        Self::ModelRetiring,
        Self::PriceMissing,
    ];

    /// Its word, which is also its anchor in the documentation.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::DeploymentRefused => "deployment_refused",
            Self::ErrorRate => "error_rate",
            Self::BudgetSpent => "budget_spent",
            Self::QueueStanding => "queue_standing",
            Self::DeploymentFailing => "deployment_failing",
            Self::ReloadRefused => "reload_refused",
            Self::ReplicaDisconnected => "replica_disconnected",
            Self::ModelRetiring => "model_retiring",
            Self::PriceMissing => "price_missing",
        }
    }
}

/// The urgency of a trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Severity {
    /// Now: requests fail or budgets are used up.
    Critical,
    /// Today.
    Warning,
    /// At the next review.
    Info,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Trouble {
    pub(super) severity: Severity,
    pub(super) kind: &'static str,
    /// The deployment, key or team; empty for the router as a whole.
    pub(super) subject: Box<str>,
    pub(super) title: String,
    pub(super) cause: String,
    pub(super) action: String,
    /// Its beginning as far as this process knows, in milliseconds since 1970.
    pub(super) since_ms: u64,
    docs: String,
    #[serde(skip)]
    pub(super) order: Kind,
}

/// The texts of a trouble.
#[derive(Debug)]
pub(super) struct Words {
    pub(super) title: String,
    pub(super) cause: String,
    pub(super) action: String,
}

impl Trouble {
    /// A trouble found now; [`sorted`] sets its beginning.
    pub(super) fn new(kind: Kind, severity: Severity, subject: &str, words: Words) -> Self {
        let Words { title, cause, action } = words;
        let docs = format!("{DOCS}{}", kind.as_str());
        Self {
            severity,
            kind: kind.as_str(),
            subject: subject.into(),
            title,
            cause,
            action,
            since_ms: 0,
            docs,
            order: kind,
        }
    }

    /// Sets a beginning that is known.
    pub(super) fn since(mut self, since_ms: u64) -> Self {
        self.since_ms = since_ms;
        self
    }
}

/// Sorts the most severe first, and gives each trouble the moment at which it was first seen.
pub(super) fn sorted(before: &[Trouble], mut now: Vec<Trouble>, at_ms: u64) -> Vec<Trouble> {
    for trouble in now.iter_mut().filter(|trouble| trouble.since_ms == 0) {
        let same =
            |known: &&Trouble| known.order == trouble.order && known.subject == trouble.subject;
        trouble.since_ms = before.iter().find(same).map_or(at_ms, |known| known.since_ms);
    }
    now.sort_by(|one, other| {
        (one.severity, one.order, &one.subject).cmp(&(other.severity, other.order, &other.subject))
    });
    now
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trouble(kind: Kind, severity: Severity) -> Trouble {
        let words = Words { title: String::new(), cause: String::new(), action: String::new() };
        Trouble::new(kind, severity, "chat_ptu", words)
    }

    #[test]
    fn every_kind_is_explained_in_the_documentation() {
        let page = include_str!("../../../docs/troubleshooting.md");
        for kind in Kind::ALL {
            assert!(page.contains(&format!("### `{}`", kind.as_str())), "{}", kind.as_str());
        }
    }

    #[test]
    fn a_trouble_keeps_its_beginning_while_it_lasts() {
        let first = sorted(&[], vec![trouble(Kind::QueueStanding, Severity::Warning)], 1_000);
        let now = vec![
            trouble(Kind::PriceMissing, Severity::Info),
            trouble(Kind::QueueStanding, Severity::Warning),
            trouble(Kind::DeploymentRefused, Severity::Critical).since(500),
        ];
        let later = sorted(&first, now, 9_000);
        let found: Vec<_> = later.iter().map(|one| (one.kind, one.since_ms)).collect();
        assert_eq!(
            found,
            [("deployment_refused", 500), ("queue_standing", 1_000), ("price_missing", 9_000)]
        );
        let again = sorted(&[], vec![trouble(Kind::QueueStanding, Severity::Warning)], 20_000);
        assert_eq!(again[0].since_ms, 20_000, "it was gone in between");
    }
}
