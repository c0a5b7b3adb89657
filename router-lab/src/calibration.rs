//! Computes the threshold for a given share of reasoning from logged scores. It counts; it learns
//! nothing.
//!
//! A score includes every signal of its request (earlier turns, instructions, parameters), so
//! another threshold can decide it again without the text. Only hysteresis is left out, because it
//! needs the turns before; the number of scores that it could affect is reported. Costs are
//! pay-as-you-go list prices on both sides: what provisioned throughput saves depends on when
//! requests arrive, which `replay` covers.

use router_core::chat::Usage;
use router_core::record::ReferencePrices;
use router_core::task::{Score, Task};
use router_core::units::{Tokens, Usd};

use router_core::log_line::LoggedRequest;

/// A request that was scored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored {
    /// Its score, 0 to 1.
    pub score: f64,
    /// Cost of its tokens at the model of each role, in dollars; `None` if unknown.
    pub prices: Option<Prices>,
}

/// Cost of a request's tokens at the model of each role, in dollars.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prices {
    /// At the reasoning role's.
    pub reasoning: f64,
    /// At the chat role's.
    pub chat: f64,
}

/// The words of `decided_by` for requests that no threshold decides.
const NOT_BY_SCORE: [&str; 3] = ["hint", "key", "rule"];

/// The requests of a log whose task the score gives: not those that their caller
/// or a rule decided, or whose key leaves one role alone.
/// `routing.force_role` and `routing.mode` are no such thing: when they are taken out the threshold decides again.
pub fn scored<'l>(
    requests: &'l [LoggedRequest],
    prices: impl Fn(&LoggedRequest) -> Option<Prices> + 'l,
) -> impl Iterator<Item = Scored> + 'l {
    requests.iter().filter_map(move |request| {
        let decision = &request.decision;
        let by = decision.decided_by.as_deref();
        let score = decision.score.filter(|_| by.is_none_or(|by| !NOT_BY_SCORE.contains(&by)))?;
        Some(Scored { score, prices: prices(request) })
    })
}

/// The prices that the log recorded.
pub fn recorded_prices(request: &LoggedRequest) -> Option<Prices> {
    let (reasoning, chat) = request.outcome.reasoning_usd.zip(request.outcome.chat_usd)?;
    Some(Prices { reasoning, chat })
}

/// The prices of today's configuration. An answer that no reasoning model gave gets as much hidden reasoning on top as
/// reasoning answers have in the mean.
pub fn prices_of(
    yardsticks: &ReferencePrices,
    hidden: u64,
    request: &LoggedRequest,
) -> Option<Prices> {
    let (prompt, completion) = request.tokens()?;
    let own = request.outcome.reasoning_tokens.unwrap_or(0).min(completion);
    let usage = |completion: u64| Usage {
        prompt: Tokens(prompt),
        cached: Tokens(request.outcome.cached_tokens.unwrap_or(0)),
        completion: Tokens(completion),
        ..Usage::default()
    };
    let with = if own > 0 { completion } else { completion + hidden };
    let price = |task, completion| yardsticks.price(task, &usage(completion)).map(Usd::as_f64);
    let reasoning = price(Task::Reasoning, with)?;
    Some(Prices { reasoning, chat: price(Task::Chat, completion - own)? })
}

/// Mean hidden reasoning of the answers that have any; 0 if none has.
pub fn hidden_reasoning<'l>(requests: impl IntoIterator<Item = &'l LoggedRequest>) -> u64 {
    let hidden = requests.into_iter().filter_map(|request| request.outcome.reasoning_tokens);
    let (mut sum, mut count) = (0_u64, 0_u64);
    for tokens in hidden.filter(|tokens| *tokens > 0) {
        (sum, count) = (sum.saturating_add(tokens), count + 1);
    }
    sum.checked_div(count).unwrap_or(0)
}

/// A threshold and how many of the scores reach it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cut {
    /// The threshold, with no more digits than it needs.
    pub threshold: f64,
    /// Number of scores that reach it.
    pub reasoning: usize,
}

/// The scores of a log, highest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores(Vec<Scored>);

impl Scores {
    /// Puts them in order.
    pub fn new(scored: impl IntoIterator<Item = Scored>) -> Self {
        let mut all: Vec<Scored> = scored.into_iter().collect();
        all.sort_by(|one, other| other.score.total_cmp(&one.score));
        Self(all)
    }

    /// Number of requests.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Number of scores that reach a threshold.
    pub fn reaching(&self, threshold: f64) -> usize {
        self.0.partition_point(|scored| scored.score >= threshold)
    }

    /// Number of scores within this distance of a threshold, in log-odds.
    pub fn near_in_log_odds(&self, threshold: f64, width: f32) -> usize {
        let odds = |score: f64| Score::nearest(narrow(score)).log_odds();
        let own = odds(threshold);
        self.0.iter().filter(|scored| (odds(scored.score) - own).abs() <= width).count()
    }

    /// Number of scores within this distance of a threshold.
    pub fn near(&self, threshold: f64, width: f64) -> usize {
        self.0.iter().filter(|scored| (scored.score - threshold).abs() <= width).count()
    }

    /// Cost of all requests if this threshold decides, in dollars; requests without a price count as free at either model.
    pub fn cost(&self, threshold: f64) -> f64 {
        let dollars = |scored: &Scored| {
            let prices = scored.prices?;
            Some(if scored.score >= threshold { prices.reasoning } else { prices.chat })
        };
        // The sum of an empty list is -0.
        0.0 + self.0.iter().filter_map(dollars).sum::<f64>()
    }

    /// Number of requests without a price.
    pub fn unpriced(&self) -> usize {
        self.0.iter().filter(|scored| scored.prices.is_none()).count()
    }

    /// The threshold whose share is nearest to the wished one: equal scores fall on one side together. Of two shares as near
    /// the smaller is taken.
    pub fn cut(&self, share: f64) -> Cut {
        let wished = share * as_f64(self.count());
        let at = |reasoning: &usize| {
            let above = reasoning.checked_sub(1).and_then(|last| self.0.get(last));
            let below = self.0.get(*reasoning);
            (above.map(|scored| scored.score), below.map(|scored| scored.score))
        };
        // No threshold separates equal scores.
        let possible = (0..=self.count()).filter(|reasoning| {
            let (above, below) = at(reasoning);
            above.is_none_or(|above| below.is_none_or(|below| below < above))
        });
        let gap = |reasoning: &usize| (as_f64(*reasoning) - wished).abs();
        let nearest = possible.min_by(|one, other| gap(one).total_cmp(&gap(other))).unwrap_or(0);
        let (above, below) = at(&nearest);
        let threshold = between(below.unwrap_or(0.0), above.unwrap_or(1.0));
        Cut { threshold, reasoning: self.reaching(threshold) }
    }
}

/// The number with the fewest digits that lies between two and not too near to either.
fn between(below: f64, above: f64) -> f64 {
    let margin = (above - below) / 10.0;
    let (least, most) = (below + margin, above - margin);
    let rounded = (0..=9).find_map(|digits| {
        let unit = 10_f64.powi(digits);
        // The one nearest to the middle of those with so many digits.
        let middle = f64::midpoint(least, most);
        Some((middle * unit).round() / unit).filter(|found| (least..=most).contains(found))
    });
    rounded.unwrap_or_else(|| f64::midpoint(below, above))
}

#[expect(clippy::cast_possible_truncation, reason = "a score has no more than 7 digits")]
fn narrow(score: f64) -> f32 {
    score as f32
}

/// A count as a factor.
#[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]
pub fn as_f64(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scores(values: &[f64]) -> Scores {
        Scores::new(values.iter().map(|score| Scored { score: *score, prices: None }))
    }

    #[test]
    fn what_no_threshold_decides_is_not_counted() {
        let request = |score: Option<f64>, by: Option<&str>| {
            let mut request = LoggedRequest::default();
            request.decision.score = score;
            request.decision.decided_by = by.map(Box::from);
            request
        };
        let log = [
            request(Some(0.1), Some("score")),
            request(Some(0.2), Some("hint")),
            request(Some(0.3), Some("key")),
            request(Some(0.4), Some("follow_up")),
            request(Some(0.5), None),
            request(None, None),
        ];
        let counted: Vec<f64> = scored(&log, |_| None).map(|scored| scored.score).collect();
        assert_eq!(counted, [0.1, 0.4, 0.5]);
    }

    #[test]
    fn a_threshold_gives_the_share_and_has_few_digits() {
        let scores = scores(&[0.91, 0.2, 0.55, 0.1, 0.31, 0.3, 0.72, 0.05, 0.02, 0.01]);
        for (share, threshold, reasoning) in
            [(0.2, 0.6, 2), (0.3, 0.4, 3), (0.4, 0.305, 4), (0.0, 0.96, 0), (1.0, 0.005, 10)]
        {
            assert_eq!(scores.cut(share), Cut { threshold, reasoning }, "{share}");
        }
        assert_eq!(scores.cut(0.26).reasoning, 3);
        assert_eq!(scores.cut(0.25).reasoning, 2, "of two as near the cheaper one");
    }

    #[test]
    fn equal_scores_are_not_parted() {
        let scores = scores(&[0.9, 0.5, 0.5, 0.5, 0.5, 0.1]);
        assert_eq!(scores.cut(0.5).reasoning, 1);
        assert_eq!(scores.cut(0.6).reasoning, 5);
        assert_eq!(super::tests::scores(&[]).cut(0.5).reasoning, 0);
        assert_eq!(super::tests::scores(&[1.0, 1.0]).cut(0.0).reasoning, 2, "none is above one");
    }

    #[test]
    fn costs_follow_the_threshold() {
        let priced =
            |score, reasoning, chat| Scored { score, prices: Some(Prices { reasoning, chat }) };
        let unpriced = Scored { score: 0.7, prices: None };
        let scores = Scores::new([priced(0.8, 10.0, 1.0), priced(0.4, 20.0, 2.0), unpriced]);
        for (threshold, cost) in [(0.9, 3.0), (0.5, 12.0), (0.4, 30.0)] {
            assert!((scores.cost(threshold) - cost).abs() < 1e-9, "{threshold}");
        }
        assert_eq!((scores.unpriced(), scores.near(0.75, 0.06)), (1, 2));
        assert_eq!(scores.near_in_log_odds(0.8, 0.25), 1);
    }

    proptest! {
        #[test]
        fn where_scores_differ_the_share_is_met_within_one(
            seeds in proptest::collection::btree_set(1_u32..999_999, 1..300),
            share in 0.0..=1.0_f64,
        ) {
            let values: Vec<f64> = seeds.iter().map(|seed| f64::from(*seed) / 1e6).collect();
            let scores = scores(&values);
            let cut = scores.cut(share);
            let wished = share * as_f64(values.len());
            prop_assert!((as_f64(cut.reasoning) - wished).abs() <= 0.5 + 1e-9);
            prop_assert!((0.0..=1.0).contains(&cut.threshold));
        }
    }
}
