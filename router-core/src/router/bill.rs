//! Prices an answer when it has ended, with what answers before it cost that nobody saw.

use std::sync::Arc;

use crate::capacity::Timing;
use crate::chat::Usage;
use crate::deployment::Deployment;
use crate::deployment::pricing;
use crate::fallback::Note;
use crate::metrics::Metrics;
use crate::record::Answer;
use crate::record::Counterfactual;
use crate::record::ReferencePrices;
use crate::task::Task;
use crate::units::Usd;

/// What is needed to price an answer when it has ended.
pub(super) struct Bill {
    pub(super) deployment: Arc<Deployment>,
    /// True where Azure's own spillover answered: that is paid as you go.
    pub(super) spilled_over: bool,
    /// What answers that nobody sees have cost; `None` where no price is known.
    pub(super) before: Option<Usd>,
    /// The task that the score would have chosen, where scores are only observed.
    pub(super) would: Option<Task>,
    pub(super) yardsticks: ReferencePrices,
}

impl Bill {
    pub(super) fn cost(&self, usage: &Usage) -> Option<Usd> {
        let last = if self.spilled_over {
            pricing::pay_as_you_go_cost(&self.deployment, usage)
        } else {
            pricing::marginal_cost(&self.deployment, usage)
        };
        last.zip(self.before).map(|(last, before)| last + before)
    }

    /// True if the cost is a lower bound.
    pub(super) fn is_at_least(&self, usage: &Usage) -> bool {
        pricing::is_at_least(&self.deployment, usage)
    }

    /// Counts what would have been paid, where scores are only observed.
    pub(super) fn observed(&self, metrics: &Metrics, usage: &Usage) {
        if let Some(would) = self.would {
            let instead = Counterfactual::of(&self.deployment, &self.yardsticks, usage);
            metrics.observed(instead.pay_as_you_go, instead.task(would));
        }
    }

    pub(super) fn answer(
        &self,
        status: u16,
        (usage, model): (Option<Usage>, Option<&str>),
        timing: Timing,
    ) -> Answer {
        let instead = usage
            .map(|usage| Counterfactual::of(&self.deployment, &self.yardsticks, &usage))
            .unwrap_or_default();
        Answer {
            deployment: Arc::clone(&self.deployment),
            status,
            spilled_over: self.spilled_over,
            model: model.filter(|name| is_name(name)).map(Box::from),
            usage,
            cost: usage.map_or(self.before, |usage| self.cost(&usage)),
            cost_at_least: usage.is_some_and(|usage| self.is_at_least(&usage)),
            timing,
            instead,
        }
    }
}

/// True for what may be the name of a model: an upstream says what it likes.
fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// What an answer that nobody sees has cost; `None` where no price is known.
pub(super) fn cost_of(note: &Note) -> Option<Usd> {
    match note {
        Note::AskedAgain { deployment, usage, .. } | Note::Outrun { deployment, usage } => {
            pricing::marginal_cost(deployment, usage)
        }
        Note::Held { .. } | Note::Spilled { .. } | Note::Recovering { .. } => Some(Usd::ZERO),
    }
}
