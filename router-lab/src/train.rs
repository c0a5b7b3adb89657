//! `router-server train`: creates a model file from labelled rows and measures it on held-out
//! sources.
//!
//! The shipped model is made by this command, and so is a model from a team's own traffic.
//! `router-core` computes; this file has the input files, the progress bar and the report.

use std::path::PathBuf;

use indicatif::{ProgressBar, ProgressStyle};
use router_core::task::Task;
use router_core::task::train::{
    Quality, Settings, Stage, TrainError, Trained, WrapperError, Wrappers, on_other_sources, train,
};

use crate::corrected;
use crate::corrected::CorrectedError;
use crate::learning_args::Train;
use crate::rows::ReadError;
use crate::rows::read_all;

/// The reason why no model was written.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A data file.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The rows cannot train a model.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// The benefit was not corrected.
    #[error(transparent)]
    Corrected(#[from] CorrectedError),
    /// The templates.
    #[error(transparent)]
    Wrappers(#[from] WrapperError),
    /// The model file.
    #[error("{path}: cannot be written: {why}")]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's error.
        why: std::io::Error,
    },
}

/// Trains, writes the file, and gives the report to print.
pub(crate) fn run(args: &Train) -> Result<String, Failure> {
    if args.benefit {
        return Ok(corrected::run(args)?);
    }
    let all = read_all(&args.data)?;
    let read = all.len();
    let rows = crate::rows::without(all, &args.without_license, &args.without_source);
    let settings = Settings { seed: args.seed, folds: args.folds, threads: args.threads };
    let bar = ProgressBar::new(0).with_style(style());
    let mut trained = train(&rows, &Wrappers::shipped()?, &settings, &|stage| match stage {
        Stage::Planned(models) => bar.set_length(u64::try_from(models).unwrap_or(u64::MAX)),
        Stage::Trained => bar.inc(1),
    })?;
    bar.finish_and_clear();
    let mut apart = String::new();
    if !args.calibrate.is_empty() {
        let others = read_all(&args.calibrate)?;
        let (ours, plain) = on_other_sources(&trained, &rows, &others, &settings);
        apart = format!(
            "on the rows of --calibrate, before calibrating on them:\n{}{}",
            line("this model", &ours),
            line("plain hashed n-grams", &plain),
        );
        trained.calibrate(&others);
    }
    std::fs::write(&args.out, &trained.file)
        .map_err(|why| Failure::Write { path: args.out.clone(), why })?;
    let reasoning = rows.iter().filter(|row| row.task == Task::Reasoning).count();
    let head = format!(
        "trained on {} of {read} rows ({reasoning} reasoning), {} bytes, data digest {}\n",
        rows.len(),
        trained.file.len(),
        trained.scorer.digest(),
    );
    Ok(head + &apart + &report(&trained))
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{bar:40} {pos}/{len} models, {elapsed} gone, {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn report(trained: &Trained) -> String {
    let report = &trained.report;
    let mut text = String::from("on sources held out in turn (threshold 0.5):\n");
    for (name, quality) in [
        ("this model", &report.held_out),
        ("  in templates", &report.wrapped),
        ("  weights not rounded", &report.unrounded),
        ("plain hashed n-grams", &report.plain),
    ] {
        text.push_str(&line(name, quality));
    }
    text.push_str("share right, by source held out:\n");
    let lines = report.held_out.by_source.iter().map(|(source, figures)| {
        format!("  {source:40} {:6} rows  {:.3}\n", figures.n, figures.accuracy)
    });
    text.extend(lines);
    text
}

fn line(name: &str, quality: &Quality) -> String {
    let auc =
        |figure: Option<f64>| figure.map_or_else(|| "-".to_owned(), |auc| format!("{auc:.4}"));
    let language = |code: &str| auc(quality.by_language.get(code).and_then(|part| part.auc));
    format!(
        "  {name:22} AUC {}  en {}  ko {}  hard {}  accuracy {:.4}  calibration error {:.4}\n",
        auc(quality.overall.auc),
        language("en"),
        language("ko"),
        auc(quality.hard.and_then(|part| part.auc)),
        quality.overall.accuracy,
        quality.overall.ece,
    )
}
