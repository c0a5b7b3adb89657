//! `router-server train --benefit`: corrects the benefit of a model with recorded answers of one's own traffic.
//!
//! `router-core` computes; this file has the files and the report. Nothing is written unless the corrected benefit ranks
//! rows held out better than the prior.

use std::path::PathBuf;

use router_core::task::train::{
    Compared, Corrected, CorrectionError, CorrectionReport, CorrectionSettings, correct,
};

use crate::learning_args::Train;
use crate::model_file;
use crate::model_file::ModelFileError;
use crate::rows::ReadError;
use crate::rows::read_gains;

/// The reason why no corrected model was written.
#[derive(Debug, thiserror::Error)]
pub enum CorrectedError {
    /// A data file.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The rows do not correct the benefit.
    #[error("{}{why}", table_of(why))]
    Correction {
        /// The part that the rows lack.
        #[from]
        why: CorrectionError,
    },
    /// The model file of `--model`.
    #[error(transparent)]
    Model(#[from] ModelFileError),
    /// The corrected model file.
    #[error("{path}: cannot be written: {why}")]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's error.
        why: std::io::Error,
    },
}

/// Corrects, writes the file, and gives the report to print.
pub(crate) fn run(args: &Train) -> Result<String, CorrectedError> {
    let rows = read_gains(&args.data)?;
    let settings = CorrectionSettings { seed: args.seed, folds: args.folds };
    let Corrected { file, report, .. } =
        correct(&model_file::scorer(args.model.as_deref())?, &rows, settings)?;
    std::fs::write(&args.out, &file)
        .map_err(|why| CorrectedError::Write { path: args.out.clone(), why })?;
    Ok(format!("{}written: {} bytes; the score is unchanged\n", table(&report), file.len()))
}

/// The table of a refusal that has one.
fn table_of(refused: &CorrectionError) -> String {
    match refused {
        CorrectionError::NoBetter(report) => table(report),
        CorrectionError::Few { .. }
        | CorrectionError::OneKind { .. }
        | CorrectionError::Folds(_) => String::new(),
    }
}

fn table(report: &CorrectionReport) -> String {
    let [low, high] = report.better;
    format!(
        "{} rows, {:.1} % with a gain; each is judged by a head that did not see it\n{:12} {:>6} {:>6} {:>7} {:>9}\n{}{}AUC of the corrected benefit above the prior's: {low:+.3} to {high:+.3} (90 %)\n",
        report.rows,
        report.gain * 100.0,
        "benefit by",
        "AUC",
        "APGR",
        "within",
        "surprise",
        line("prior", &report.prior),
        line("corrected", &report.corrected),
    )
}

fn line(name: &str, found: &Compared) -> String {
    let figure =
        |figure: Option<f64>| figure.map_or_else(|| "-".to_owned(), |one| format!("{one:.3}"));
    let [auc, apgr] = [found.ranking.auc, found.ranking.apgr].map(figure);
    format!("{name:12} {auc:>6} {apgr:>6} {:>7} {:9.3}\n", figure(found.within), found.surprise)
}

#[cfg(test)]
mod tests {
    use router_core::task::LinearScorer;

    use super::*;

    fn args(folder: &tempfile::TempDir, rows: &str) -> Train {
        let data = folder.path().join("rows.jsonl");
        std::fs::write(&data, rows).unwrap();
        Train {
            data: vec![data],
            out: folder.path().join("out.model"),
            benefit: true,
            model: None,
            seed: 1,
            folds: 5,
            threads: 1,
            calibrate: vec![],
            without_license: vec![],
            without_source: vec![],
        }
    }

    /// Reasoning gains on questions about the moon, or by a coin.
    fn rows(by_topic: bool) -> String {
        let topics = ["moon", "river", "train", "garden", "bread", "clock"];
        let line = |number: usize| {
            let topic = topics[number % topics.len()];
            let coin = (number * number / 7 + number / 3).is_multiple_of(3);
            let gains = if by_topic { topic == "moon" || topic == "clock" } else { coin };
            let row = serde_json::json!({
                "text": format!("Prove statement {number} about the {topic} and compute its value."),
                "lang": "en", "chat_right": u8::from(!gains), "reasoning_right": 1, "source": "own",
            });
            format!("{row}\n")
        };
        (0..180).map(line).collect()
    }

    #[test]
    fn rows_that_hold_a_pattern_correct_the_benefit_and_leave_the_score() {
        let folder = tempfile::tempdir().unwrap();
        let args = args(&folder, &rows(true));
        let report = run(&args).unwrap();
        assert!(report.contains("180 rows") && report.contains("corrected     1.000"), "{report}");
        let bytes = std::fs::read(&args.out).unwrap();
        let corrected = LinearScorer::from_bytes(&bytes).unwrap();
        let shipped = LinearScorer::shipped().unwrap();
        assert_eq!(corrected.digest(), shipped.digest());
        run(&args).unwrap();
        assert_eq!(std::fs::read(&args.out).unwrap(), bytes, "the same rows give the same bytes");
        let again = Train { model: Some(args.out.clone()), ..self::args(&folder, &rows(true)) };
        run(&again).unwrap();
        assert_eq!(std::fs::read(&args.out).unwrap(), bytes, "a correction replaces the last one");
    }

    #[test]
    fn rows_without_a_pattern_write_nothing_and_show_why() {
        let folder = tempfile::tempdir().unwrap();
        let args = args(&folder, &rows(false));
        let refused = run(&args).unwrap_err().to_string();
        assert!(refused.contains("no better than the prior"), "{refused}");
        assert!(refused.contains("corrected   "), "the table is shown: {refused}");
        assert!(!args.out.exists());
    }

    #[test]
    fn faults_of_rows_are_named() {
        let folder = tempfile::tempdir().unwrap();
        for (rows, expected) in [
            ("", "the data files hold no rows"),
            ("{\"text\":\"a\",\"chat_right\":1}", "line 1: expected `reasoning_right`"),
            (
                "{\"text\":\"a\",\"chat_right\":1,\"reasoning_right\":1}",
                "1 rows with recorded answers",
            ),
        ] {
            let fault = run(&args(&folder, rows)).unwrap_err().to_string();
            assert!(fault.contains(expected), "{fault}");
        }
        let same = "{\"text\":\"a\",\"chat_right\":1,\"reasoning_right\":1}\n".repeat(60);
        let fault = run(&args(&folder, &same)).unwrap_err().to_string();
        assert!(fault.starts_with("of 60 rows, 0.0 have a gain"), "{fault}");
    }
}
