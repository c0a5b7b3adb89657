//! `router-server evaluate`: measures quality and speed of the task scorer on labelled rows.
//!
//! It measures what a request meets: the classifier with its default signals, with the shipped
//! model or a file.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use router_core::task::train::measure::Figures;
use router_core::task::train::{Quality, Row, Scored, quality};
use router_core::task::{Classifier, Score, Signals};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::learning_args::Evaluate;

use crate::gained;
use crate::model_file;
use crate::model_file::ModelFileError;
use crate::plots;
use crate::plots::PlotError;
use crate::report_page::PageKit;
use crate::rows::ReadError;
use crate::rows::read_all;
use crate::rows::read_gains;
use crate::wrapped;
use crate::wrapped::WrappedError;

/// The reason why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A data file.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The model file of `--model`.
    #[error(transparent)]
    Model(#[from] ModelFileError),
    /// A file of wrapped questions.
    #[error(transparent)]
    Wrapped(#[from] WrappedError),
    /// The file of `--rows-out`.
    #[error("{path}: cannot be written: {why}")]
    RowsOut {
        /// The file.
        path: PathBuf,
        /// The system's error.
        why: std::io::Error,
    },
    /// The threshold.
    #[error("--threshold: must be from 0 to 1, found {0}")]
    Threshold(f32),
    /// The plots.
    #[error(transparent)]
    Plot(#[from] PlotError),
}

/// Measures, draws where asked, and gives the report to print.
pub(crate) fn run(args: &Evaluate, kit: &PageKit) -> Result<String, Failure> {
    let threshold = Score::try_new(args.threshold).ok_or(Failure::Threshold(args.threshold))?;
    let signals = Signals { threshold, ..Signals::default() };
    let classifier = Classifier::new(Arc::new(model_file::scorer(args.model.as_deref())?), signals);
    if let Some(path) = &args.wrappers {
        return Ok(wrapped::report(path, &classifier)?);
    }
    if args.benefit {
        let rows = read_gains(&args.data)?;
        write_rows(args, || gained::as_rows(&rows, &classifier))?;
        return Ok(gained::table(&rows, &classifier));
    }
    let rows = read_all(&args.data)?;
    let (scored, times) = score(&classifier, &rows);
    write_rows(args, || as_rows(&classifier, &rows, &scored))?;
    let found = quality(&scored, threshold.value());
    if let Some(path) = &args.html {
        plots::write(path, kit, &scored, &as_table(&found, &times))?;
    }
    Ok(if args.json { as_json(&found, &times).to_string() } else { as_table(&found, &times) })
}

/// Writes the file of `--rows-out`, if it is asked for.
fn write_rows(args: &Evaluate, rows: impl FnOnce() -> String) -> Result<(), Failure> {
    let Some(path) = &args.rows_out else { return Ok(()) };
    std::fs::write(path, rows()).map_err(|why| Failure::RowsOut { path: path.clone(), why })
}

/// One JSON object for each row, in their order.
fn as_rows(classifier: &Classifier, rows: &[Row], scored: &[Scored]) -> String {
    let read = rows.iter().filter_map(|row| row.request().ok());
    let lines = read.zip(scored).map(|(request, row)| {
        let line = json!({
            "source": row.source,
            "label": row.task.as_str(),
            "lang": row.language.as_str(),
            "score": row.score,
            "benefit": classifier.classify(&request, None).benefit.probability,
            "question": classifier.question(&request),
        });
        format!("{line}\n")
    });
    lines.collect()
}

/// Scores all rows; the times are in order, shortest first.
fn score(classifier: &Classifier, rows: &[Row]) -> (Vec<Scored>, Vec<Duration>) {
    let mut times = Vec::with_capacity(rows.len());
    let mut scored = Vec::with_capacity(rows.len());
    for row in rows {
        let Ok(request) = row.request() else { continue };
        let start = Instant::now();
        let verdict = classifier.classify(&request, None);
        times.push(start.elapsed());
        scored.push(Scored {
            score: verdict.score.value(),
            task: row.task,
            language: row.language,
            hard: row.hard,
            source: row.family().to_owned(),
        });
    }
    times.sort_unstable();
    (scored, times)
}

/// The time that so many per cent of the scores stay under, in microseconds.
fn percentile(times: &[Duration], percent: usize) -> f64 {
    let at = (times.len() * percent / 100).min(times.len().saturating_sub(1));
    times.get(at).map_or(0.0, |time| time.as_secs_f64() * 1e6)
}

fn as_json(found: &Quality, times: &[Duration]) -> Value {
    let figures = |part: &Figures| json!({"n": part.n, "auc": part.auc, "accuracy": part.accuracy, "f1": part.f1, "ece": part.ece});
    let languages: Map<String, Value> =
        found.by_language.iter().map(|(name, part)| ((*name).to_owned(), figures(part))).collect();
    let sources: Map<String, Value> =
        found.by_source.iter().map(|(name, part)| (name.clone(), figures(part))).collect();
    let slices: Map<String, Value> =
        found.hard.iter().map(|part| ("hard".to_owned(), figures(part))).collect();
    json!({
        "overall": figures(&found.overall),
        "by_lang": languages,
        "by_slice": slices,
        "by_source": sources,
        "score_us": {"p50": percentile(times, 50), "p99": percentile(times, 99)},
    })
}

fn as_table(found: &Quality, times: &[Duration]) -> String {
    let mut text = format!(
        "{:32} {:>7} {:>8} {:>9} {:>8} {:>12}\n",
        "", "rows", "AUC", "accuracy", "F1", "calibration"
    );
    let figure =
        |figure: Option<f64>| figure.map_or_else(|| "-".to_owned(), |one| format!("{one:.4}"));
    let line = |name: &str, part: &Figures| {
        format!(
            "{name:32} {:7} {:>8} {:9.4} {:>8} {:12.4}\n",
            part.n,
            figure(part.auc),
            part.accuracy,
            figure(part.f1),
            part.ece
        )
    };
    text += &line("all", &found.overall);
    text.extend(found.by_language.iter().map(|(name, part)| line(name, part)));
    text.extend(found.hard.iter().map(|part| line("hard", part)));
    text.extend(found.by_source.iter().map(|(name, part)| line(name, part)));
    let (half, most) = (percentile(times, 50), percentile(times, 99));
    text + &format!("time of a score: p50 {half:.1} us, p99 {most:.1} us\n")
}

#[cfg(test)]
mod tests {
    use router_core::task::LinearScorer;

    use super::*;

    #[test]
    fn the_report_has_the_promised_shape() {
        let text = r#"{"text":"Prove that 2 is prime.","label":"reasoning","source":"a","hard":true}
{"text":"안녕, 잘 지냈어?","label":"chat","source":"b"}"#;
        let rows = Row::read_all(text).unwrap();
        let scorer = LinearScorer::shipped().unwrap();
        let classifier = Classifier::new(Arc::new(scorer), Signals::default());
        let (scored, times) = score(&classifier, &rows);
        let report = as_json(&quality(&scored, 0.5), &times);
        assert_eq!(report["overall"]["auc"], 1.0);
        assert_eq!(
            (&report["by_lang"]["ko"]["n"], &report["by_slice"]["hard"]["n"]),
            (&json!(1), &json!(1))
        );
        assert!(
            report["by_source"]["a"]["accuracy"].is_number()
                && report["score_us"]["p99"].is_number()
        );
    }

    #[test]
    fn a_row_is_written_with_its_question() {
        let text = r#"{"text":"Our team met on Monday. We looked at the sales of the north.\n\nProve that 2 is prime.","label":"reasoning","source":"a"}"#;
        let rows = Row::read_all(text).unwrap();
        let scorer = Arc::new(LinearScorer::shipped().unwrap());
        let classifier = Classifier::new(scorer, Signals::default());
        let (scored, _) = score(&classifier, &rows);
        let line: Value =
            serde_json::from_str(as_rows(&classifier, &rows, &scored).trim()).unwrap();
        assert_eq!(line["question"], "[..] Prove that 2 is prime.");
        assert_eq!(
            (line["source"].as_str(), line["label"].as_str()),
            (Some("a"), Some("reasoning"))
        );
        assert!(line["score"].as_f64().unwrap() > 0.5);
    }

    #[test]
    fn percentiles_of_few_and_of_none() {
        let times = [1, 2, 30].map(Duration::from_micros);
        assert!((percentile(&times, 50) - 2.0).abs() < 1e-9);
        assert!((percentile(&times, 99) - 30.0).abs() < 1e-9);
        assert!(percentile(&[], 50).abs() < 1e-9);
    }
}
