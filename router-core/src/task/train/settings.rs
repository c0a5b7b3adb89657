//! The input and the output of a training: settings, stages, errors, the trained model and its report.
//!
//! Not done here: the training (`teacher.rs`).

use crate::task::LinearScorer;
use crate::task::Task;
use crate::task::conversation::last_user;
use crate::task::model::Calibration;

use super::calibrate::Held;
use super::calibrate::fit;
use super::measure::Quality;
use super::rows::Row;

/// The settings of a training.
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

/// The progress of a training, for a bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// So many models are to be trained.
    Planned(usize),
    /// One more model is trained.
    Trained,
}

/// The reason why no model can be trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TrainError {
    /// A class has no rows.
    #[error("no rows labelled `{0}`: a model needs both labels")]
    OneClass(Task),
    /// Too few folds.
    #[error("{0} folds: at least 2 are needed to hold sources out")]
    Folds(usize),
}

/// A trained model and its measured figures.
#[derive(Debug, Clone)]
pub struct Trained {
    /// The bytes of the model file.
    pub file: Vec<u8>,
    /// The scorer that the file holds.
    pub scorer: LinearScorer,
    /// Its quality on sources held out.
    pub report: Report,
}

impl Trained {
    /// Fits the last step of calibration, one line for all languages, on rows that did not train the model.
    ///
    /// Held-out sources are stranger to a model than traffic is, so it comes out less sure than it may be. The order of
    /// scores does not change; figures of calibration on the same rows say nothing afterwards.
    pub fn calibrate(&mut self, rows: &[Row]) {
        let held = |row: &Row| {
            let request = row.request().ok()?;
            let sum = self.scorer.before_lift(last_user(&request)?);
            Some(Held { sum, task: row.task, count: 1.0 })
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
