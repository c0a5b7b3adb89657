//! The benefit of reasoning: the probability that a reasoning model answers a question correctly and a chat model does
//! not.
//!
//! The score tells what kind of task a question is; this tells how much has to be worked out. It is a prior with few
//! features of fixed sign, the same in English and Korean, because heads fitted on public results do not transfer to
//! other sources (they end below counting digits). Labels of one's own traffic correct it (`train/correct.rs`): the
//! corrected head adds hashed words of the question. A request that is no reasoning task has no benefit: below
//! [`FULL`], a lower score lowers the benefit. From there on the score has no influence, because certainty about the
//! type of a task does not measure its difficulty.
//!
//! Does not count (`extent.rs`), nor decide what a benefit is worth (`policy`).

use super::concepts::Concept;
use super::extent::Extent;
use super::extent::as_float;
use super::kind::Assessment;
use super::kind::Score;
use super::locate::Located;

/// The probability that a reasoning model answers correctly where a chat model does not.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Benefit {
    /// 0 to 1. Of a request that is hardly a reasoning task it is near 0.
    pub probability: f32,
}

impl Benefit {
    /// The benefit of a request of that score with that last turn; none without one.
    pub(super) fn behind(score: Score, last: Option<Assessment>) -> Self {
        let of = |last: Assessment| {
            // A fitted gain has the score of the turn in it. What the rest of the request says against reasoning still counts.
            let own = if last.gain_of_all { gate(last.score) } else { 1.0 };
            (gate(score) / own).min(1.0) * last.gain.value()
        };
        Self { probability: last.map_or(0.0, of) }
    }
}

/// The score from which on a request counts as a reasoning task in full. At 0.3, exam questions of the sciences that the
/// score takes for look-ups lost the benefit that their wording shows; lower still, look-ups full of numbers kept theirs.
const FULL: f32 = 0.1;

/// The share of the head's benefit that a request of that score has.
pub(super) fn gate(score: Score) -> f32 {
    (score.value() / FULL).min(1.0)
}

/// The distance of a request of that score from a reasoning task: 0 for one, up to 5.
pub(super) fn unlike(score: Score) -> f32 {
    -gate(score).max(0.0067).ln()
}

/// Number of features.
pub(super) const FEATURES: usize = 18;

/// A feature of the prior: what is counted, and from which count on more of it changes nothing.
#[derive(Debug, Clone, Copy)]
struct Feature {
    name: &'static str,
    enough: f32,
    prior: f32,
}

/// The features in the order of the model file. **Source:** signs as reported for exam-like sets; sizes set by hand between
/// those and a fit to a rough scale of gains of 29 kinds of questions (`router-core/model/CARD.md`).
const ALL: [Feature; FEATURES] = [
    Feature { name: "digits", enough: 200.0, prior: 0.6 },
    Feature { name: "numbers", enough: 60.0, prior: 0.3 },
    Feature { name: "numbers in the options", enough: 1.0, prior: 0.9 },
    Feature { name: "arithmetic operators", enough: 12.0, prior: 0.2 },
    Feature { name: "formula marks", enough: 12.0, prior: 1.1 },
    Feature { name: "single-letter variables", enough: 12.0, prior: 0.4 },
    Feature { name: "asks for a quantity", enough: 3.0, prior: 0.3 },
    Feature { name: "conditions", enough: 10.0, prior: 0.6 },
    Feature { name: "terms of mathematics", enough: 6.0, prior: 0.7 },
    Feature { name: "asks for a fact", enough: 2.0, prior: -0.9 },
    Feature { name: "length", enough: 3_000.0, prior: 0.7 },
    Feature { name: "proof, optimum or number of ways", enough: 2.0, prior: 0.8 },
    Feature { name: "words of deduction", enough: 6.0, prior: 1.0 },
    Feature { name: "words of everyday sums", enough: 6.0, prior: -1.0 },
    Feature { name: "picks a statement", enough: 2.0, prior: -0.5 },
    Feature { name: "words of code", enough: 12.0, prior: -0.3 },
    Feature { name: "quantities of science and accounts", enough: 4.0, prior: 0.7 },
    Feature { name: "lines", enough: 20.0, prior: 0.4 },
];

/// So many words around the question count like one inside; digits count in full: the lines of a puzzle may stand there.
const AROUND: f32 = 3.0;
/// So many letters around it count like one inside.
const LETTERS_AROUND: f32 = 2.0;
/// The log-odds of a question in which nothing is seen.
const PRIOR_BIAS: f32 = -2.8;

/// The linear head: features -> log-odds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Head {
    /// The log-odds of a question in which nothing is seen.
    pub(super) bias: f32,
    /// A weight for each feature.
    pub(super) weights: [f32; FEATURES],
    /// The weight of [`unlike`]: 0 in the prior, behind which the gate stands. A fitted head has this weight in its place.
    pub(super) unlike: f32,
}

impl Head {
    /// The head that ships.
    pub(super) fn prior() -> Self {
        Self { bias: PRIOR_BIAS, weights: ALL.map(|feature| feature.prior), unlike: 0.0 }
    }

    /// Are all its numbers finite?
    pub(super) fn is_finite(&self) -> bool {
        self.bias.is_finite()
            && self.unlike.is_finite()
            && self.weights.iter().all(|weight| weight.is_finite())
    }

    /// The log-odds of a question.
    pub(super) fn log_odds(&self, values: &[f32; FEATURES]) -> f32 {
        let all = self.weights.iter().zip(values);
        self.bias + all.map(|(weight, value)| weight * value).sum::<f32>()
    }

    /// The change of the log-odds by each feature that was seen.
    pub(super) fn parts(
        &self,
        values: &[f32; FEATURES],
    ) -> impl Iterator<Item = (&'static str, f32)> {
        let weighed = ALL.iter().zip(self.weights.iter().zip(values));
        weighed.map(|(feature, (weight, value))| (feature.name, weight * value))
    }
}

/// The features of a located question and its options, each from 0 to 1.
pub(super) fn features(turn: &Located<'_>) -> [f32; FEATURES] {
    let extent = Extent::of(turn);
    let inside = |concept: Concept| as_float(extent.inside.of(concept));
    let all = |concept: Concept| inside(concept) + as_float(extent.around.of(concept)) / AROUND;
    let seen = [
        as_float(extent.digits),
        as_float(extent.numbers),
        as_float(extent.numeric_options) / as_float(extent.options.max(1)),
        as_float(extent.operators),
        as_float(extent.formulas),
        as_float(extent.variables),
        inside(Concept::Quantity),
        all(Concept::Condition),
        all(Concept::Term),
        inside(Concept::LookUp),
        as_float(extent.letters) + as_float(extent.letters_around) / LETTERS_AROUND,
        inside(Concept::Work),
        all(Concept::Deduction),
        all(Concept::Everyday),
        inside(Concept::Pick),
        all(Concept::Code),
        all(Concept::Science),
        as_float(extent.lines),
    ];
    let mut values = [0.0; FEATURES];
    for ((value, seen), feature) in values.iter_mut().zip(seen).zip(&ALL) {
        *value = (seen.ln_1p() / feature.enough.ln_1p()).min(1.0);
    }
    values
}
