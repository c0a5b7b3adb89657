//! What was paid by the token, and what the same answers would have cost elsewhere.
//!
//! An answer counts towards a comparison only where both of its sides have a price: a missing price is no saving. Sums are
//! kept apart and exact, and subtracted last, because a single answer may well cost more than its yardstick.

use router_core::chat::Operation;
use router_core::record::Answer;
use router_core::task::Task;
use router_core::units::Usd;

/// The same answers, as they were paid and as they would have been.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Beside {
    /// What was paid for them.
    pub(super) paid: Usd,
    /// What they would have cost.
    pub(super) instead: Usd,
}

impl Beside {
    fn add(&mut self, paid: Option<Usd>, instead: Option<Usd>) {
        if let (Some(paid), Some(instead)) = (paid, instead) {
            self.paid += paid;
            self.instead += instead;
        }
    }

    /// Dollars saved by what was done; below zero where it cost more.
    pub(super) fn saved(&self) -> f64 {
        if self.instead >= self.paid {
            self.instead.saturating_sub(self.paid).as_f64()
        } else {
            -self.paid.saturating_sub(self.instead).as_f64()
        }
    }
}

/// What was paid by the token, beside two other ways.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Money {
    /// All that was paid.
    pub(super) paid: Usd,
    /// Answers without a known price.
    pub(super) unpriced: u64,
    /// Had the same model answered all on pay-as-you-go.
    pub(super) pay_as_you_go: Beside,
    /// Had the reasoning role's model answered all that was a conversation.
    pub(super) reasoning: Beside,
    /// Had scores been heeded where they are only observed; both sides at pay-as-you-go prices.
    pub(super) observed: Beside,
}

impl Money {
    /// One more answer; `would` is the task that its score would have chosen, where it was only observed.
    pub(super) fn add(&mut self, operation: Operation, would: Option<Task>, answer: &Answer) {
        if answer.usage.is_none() {
            return;
        }
        match answer.cost {
            Some(cost) => self.paid += cost,
            None => self.unpriced += 1,
        }
        self.pay_as_you_go.add(answer.cost, answer.instead.pay_as_you_go);
        // Nobody would have asked a reasoning model for embeddings.
        if operation.is_scored() {
            self.reasoning.add(answer.cost, answer.instead.reasoning);
        }
        if let Some(would) = would {
            self.observed.add(answer.instead.pay_as_you_go, answer.instead.task(would));
        }
    }

    /// Dollars saved against both, in the order in which they are told.
    pub(super) fn saved(&self) -> [f64; 2] {
        [self.pay_as_you_go.saved(), self.reasoning.saved()]
    }
}

#[cfg(test)]
mod tests {
    use router_core::units::{Tokens, UsdPerMillionTokens};

    use super::*;

    fn dollars(millionths: u64) -> Usd {
        UsdPerMillionTokens::try_new(1.0).unwrap().of(Tokens(millionths))
    }

    #[test]
    fn savings_are_the_difference_of_sums_and_may_be_negative() {
        let mut beside = Beside::default();
        beside.add(Some(Usd::ZERO), Some(dollars(35)));
        beside.add(Some(dollars(60)), Some(dollars(20)));
        assert!((beside.saved() + 5e-6).abs() < 1e-12, "{}", beside.saved());
        beside.add(Some(dollars(10)), Some(dollars(110)));
        assert!((beside.saved() - 95e-6).abs() < 1e-12, "{}", beside.saved());
    }

    #[test]
    fn an_answer_without_one_of_the_prices_is_in_neither_sum() {
        let mut beside = Beside::default();
        beside.add(None, Some(dollars(35)));
        beside.add(Some(dollars(35)), None);
        assert_eq!(beside, Beside::default());
    }
}
