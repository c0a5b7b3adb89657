//! Prices an answer when it has ended, and adds the cost of earlier answers to the same request that the caller never saw.

use crate::deployment::pricing;
use crate::fallback::Note;
use crate::record::Answer;
use crate::record::Counterfactual;
use crate::record::ReferencePrices;
use crate::units::Usd;

/// Sets what an answer cost, and what its tokens would have cost elsewhere.
pub(super) fn price(answer: &mut Answer, notes: &[Note], prices: &ReferencePrices) {
    // The cost of answers that no caller gets; `None` if a price is unknown.
    let before: Option<Usd> = notes.iter().map(cost_of).sum();
    let deployment = &*answer.deployment;
    let Some(usage) = &answer.usage else {
        answer.cost = before;
        return;
    };
    let last = if answer.spilled_over {
        pricing::pay_as_you_go_cost(deployment, usage)
    } else {
        pricing::marginal_cost(deployment, usage)
    };
    answer.cost = last.zip(before).map(|(last, before)| last + before);
    answer.cost_at_least = pricing::is_at_least(deployment, usage);
    answer.instead = Counterfactual::of(deployment, prices, usage);
}

/// The cost of an answer that no caller gets; `None` if its price is unknown.
fn cost_of(note: &Note) -> Option<Usd> {
    match note {
        Note::AskedAgain { deployment, usage, .. } | Note::Outrun { deployment, usage } => {
            pricing::marginal_cost(deployment, usage)
        }
        Note::Held { .. } | Note::Spilled { .. } | Note::Recovering { .. } => Some(Usd::ZERO),
    }
}
