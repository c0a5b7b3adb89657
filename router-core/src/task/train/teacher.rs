//! Trains a model and says how good it is: folds held out in turn, calibration from them, then all rows.
//!
//! The figures are those of the model as it will be served: weights as bytes, calibrated, over sources that did not train it.
//!
//! Not done here: files and progress bars; the program brings both.

use crate::task::Score;
use crate::task::Scorer;
use crate::task::Task;

use super::baseline::plain_examples;
use super::compose::compose;
use super::examples::examples;
use super::folds::folds;
use super::locator::locator;
use super::measure::Quality;
use super::measure::Scored;
use super::measure::quality;
use super::rows::Row;
use super::run::BITS;
use super::run::Job;
use super::run::Run;
use super::settings::Settings;
use super::settings::Stage;
use super::settings::TrainError;
use super::settings::Trained;
use super::wrappers::Wrappers;

/// Composed rows for each row that can be a question.
const SHARE: f64 = 0.5;

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

/// The quality of the model and the plain one, both trained on all of `rows`, on rows of other sources: the order of scores
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::LinearScorer;

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
