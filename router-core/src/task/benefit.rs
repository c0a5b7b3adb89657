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
//! Not done here: what a benefit is worth (`policy`).

use super::concepts::Concept;
use super::concepts::Concepts;
use super::kind::Score;
use super::locate::Located;
use super::relevance::Text;
use super::words::Word;

/// The probability that a reasoning model answers correctly where a chat model does not.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Benefit {
    /// 0 to 1. Of a request that is hardly a reasoning task it is near 0.
    pub probability: f32,
}

impl Benefit {
    /// The benefit of a request of that score whose question alone has the benefit `head`; none without a question.
    pub(super) fn behind(score: Score, head: Option<Score>) -> Self {
        Self { probability: gate(score) * head.map_or(0.0, Score::value) }
    }
}

/// The score from which on a request counts as a reasoning task in full.
const FULL: f32 = 0.3;

/// The share of the head's benefit that a request of that score has.
pub(super) fn gate(score: Score) -> f32 {
    (score.value() / FULL).min(1.0)
}

/// The distance of a request of that score from a reasoning task: 0 for one, up to 5.
pub(super) fn unlike(score: Score) -> f32 {
    -gate(score).max(0.0067).ln()
}

/// Number of features.
pub(super) const FEATURES: usize = 11;

/// A feature of the prior: what is counted, and from which count on more of it changes nothing.
#[derive(Debug, Clone, Copy)]
struct Feature {
    name: &'static str,
    enough: f32,
    prior: f32,
}

/// The features in the order of the model file. **Source:** signs as reported for exam-like sets; sizes set by hand and
/// checked on public results (`router-core/model/CARD.md`).
const ALL: [Feature; FEATURES] = [
    Feature { name: "digits", enough: 200.0, prior: 1.2 },
    Feature { name: "numbers", enough: 60.0, prior: 0.7 },
    Feature { name: "numbers in the options", enough: 1.0, prior: 0.8 },
    Feature { name: "arithmetic operators", enough: 12.0, prior: 0.6 },
    Feature { name: "formula marks", enough: 12.0, prior: 0.9 },
    Feature { name: "single-letter variables", enough: 12.0, prior: 0.6 },
    Feature { name: "asks for a quantity", enough: 3.0, prior: 0.6 },
    Feature { name: "conditions", enough: 10.0, prior: 0.4 },
    Feature { name: "terms of mathematics", enough: 6.0, prior: 0.7 },
    Feature { name: "asks for a fact", enough: 2.0, prior: -1.0 },
    Feature { name: "length", enough: 3_000.0, prior: 0.3 },
];

/// So many letters around the question count like one inside; digits count in full: the lines of a puzzle may stand there.
const AROUND: usize = 4;
/// The log-odds of a question in which nothing is seen.
const PRIOR_BIAS: f32 = -2.5;

/// The linear head: features -> log-odds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Head {
    /// The log-odds of a question in which nothing is seen.
    pub(super) bias: f32,
    /// A weight for each feature.
    pub(super) weights: [f32; FEATURES],
    /// The weight of [`unlike`]: 0 in the prior; 1 takes the gate back, where rows show that low scores gain as well.
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

/// The counts, in the order of [`ALL`].
#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    digits: usize,
    numbers: usize,
    operators: usize,
    formulas: usize,
    variables: usize,
    quantity: usize,
    conditions: usize,
    terms: usize,
    facts: usize,
    letters: usize,
    /// Digits and letters of what stands around the question.
    digits_around: usize,
    letters_around: usize,
    options: usize,
    numeric_options: usize,
}

/// The features of a located question and its options, each from 0 to 1.
pub(super) fn features(turn: &Located<'_>) -> [f32; FEATURES] {
    let mut counts = Counts::default();
    counts.take_all(turn);
    let share = as_float(counts.numeric_options) / as_float(counts.options.max(1));
    let seen = [
        as_float(counts.digits + counts.digits_around),
        as_float(counts.numbers),
        share,
        as_float(counts.operators),
        as_float(counts.formulas),
        as_float(counts.variables),
        as_float(counts.quantity),
        as_float(counts.conditions),
        as_float(counts.terms),
        as_float(counts.facts),
        as_float(counts.letters + counts.letters_around / AROUND),
    ];
    let mut values = [0.0; FEATURES];
    for ((value, seen), feature) in values.iter_mut().zip(seen).zip(&ALL) {
        *value = (seen.ln_1p() / feature.enough.ln_1p()).min(1.0);
    }
    values
}

#[expect(clippy::cast_precision_loss, reason = "a sample has some thousand letters")]
fn as_float(count: usize) -> f32 {
    count as f32
}

/// A word of the question, and what stands before it.
#[derive(Debug, Clone, Copy)]
struct Seen {
    word: Word,
    /// The hash of the word before it on its line.
    before: u32,
    /// Is it one of the first two words of a segment?
    start: bool,
}

/// The state of a line.
#[derive(Debug, Default, Clone, Copy)]
struct Line {
    /// The hash of the last word.
    before: u32,
    /// The number of words so far.
    words: usize,
    /// Is an option open, and has it a number?
    option: Option<bool>,
}

impl Line {
    /// Does the word at `at` open an option: `A)`, `b.`, `(c)`, `①`?
    #[inline]
    fn opens_option(&self, text: &Text<'_>, at: usize, word: Word) -> bool {
        // Nearly all words end here: a circled number counts as a letter of another script.
        let lettered = self.words <= 1 && word.len() == 1;
        (word.other > 0 || lettered) && self.opens_lettered_option(text, at, word)
    }

    fn opens_lettered_option(&self, text: &Text<'_>, at: usize, word: Word) -> bool {
        let letter = text.letters.get(word.start()).copied().unwrap_or_default();
        if matches!(letter, '①'..='⑩') {
            return true;
        }
        let next = text.words.get(at + 1).copied().unwrap_or_default();
        let closes = next.start() == word.end() && matches!(next.sign, b')' | b'.');
        // At the start of a line, or behind a bracket there.
        self.words <= 1 && word.len() == 1 && matches!(letter, 'a'..='h') && closes
    }
}

/// The segment at hand: its words, and whether it is part of the question.
#[derive(Debug, Default, Clone, Copy)]
struct Current {
    from: usize,
    to: usize,
    asked: bool,
}

impl Current {
    /// Behind the last segment.
    const NONE: Self = Self { from: usize::MAX, to: usize::MAX, asked: false };
}

impl Counts {
    /// Counts the words of the question and of its options, wherever those stand.
    fn take_all(&mut self, turn: &Located<'_>) {
        let Located { text, question } = turn;
        let concepts = Concepts::new();
        let mut segments = text.segments.iter().enumerate();
        let mut current = Current::default();
        let mut line = Line::default();
        for (at, &word) in text.words.iter().enumerate() {
            if word.ends_line() {
                self.close(&line);
                line = Line::default();
                continue;
            }
            while current.to <= at {
                current = segments.next().map_or(Current::NONE, |(number, segment)| Current {
                    from: segment.from,
                    to: segment.to,
                    asked: question.has(number),
                });
            }
            let inside = current.from <= at;
            let asked = inside && current.asked;
            if line.opens_option(text, at, word) {
                self.close(&line);
                line.option = Some(word.digits > 0);
                continue;
            }
            if asked || line.option.is_some() {
                let start = inside && at < current.from + 2;
                let seen = Seen { word, before: line.before, start };
                self.take(text.letters, seen, concepts);
                line.option = line.option.map(|numeric| numeric || word.digits > 0);
            }
            let next = text.words.get(at + 1).copied().unwrap_or_default();
            let length = next.start().saturating_sub(word.start());
            if asked {
                self.letters += length;
                // `$5` is a price, `$x$` a formula.
                self.formulas += usize::from(word.sign == b'$' && next.digits == 0);
            } else {
                self.letters_around += length;
                self.digits_around +=
                    if line.option.is_none() { usize::from(word.digits) } else { 0 };
            }
            line.before = word.hash;
            line.words += 1;
        }
        self.close(&line);
    }

    /// Counts the option of a line that has ended.
    fn close(&mut self, line: &Line) {
        if let Some(numeric) = line.option {
            self.options += 1;
            self.numeric_options += usize::from(numeric);
        }
    }

    fn take(&mut self, letters: &[char], seen: Seen, concepts: Concepts) {
        let Seen { word, before, start } = seen;
        if !word.is_word() {
            self.sign(letters, word);
            return;
        }
        self.digits += usize::from(word.digits);
        self.numbers += usize::from(word.digits > 0);
        self.variables += usize::from(variable(letters, word));
        match concepts.of(letters, before, word) {
            Some(Concept::Quantity) => self.quantity += 1,
            Some(Concept::Condition) => self.conditions += 1,
            Some(Concept::Term) => self.terms += 1,
            Some(Concept::LookUp) => self.facts += 1,
            Some(Concept::LookUpFirst) => self.facts += usize::from(start),
            None => {}
        }
    }

    fn sign(&mut self, letters: &[char], word: Word) {
        match word.sign {
            b'+' | b'*' | b'/' | b'=' | b'<' | b'>' | b'%' => self.operators += 1,
            b'^' | b'\\' => self.formulas += 1,
            1 => {
                let operators = matches!(
                    letters.get(word.start()),
                    Some(
                        '×' | '÷'
                            | '≤'
                            | '≥'
                            | '≠'
                            | '√'
                            | '∑'
                            | '∫'
                            | 'π'
                            | '±'
                            | '∠'
                            | '△'
                    )
                );
                self.operators += usize::from(operators);
            }
            _ => {}
        }
    }
}

/// Is a word a letter that stands for something, rather than an article or a pronoun?
fn variable(letters: &[char], word: Word) -> bool {
    let letter = letters.get(word.end() - 1);
    match word.len() - usize::from(word.digits).min(word.len()) {
        1 if word.digits == 0 => {
            letter.is_some_and(|letter| letter.is_ascii_lowercase() && !matches!(letter, 'a' | 'i'))
        }
        // `2x`, but not `2m`.
        1 => matches!(letter, Some('n' | 'x' | 'y' | 'z')),
        _ => false,
    }
}
