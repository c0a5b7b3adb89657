//! Trains a model and says how good it is: folds held out in turn, calibration from them, then all rows.
//!
//! What is measured is the model as it will be served: weights as bytes, calibrated, over sources that did not train it.
//!
//! Not done here: files and progress bars; the program brings both.

use std::borrow::Cow;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use crate::task::LinearScorer;
use crate::task::Score;
use crate::task::Scorer;
use crate::task::Task;
use crate::task::model::Calibration;
use crate::task::model::Model;
use crate::task::shape::Script;

use super::baseline::BITS as PLAIN_BITS;
use super::baseline::plain_examples;
use super::calibrate::Held;
use super::calibrate::fit;
use super::compose::compose;
use super::examples::Example;
use super::examples::examples;
use super::folds::folds;
use super::learn::Weights;
use super::learn::balance;
use super::learn::learn;
use super::learn::learn_mean;
use super::locator::locator;
use super::measure::Quality;
use super::measure::Scored;
use super::measure::quality;
use super::rounding::byte;
use super::rounding::digest;
use super::rounding::rounded;
use super::rounding::scale;
use super::rows::Row;
use super::wrappers::Wrappers;

/// Bits of a bucket of the models trained here: 512 KiB.
const BITS: u32 = 19;
/// Composed rows for each row that can be a question.
const SHARE: f64 = 0.5;

/// What may differ from training to training.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Start of everything that looks random: the same seed and rows give the same file.
    pub seed: u32,
    /// Folds of held-out sources; at least 2.
    pub folds: usize,
    /// Threads that train folds side by side; at least 1. The outcome does not depend on it.
    pub threads: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { seed: 1, folds: 8, threads: 2 }
    }
}

/// What is being done, for a progress bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// So many models are to be trained.
    Planned(usize),
    /// One more model is trained.
    Trained,
}

/// Why no model can be trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TrainError {
    /// A class has no rows.
    #[error("no rows labelled `{0}`: a model needs both labels")]
    OneClass(Task),
    /// Too few folds.
    #[error("{0} folds: at least 2 are needed to hold sources out")]
    Folds(usize),
}

/// A trained model and what is known about it.
#[derive(Debug, Clone)]
pub struct Trained {
    /// The bytes of the model file.
    pub file: Vec<u8>,
    /// The scorer that the file holds.
    pub scorer: LinearScorer,
    /// How good it is on sources held out.
    pub report: Report,
}

impl Trained {
    /// Fits the last step of calibration, one line for all languages, on rows that did not train the model.
    ///
    /// Held-out sources are stranger to a model than traffic is, so it comes out less sure than it may be. The order of
    /// scores does not change; figures of calibration on the same rows say nothing afterwards.
    pub fn calibrate(&mut self, rows: &[Row]) {
        let held = |row: &Row| {
            let score = self.scorer.score(&row.request().ok()?);
            Some(Held { sum: score.log_odds(), task: row.task, count: 1.0 })
        };
        let line = fit(&rows.iter().filter_map(held).collect::<Vec<Held>>());
        let mut model = self.scorer.model().clone();
        model.calibrations = model.calibrations.map(|first| Calibration {
            slope: first.slope * line.slope,
            offset: first.offset.mul_add(line.slope, line.offset),
        });
        self.file = model.to_bytes();
        self.scorer = LinearScorer::new(model);
    }
}

/// Figures over held-out sources.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The model, as it is served.
    pub held_out: Quality,
    /// The model on composed rows whose question comes from a source held out.
    pub wrapped: Quality,
    /// The same with weights not rounded to bytes.
    pub unrounded: Quality,
    /// The plain hashed linear model on the same rows.
    pub plain: Quality,
}

/// Trains a model on rows; calls `told` at each stage.
///
/// # Errors
/// Rows of one label only, or fewer than two folds.
pub fn train(
    rows: &[Row],
    wrappers: &Wrappers,
    settings: &Settings,
    told: &(dyn Fn(Stage) + Sync),
) -> Result<Trained, TrainError> {
    if let Some(task) = Task::ALL.into_iter().find(|task| !rows.iter().any(|row| row.task == *task))
    {
        return Err(TrainError::OneClass(task));
    }
    if settings.folds < 2 {
        return Err(TrainError::Folds(settings.folds));
    }
    told(Stage::Planned(2 * settings.folds + 2));
    let composed = compose(rows, wrappers, SHARE, u64::from(settings.seed).wrapping_add(6));
    let locator = locator(rows, &composed, settings.seed);
    told(Stage::Trained);
    let plain = plain_examples(rows);
    let labelled = rows.len();
    let all: Vec<Row> = rows.iter().cloned().chain(composed).collect();
    let rows = all.as_slice();
    let ours = examples(rows, &locator, settings.seed, BITS);
    let run = Run {
        rows,
        labelled,
        locator: Some(&locator),
        folds: folds(rows, settings.folds),
        settings,
    };
    let jobs: Vec<Job> = (0..settings.folds)
        .flat_map(|fold| [Job::Ours(Some(fold)), Job::Plain(fold)])
        .chain([Job::Ours(None)])
        .collect();
    let outcomes = run.all(&jobs, &ours, &plain, told);
    Ok(run.finish(&ours, outcomes))
}

/// How good the model and the plain one, both trained on all of `rows`, are on rows of other sources: the order of scores
/// is what compares; neither is calibrated on them for it.
pub fn on_other_sources(
    trained: &Trained,
    rows: &[Row],
    others: &[Row],
    settings: &Settings,
) -> (Quality, Quality) {
    let scored = |score: Score, row: &Row| Scored {
        score: score.value(),
        task: row.task,
        language: row.language,
        hard: row.hard,
        source: row.family().to_owned(),
    };
    let ours = others
        .iter()
        .filter_map(|row| Some(scored(trained.scorer.score(&row.request().ok()?), row)));
    let run =
        Run { rows, labelled: rows.len(), locator: None, folds: vec![0; rows.len()], settings };
    let weights = run.learned_plainly(&plain_examples(rows), None);
    let plain = plain_examples(others);
    let plain = plain.iter().zip(others);
    let plain = plain.map(|(one, row)| scored(Score::from_log_odds(weights.sum(one)), row));
    (quality(&ours.collect::<Vec<_>>(), 0.5), quality(&plain.collect::<Vec<_>>(), 0.5))
}

/// One model to train: ours with a fold held out or with none, or the plain one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Job {
    Ours(Option<usize>),
    Plain(usize),
}

/// What came of the jobs; sums by the number of the row.
#[derive(Debug, Default)]
struct Outcomes {
    ours: Vec<(usize, f32)>,
    rounded: Vec<(usize, f32)>,
    plain: Vec<(usize, f32)>,
    last: Option<Weights>,
}

struct Run<'r> {
    /// The labelled rows, then the composed ones.
    rows: &'r [Row],
    labelled: usize,
    locator: Option<&'r Model>,
    folds: Vec<usize>,
    settings: &'r Settings,
}

impl Run<'_> {
    /// Trains all models, several at a time.
    fn all(
        &self,
        jobs: &[Job],
        ours: &[Example],
        plain: &[Example],
        told: &(dyn Fn(Stage) + Sync),
    ) -> Outcomes {
        let (next, outcomes) = (AtomicUsize::new(0), Mutex::new(Outcomes::default()));
        let work = || {
            while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                let done = match job {
                    Job::Ours(held) => self.ours(ours, *held),
                    Job::Plain(fold) => self.plain(plain, *fold),
                };
                let mut all = outcomes.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                all.ours.extend(done.ours);
                all.rounded.extend(done.rounded);
                all.plain.extend(done.plain);
                all.last = done.last.or(all.last.take());
                told(Stage::Trained);
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..self.settings.threads.max(1) {
                scope.spawn(work);
            }
        });
        let mut all = outcomes.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        // Threads finish in any order; what follows must not depend on it.
        for sums in [&mut all.ours, &mut all.rounded, &mut all.plain] {
            sums.sort_by_key(|(row, _)| *row);
        }
        all
    }

    fn ours(&self, examples: &[Example], held: Option<usize>) -> Outcomes {
        let weights = self.learned(examples, held);
        let Some(fold) = held else {
            return Outcomes { last: Some(weights), ..Outcomes::default() };
        };
        let rounded = Weights { table: rounded(&weights.table), bias: weights.bias };
        Outcomes {
            ours: self.sums(examples, &weights, fold),
            rounded: self.sums(examples, &rounded, fold),
            ..Outcomes::default()
        }
    }

    fn plain(&self, examples: &[Example], fold: usize) -> Outcomes {
        let weights = self.learned_plainly(examples, Some(fold));
        Outcomes { plain: self.sums(examples, &weights, fold), ..Outcomes::default() }
    }

    fn learned(&self, examples: &[Example], held: Option<usize>) -> Weights {
        let rows = self.kept(self.rows, held);
        let seed = u64::from(self.settings.seed);
        let (examples, counts) = (self.kept(examples, held), balance(&rows));
        // The mean of several orders is worth less than a thousandth of AUC: what only measures goes without.
        match held {
            Some(_) => learn(&examples, &counts, BITS, seed),
            None => learn_mean(&examples, &counts, BITS, seed),
        }
    }

    /// What anyone would try first: every row counts the same, and one order of learning.
    fn learned_plainly(&self, examples: &[Example], held: Option<usize>) -> Weights {
        let kept = self.kept(examples, held);
        learn(&kept, &vec![1.0; kept.len()], PLAIN_BITS, u64::from(self.settings.seed))
    }

    /// What is not held out.
    fn kept<'a, T>(&self, all: &'a [T], held: Option<usize>) -> Vec<&'a T> {
        let folds = all.iter().zip(&self.folds);
        folds.filter(|(_, fold)| Some(**fold) != held).map(|(one, _)| one).collect()
    }

    fn sums(&self, examples: &[Example], weights: &Weights, fold: usize) -> Vec<(usize, f32)> {
        let all = examples.iter().zip(&self.folds).enumerate();
        all.filter(|(_, (_, of))| **of == fold)
            .map(|(row, (example, _))| (row, weights.sum(example)))
            .collect()
    }

    /// Calibrates, rounds and measures.
    fn finish(&self, ours: &[Example], outcomes: Outcomes) -> Trained {
        let calibrations = self.calibrations(ours, &outcomes.rounded);
        let weights = outcomes.last.unwrap_or(Weights { bias: 0.0, table: Vec::new() });
        let scale = scale(&weights.table);
        let (bias, biases, pairs, bits) =
            self.locator.map_or((1.0, [0.0; 2], &[][..], 0), |model| {
                (model.locator_scale, model.locator_bias, model.locator(), model.locator_bits)
            });
        let scores = weights.table.iter().map(|weight| byte(*weight, scale));
        let model = Model {
            bits: BITS,
            seed: self.settings.seed,
            bias: weights.bias,
            scale,
            calibrations,
            digest: digest(self.rows),
            rows: u32::try_from(self.labelled).unwrap_or(u32::MAX),
            locator_bits: bits,
            locator_bias: biases,
            locator_scale: bias,
            weights: Cow::Owned(scores.chain(pairs.iter().copied()).collect()),
            ..Model::empty()
        };
        let part = |sums: &[(usize, f32)], composed: bool| -> Vec<(usize, f32)> {
            sums.iter().copied().filter(|(row, _)| (*row >= self.labelled) == composed).collect()
        };
        let scored = |sums: &[(usize, f32)], lines: [Calibration; 2]| {
            quality(&self.scored(ours, &part(sums, false), lines), 0.5)
        };
        let wrapped =
            quality(&self.scored(ours, &part(&outcomes.rounded, true), calibrations), 0.5);
        let plain_lines = [self.line(&outcomes.plain, |_| true); 2];
        Trained {
            file: model.to_bytes(),
            scorer: LinearScorer::new(model),
            report: Report {
                held_out: scored(&outcomes.rounded, calibrations),
                wrapped,
                unrounded: scored(&outcomes.ours, calibrations),
                plain: scored(&outcomes.plain, plain_lines),
            },
        }
    }

    fn calibrations(&self, ours: &[Example], sums: &[(usize, f32)]) -> [Calibration; 2] {
        let latin = |row: usize| ours.get(row).is_some_and(|one| one.script == Script::Latin);
        [self.line(sums, latin), self.line(sums, |row| !latin(row))]
    }

    /// The calibration of some held-out rows, balanced as in learning.
    fn line(&self, sums: &[(usize, f32)], which: impl Fn(usize) -> bool) -> Calibration {
        let chosen: Vec<(usize, f32)> =
            sums.iter().copied().filter(|(row, _)| which(*row)).collect();
        let rows: Vec<&Row> = chosen.iter().filter_map(|(row, _)| self.rows.get(*row)).collect();
        let counts = balance(&rows);
        let held = chosen.iter().zip(&rows).zip(counts);
        let held = held.map(|(((_, sum), row), count)| Held { sum: *sum, task: row.task, count });
        let mut held: Vec<Held> = held.collect();
        even(&mut held);
        fit(&held)
    }

    fn scored(
        &self,
        ours: &[Example],
        sums: &[(usize, f32)],
        [without, with]: [Calibration; 2],
    ) -> Vec<Scored> {
        let one = |&(at, sum): &(usize, f32)| {
            let (row, example) = (self.rows.get(at)?, ours.get(at)?);
            let line = if example.script == Script::Latin { without } else { with };
            Some(Scored {
                score: Score::from_log_odds(sum.mul_add(line.slope, line.offset)).value(),
                task: row.task,
                language: row.language,
                hard: row.hard,
                source: row.family().to_owned(),
            })
        };
        sums.iter().filter_map(one).collect()
    }
}

/// Gives both labels the same weight in all.
fn even(held: &mut [Held]) {
    for task in Task::ALL {
        let of = |one: &&mut Held| one.task == task;
        let all: f32 = held.iter().filter(|one| one.task == task).map(|one| one.count).sum();
        held.iter_mut().filter(of).for_each(|one| one.count /= all.max(f32::MIN_POSITIVE));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrappers() -> Wrappers {
        Wrappers::shipped().unwrap()
    }

    fn rows() -> Vec<Row> {
        let mut text = String::new();
        for number in 0..40 {
            let source = number % 4;
            for (ask, label) in [
                (format!("prove that {number} plus x is even"), "reasoning"),
                (format!("짝수 {number} 임을 증명해 줘"), "reasoning"),
                (format!("say hello to friend {number}"), "chat"),
                (format!("친구 {number} 에게 인사해 줘"), "chat"),
            ] {
                let row = serde_json::json!({"text": ask, "label": label, "source": format!("s{source}")});
                text.push_str(&row.to_string());
                text.push('\n');
            }
        }
        Row::read_all(&text).unwrap()
    }

    #[test]
    fn a_small_model_learns_and_is_the_same_each_time() {
        let settings = Settings { seed: 5, folds: 2, threads: 2 };
        let rows = rows();
        let first = train(&rows, &wrappers(), &settings, &|_| {}).unwrap();
        let again =
            train(&rows, &wrappers(), &Settings { threads: 1, ..settings }, &|_| {}).unwrap();
        assert_eq!(
            first.file, again.file,
            "the same seed gives the same file on any number of threads"
        );
        let other = train(&rows, &wrappers(), &Settings { seed: 6, ..settings }, &|_| {}).unwrap();
        assert_ne!(first.file, other.file);
        assert_eq!(first.report.held_out.overall.auc, Some(1.0));
        let loaded = LinearScorer::from_bytes(&first.file).unwrap();
        let request = rows[0].request().unwrap();
        assert_eq!(loaded.score(&request), first.scorer.score(&request));
        assert!(loaded.score(&request).value() > 0.5);
    }

    #[test]
    fn one_label_or_one_fold_is_refused() {
        let chat: Vec<Row> = rows().into_iter().filter(|row| row.task == Task::Chat).collect();
        let fault = train(&chat, &wrappers(), &Settings::default(), &|_| {}).unwrap_err();
        assert_eq!(fault, TrainError::OneClass(Task::Reasoning));
        let one = Settings { folds: 1, ..Settings::default() };
        assert_eq!(train(&rows(), &wrappers(), &one, &|_| {}).unwrap_err(), TrainError::Folds(1));
    }
}
