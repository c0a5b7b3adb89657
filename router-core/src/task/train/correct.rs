//! Corrects the benefit with recorded answers of one's own traffic: `train --benefit`.
//!
//! A few hundred rows cannot teach a head from nothing, and heads fitted on public rows do not transfer. So the shipped
//! prior stays, and a ridge regression moves its weights and adds hashed words of the question as far as the rows
//! support it. Each row is judged by a head that did not see it, nor any row of equal text. A head that ranks those rows
//! no better than the prior is not handed out.
//!
//! Not done here: the optimum itself (`ridge.rs`), and files.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::task::Assessment;
use crate::task::LinearScorer;
use crate::task::Score;
use crate::task::benefit::Benefit;
use crate::task::benefit::FEATURES;
use crate::task::benefit::Head;
use crate::task::benefit::unlike;
use crate::task::conversation::last_user;
use crate::task::linear::divisor;
use crate::task::model::Model;
use crate::task::sample::Sample;

use super::examples::gain_example;
use super::gain::GainRow;
use super::gain::Ranking;
use super::gain::ranking;
use super::gain::within_families;
use super::learn::Dice;
use super::learn::narrow;
use super::measure::float;
use super::ridge::Point;
use super::ridge::Pull;
use super::ridge::fit;
use super::ridge::probability;
use super::ridge::surprise;
use super::rounding::byte;
use super::rounding::scale;

/// Bits of a bucket of the correction: 16 KiB.
const BITS: u32 = 14;
/// Fewest rows that correct anything.
const FEWEST: usize = 50;
/// Fewest rows' worth of a gain, and of none.
const FEWEST_EACH: f64 = 5.0;
/// Pulls that are tried, weakest first: what moves words, and what moves the prior's weights.
const PULLS: [[f64; 2]; 12] = [
    [0.15, 0.3],
    [0.15, 3.0],
    [0.5, 0.3],
    [0.5, 3.0],
    [1.5, 0.3],
    [1.5, 3.0],
    [5.0, 0.3],
    [5.0, 3.0],
    [20.0, 0.3],
    [20.0, 3.0],
    [1e5, 0.3],
    [1e5, 3.0],
];
/// The weight of [`unlike`] that stands for the gate of the prior.
const GATE: f64 = -1.0;
/// The least variance of a feature that sets its pull.
const LEAST_VARIANCE: f64 = 1e-3;
/// Force on the bias: none worth the name.
const FREE: f64 = 1e-3;
/// Draws behind the comparison with the prior.
const DRAWS: usize = 400;

/// The settings of a correction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CorrectionSettings {
    /// Start of everything that looks random.
    pub seed: u32,
    /// Parts of the rows, each held out once; at least 2.
    pub folds: usize,
}

/// A model whose benefit is corrected.
#[derive(Debug, Clone)]
pub struct Corrected {
    /// The bytes of the model file.
    pub file: Vec<u8>,
    /// The scorer that the file holds.
    pub scorer: LinearScorer,
    /// The comparison with the prior on rows held out.
    pub report: CorrectionReport,
}

/// One way to rank the rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Compared {
    /// AUC and APGR.
    pub ranking: Ranking,
    /// AUC within families; `None` if no family has both kinds of rows.
    pub within: Option<f64>,
    /// Mean surprise of a row, in nats: lower is better.
    pub surprise: f64,
}

/// Compares the corrected head with the prior, on rows that the head was not trained on.
#[derive(Debug, Clone, PartialEq)]
pub struct CorrectionReport {
    /// Rows.
    pub rows: usize,
    /// Share of them with a gain.
    pub gain: f64,
    /// The shipped prior.
    pub prior: Compared,
    /// The corrected head, held out.
    pub corrected: Compared,
    /// The advantage of its AUC: nine in ten draws of the rows lie between these.
    pub better: [f64; 2],
}

/// The reason why no corrected model is handed out.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CorrectionError {
    /// Too few rows.
    #[error("{found} rows with recorded answers: at least {FEWEST} are needed")]
    Few {
        /// The number of rows.
        found: usize,
    },
    /// Rows of one kind only.
    #[error(
        "of {rows} rows, {gain:.1} have a gain (`reasoning_right` high, `chat_right` low): at least {FEWEST_EACH} with one and {FEWEST_EACH} without are needed"
    )]
    OneKind {
        /// The number of rows.
        rows: usize,
        /// The number of those with a gain, fractions added.
        gain: f64,
    },
    /// Too few folds.
    #[error("{0} folds: at least 2 are needed to hold rows out")]
    Folds(usize),
    /// The held-out rows do not show a better ranking.
    #[error(
        "the corrected benefit ranks rows held out no better than the prior (AUC {:+.3} to {:+.3}): nothing is written; more or more varied rows may help",
        .0.better[0], .0.better[1]
    )]
    NoBetter(Box<CorrectionReport>),
}

/// Corrects the benefit of `base` with rows; its score stays as it is.
///
/// # Errors
/// Too few rows or folds, rows of one kind, or a head that is no better than the prior.
pub fn correct(
    base: &LinearScorer,
    rows: &[GainRow],
    settings: CorrectionSettings,
) -> Result<Corrected, CorrectionError> {
    if settings.folds < 2 {
        return Err(CorrectionError::Folds(settings.folds));
    }
    if rows.len() < FEWEST {
        return Err(CorrectionError::Few { found: rows.len() });
    }
    let gain: f64 = rows.iter().map(GainRow::gain).sum();
    if gain < FEWEST_EACH || float(rows.len()) - gain < FEWEST_EACH {
        return Err(CorrectionError::OneKind { rows: rows.len(), gain });
    }
    let run = Run::new(base, rows, settings);
    let tried = PULLS.map(|pull| run.held_out(pull));
    let report = run.report(&tried);
    let [low, _] = report.better;
    if low <= 0.0 {
        return Err(CorrectionError::NoBetter(Box::new(report)));
    }
    let pull = run.best(&tried, |_| true);
    let weights = run.fitted(PULLS.get(pull).copied().unwrap_or_default(), |_| true);
    let model = with_correction(base.model(), &weights);
    Ok(Corrected { file: model.to_bytes(), scorer: LinearScorer::new(model), report })
}

/// Numbers of the features: the bias, those of the prior, that of the score, then the hashed words.
const WORDS_FROM: usize = 2 + FEATURES;

struct Run<'r> {
    rows: &'r [GainRow],
    points: Vec<Point>,
    /// The findings of the model that is corrected.
    before: Vec<Assessment>,
    /// The part of each row.
    folds: Vec<usize>,
    parts: usize,
    prior: Vec<f64>,
}

impl<'r> Run<'r> {
    fn new(base: &LinearScorer, rows: &'r [GainRow], settings: CorrectionSettings) -> Self {
        let head = Head::prior();
        let dense = std::iter::once(head.bias).chain(head.weights).map(f64::from).chain([GATE]);
        let mut prior: Vec<f64> = dense.collect();
        prior.resize(WORDS_FROM + (1 << BITS), 0.0);
        let mut sample = Sample::new();
        let mut run = Self {
            rows,
            points: Vec::new(),
            before: Vec::new(),
            folds: folds(rows, settings),
            parts: settings.folds,
            prior,
        };
        for row in rows {
            let (point, score) = read(base, row, &mut sample);
            let gain = Score::nearest(0.0);
            run.points.push(point);
            run.before.push(Assessment { score, gain, gain_of_all: true, other_language: false });
        }
        run
    }

    fn fitted(&self, [words, shape]: [f64; 2], which: impl Fn(usize) -> bool) -> Vec<f64> {
        let all = self.points.iter().enumerate();
        let points: Vec<&Point> = all.filter(|(at, _)| which(*at)).map(|(_, one)| one).collect();
        let spread = variances(&points);
        let force: Vec<f64> = (0..self.prior.len())
            .map(|at| match at {
                0 => FREE,
                at => spread.get(at).map_or(words, |variance| shape * variance),
            })
            .collect();
        fit(&points, Pull { prior: &self.prior, force: &force })
    }

    fn fold(&self, row: usize) -> usize {
        self.folds.get(row).copied().unwrap_or_default()
    }

    /// The log-odds of each row by a head that did not see its part.
    fn held_out(&self, pull: [f64; 2]) -> Vec<f64> {
        let mut found = vec![0.0; self.points.len()];
        for part in 0..self.parts {
            let weights = self.fitted(pull, |row| self.fold(row) != part);
            for (at, (found, point)) in found.iter_mut().zip(&self.points).enumerate() {
                if self.fold(at) == part {
                    *found = point.sum(&weights);
                }
            }
        }
        found
    }

    /// The pull whose held-out heads are least surprised by the chosen rows.
    fn best(&self, tried: &[Vec<f64>], which: impl Fn(usize) -> bool) -> usize {
        let surprise = |sums: &Vec<f64>| -> f64 {
            let all = sums.iter().zip(self.rows).enumerate().filter(|(at, _)| which(*at));
            all.map(|(_, (sum, row))| surprise(probability(*sum), row.gain())).sum()
        };
        let all = tried.iter().map(surprise).enumerate();
        all.min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(at, _)| at)
    }

    /// The benefit of each row, as it is served: by a fitted head, or by the prior.
    fn benefits(&self, log_odds: &[f64], fitted: bool) -> Vec<f64> {
        let one = |(sum, before): (&f64, &Assessment)| {
            let gain = Score::from_log_odds(narrow(*sum));
            let found = Assessment { gain, gain_of_all: fitted, ..*before };
            f64::from(Benefit::behind(before.score, Some(found)).probability)
        };
        log_odds.iter().zip(&self.before).map(one).collect()
    }

    fn report(&self, tried: &[Vec<f64>]) -> CorrectionReport {
        // The pull of each part is chosen on the other parts.
        let chosen: Vec<usize> =
            (0..self.parts).map(|part| self.best(tried, |row| self.fold(row) != part)).collect();
        let pick = |row: usize| {
            let pull = chosen.get(self.fold(row)).copied().unwrap_or_default();
            tried.get(pull).and_then(|sums| sums.get(row)).copied().unwrap_or_default()
        };
        let corrected: Vec<f64> = (0..self.rows.len()).map(pick).collect();
        let mut prior = self.prior.clone();
        if let Some(gate) = prior.get_mut(WORDS_FROM - 1) {
            *gate = 0.0;
        }
        let prior: Vec<f64> = self.points.iter().map(|point| point.sum(&prior)).collect();
        let corrected = self.benefits(&corrected, true);
        let prior = self.benefits(&prior, false);
        let count = float(self.rows.len());
        CorrectionReport {
            rows: self.rows.len(),
            gain: self.rows.iter().map(GainRow::gain).sum::<f64>() / count,
            better: self.better(&prior, &corrected),
            prior: self.compared(&prior),
            corrected: self.compared(&corrected),
        }
    }

    fn compared(&self, benefits: &[f64]) -> Compared {
        let all = benefits.iter().zip(self.rows);
        let whole: f64 = all.map(|(found, row)| surprise(*found, row.gain())).sum();
        Compared {
            ranking: ranking(self.rows, benefits),
            within: within_families(self.rows, benefits),
            surprise: whole / float(self.rows.len()),
        }
    }

    /// The difference of the AUCs, rows resampled many times.
    fn better(&self, prior: &[f64], corrected: &[f64]) -> [f64; 2] {
        let mut dice = Dice(1);
        let mut all: Vec<f64> = Vec::new();
        for _ in 0..DRAWS {
            let drawn: Vec<usize> =
                (0..self.rows.len()).map(|_| dice.below(self.rows.len())).collect();
            let rows: Vec<GainRow> =
                drawn.iter().filter_map(|&at| self.rows.get(at).cloned()).collect();
            let auc = |values: &[f64]| {
                let values: Vec<f64> =
                    drawn.iter().filter_map(|&at| values.get(at).copied()).collect();
                ranking(&rows, &values).auc
            };
            all.extend(auc(corrected).zip(auc(prior)).map(|(new, old)| new - old));
        }
        all.sort_by(f64::total_cmp);
        let last = all.len().saturating_sub(1);
        [last / 20, last - last / 20].map(|at| all.get(at).copied().unwrap_or_default())
    }
}

/// A row as a point, and the score of its last turn.
fn read(base: &LinearScorer, row: &GainRow, sample: &mut Sample) -> (Point, Score) {
    let mut point = Point { features: vec![(0, 1.0)], wanted: row.gain() };
    let request = row.request();
    let Some(turn) = request.as_ref().and_then(last_user) else {
        return (point, Score::nearest(0.0));
    };
    let (score, values, example) = gain_example(base, turn, sample, BITS);
    let dense =
        (1..).zip(values.into_iter().chain([unlike(score)])).filter(|(_, value)| *value != 0.0);
    point.features.extend(dense.map(|(at, value)| (at, f64::from(value))));
    for (namespace, group) in example.groups() {
        let count = u16::try_from(group.len()).unwrap_or(u16::MAX);
        let value = 1.0 / f64::from(divisor(namespace, count));
        let at = |bucket: &u32| WORDS_FROM + usize::try_from(*bucket).unwrap_or_default();
        point.features.extend(group.iter().map(|bucket| (at(bucket), value)));
    }
    (point, score)
}

/// The variance of each dense feature. A pull times this is a pull on the weight of the standardized feature: one that
/// varies little in these rows may gain much weight.
fn variances(points: &[&Point]) -> [f64; WORDS_FROM] {
    let count = float(points.len().max(1));
    let (mut sums, mut squares) = ([0.0; WORDS_FROM], [0.0; WORDS_FROM]);
    for &(at, value) in points.iter().flat_map(|point| &point.features) {
        if let (Some(sum), Some(square)) = (sums.get_mut(at), squares.get_mut(at)) {
            *sum += value;
            *square += value * value;
        }
    }
    for (square, sum) in squares.iter_mut().zip(sums) {
        *square = (*square / count - (sum / count) * (sum / count)).max(LEAST_VARIANCE);
    }
    squares
}

/// The part of each row: equal texts stay together, all else is dealt at random.
fn folds(rows: &[GainRow], settings: CorrectionSettings) -> Vec<usize> {
    let mut dice = Dice(u64::from(settings.seed));
    let mut dealt: HashMap<&str, usize> = HashMap::new();
    let parts = rows
        .iter()
        .map(|row| *dealt.entry(row.body()).or_insert_with(|| dice.below(settings.folds)));
    parts.collect()
}

/// The model with a corrected benefit.
fn with_correction(base: &Model, weights: &[f64]) -> Model {
    let mut dense = weights.iter().map(|weight| narrow(*weight));
    let bias = dense.next().unwrap_or_default();
    let mut head = Head { bias, weights: [0.0; FEATURES], unlike: 0.0 };
    for (place, weight) in head.weights.iter_mut().zip(dense.by_ref()) {
        *place = weight;
    }
    head.unlike = dense.next().unwrap_or_default();
    let words: Vec<f32> = dense.collect();
    let worth = scale(&words);
    let bytes = words.iter().map(|weight| byte(*weight, worth));
    let before = base.weights().iter().chain(base.locator()).copied();
    Model {
        benefit: head,
        correction_bits: BITS,
        correction_scale: worth,
        weights: Cow::Owned(before.chain(bytes).collect()),
        ..base.clone()
    }
}
