//! One training: all models that it takes, several at a time, and what comes of them.
//!
//! Not done here: what is trained on (`teacher.rs`), and learning itself (`learn.rs`).

use std::borrow::Cow;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use crate::task::LinearScorer;
use crate::task::Score;
use crate::task::Task;
use crate::task::model::Calibration;
use crate::task::model::Model;
use crate::task::shape::Script;

use super::baseline::BITS as PLAIN_BITS;
use super::calibrate::Held;
use super::calibrate::fit;
use super::examples::Example;
use super::learn::Weights;
use super::learn::balance;
use super::learn::learn;
use super::learn::learn_mean;
use super::measure::Scored;
use super::measure::quality;
use super::rounding::byte;
use super::rounding::digest;
use super::rounding::rounded;
use super::rounding::scale;
use super::rows::Row;
use super::settings::Report;
use super::settings::Settings;
use super::settings::Stage;
use super::settings::Trained;

/// Bits of a bucket of the models trained here: 512 KiB.
pub(super) const BITS: u32 = 19;

/// One model to train: ours with a fold held out or with none, or the plain one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Job {
    /// Ours, with a fold held out or with none.
    Ours(Option<usize>),
    /// The plain one, with a fold held out.
    Plain(usize),
}

/// The results of the jobs; sums by the number of the row.
#[derive(Debug, Default)]
pub(super) struct Outcomes {
    ours: Vec<(usize, f32)>,
    rounded: Vec<(usize, f32)>,
    plain: Vec<(usize, f32)>,
    last: Option<Weights>,
}

/// Rows and folds, shared by all models of a training.
pub(super) struct Run<'r> {
    /// The labelled rows, then the composed ones.
    pub(super) rows: &'r [Row],
    /// The number of labelled rows.
    pub(super) labelled: usize,
    /// Finds the question; `None` if only the plain model is trained.
    pub(super) locator: Option<&'r Model>,
    /// The fold of each row.
    pub(super) folds: Vec<usize>,
    /// Seed and threads.
    pub(super) settings: &'r Settings,
}

impl Run<'_> {
    /// Trains all models, several at a time.
    pub(super) fn all(
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

    /// The plain model: every row counts the same, and one order of learning.
    pub(super) fn learned_plainly(&self, examples: &[Example], held: Option<usize>) -> Weights {
        let kept = self.kept(examples, held);
        learn(&kept, &vec![1.0; kept.len()], PLAIN_BITS, u64::from(self.settings.seed))
    }

    /// Everything that is not held out.
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
    pub(super) fn finish(&self, ours: &[Example], outcomes: Outcomes) -> Trained {
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
