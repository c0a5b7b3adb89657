//! `router-server evaluate --wrappers`: how much the text around a question moves its verdict.
//!
//! Each row is a request body that wraps a question, and names the question and the family of its wrapper. The family
//! `bare` holds the questions alone; every other verdict is compared with theirs.
//!
//! Not done here: wrapping.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use router_core::chat::ChatRequest;
use router_core::task::train::measure::figures;
use router_core::task::train::{Language, Scored};
use router_core::task::{Classifier, Task};
use serde_json::Value;

/// The family of questions without a wrapper.
const BARE: &str = "bare";

/// The reason why wrapped questions cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum WrappedError {
    /// The file.
    #[error("{path}: cannot be read: {why}")]
    File {
        /// The file.
        path: PathBuf,
        /// The system's error.
        why: std::io::Error,
    },
    /// A line of it.
    #[error("{path}, line {line}: expected `{field}`")]
    Field {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The missing or wrong field.
        field: &'static str,
    },
}

/// A wrapped question and its verdict.
#[derive(Debug, Clone)]
struct Wrapped {
    ask: String,
    family: String,
    ask_task: Task,
    found: Task,
    log_odds: f32,
    scored: Scored,
}

/// Scores the rows of a file and gives the table to print.
pub(crate) fn report(path: &Path, classifier: &Classifier) -> Result<String, WrappedError> {
    let text = std::fs::read_to_string(path)
        .map_err(|why| WrappedError::File { path: path.to_owned(), why })?;
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    let rows: Result<Vec<Wrapped>, WrappedError> = lines
        .map(|(line, text)| {
            let path = path.to_owned();
            wrapped(text, classifier).map_err(|field| WrappedError::Field { path, line, field })
        })
        .collect();
    Ok(table(&rows?, classifier.threshold().value()))
}

fn wrapped(line: &str, classifier: &Classifier) -> Result<Wrapped, &'static str> {
    let value: Value = serde_json::from_str(line).map_err(|_| "a JSON object")?;
    let text = |name: &'static str| value.get(name).and_then(Value::as_str).ok_or(name);
    let task = |name: &'static str| Task::from_word(text(name)?).ok_or(name);
    let body = value.get("body").ok_or("body")?.to_string();
    let request = ChatRequest::parse(body.as_bytes()).map_err(|_| "body")?;
    let verdict = classifier.classify(&request, None);
    let language = if text("lang")? == "ko" { Language::Korean } else { Language::English };
    Ok(Wrapped {
        ask: text("ask_id")?.to_owned(),
        family: text("family")?.to_owned(),
        ask_task: task("ask_label")?,
        found: verdict.task,
        log_odds: verdict.score.log_odds(),
        scored: Scored {
            score: verdict.score.value(),
            task: task("label")?,
            language,
            hard: false,
            source: String::new(),
        },
    })
}

fn table(rows: &[Wrapped], threshold: f32) -> String {
    let bare: HashMap<&str, &Wrapped> =
        rows.iter().filter(|row| row.family == BARE).map(|row| (row.ask.as_str(), row)).collect();
    let mut families: BTreeMap<&str, Vec<&Wrapped>> = BTreeMap::new();
    for row in rows {
        families.entry(&row.family).or_default().push(row);
    }
    let mut text = format!(
        "{:28} {:>6} {:>7} {:>9} {:>10} {:>7} {:>7}\n",
        "family", "rows", "AUC", "accuracy", "reasoning", "flips", "shift"
    );
    let kept = |row: &&&Wrapped| row.family != BARE && row.scored.task == row.ask_task;
    let all: Vec<&Wrapped> = rows.iter().collect();
    let wrapped: Vec<&Wrapped> = all.iter().filter(kept).copied().collect();
    for (family, rows) in families {
        text += &line(family, &rows, &bare, threshold);
    }
    text + &line("all that keep their label", &wrapped, &bare, threshold)
}

/// `flips`: verdicts that differ from the bare question's; `shift`: mean change of its log-odds; `reasoning`: share judged
/// so among rows that are chat.
fn line(name: &str, rows: &[&Wrapped], bare: &HashMap<&str, &Wrapped>, threshold: f32) -> String {
    let scored: Vec<&Scored> = rows.iter().map(|row| &row.scored).collect();
    let found = figures(&scored, threshold);
    let pairs: Vec<(&Wrapped, &Wrapped)> =
        rows.iter().filter_map(|row| Some((*row, *bare.get(row.ask.as_str())?))).collect();
    let kept: Vec<bool> = pairs
        .iter()
        .filter(|(row, _)| row.scored.task == row.ask_task)
        .map(|(row, bare)| row.found != bare.found)
        .collect();
    let chat: Vec<bool> = rows
        .iter()
        .filter(|row| row.scored.task == Task::Chat)
        .map(|row| row.found == Task::Reasoning)
        .collect();
    let shift: f32 = pairs.iter().map(|(row, bare)| row.log_odds - bare.log_odds).sum();
    let count = u16::try_from(pairs.len().max(1)).unwrap_or(u16::MAX);
    let auc = found.auc.map_or_else(|| "-".to_owned(), |auc| format!("{auc:.3}"));
    format!(
        "{name:28} {:6} {auc:>7} {:9.3} {:>10} {:>7} {:+7.2}\n",
        found.n,
        found.accuracy,
        share(&chat),
        share(&kept),
        shift / f32::from(count),
    )
}

fn share(cases: &[bool]) -> String {
    let count = u16::try_from(cases.len()).unwrap_or(u16::MAX);
    if count == 0 {
        return "-".to_owned();
    }
    let hits = cases.iter().filter(|case| **case).count();
    format!("{:.3}", f32::from(u16::try_from(hits).unwrap_or(u16::MAX)) / f32::from(count))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use router_core::task::{LinearScorer, Signals};

    use super::*;

    fn row(family: &str, label: &str, content: &str) -> String {
        serde_json::json!({
            "ask_id": "a", "family": family, "lang": "en", "label": label, "ask_label": "reasoning",
            "body": {"messages": [{"role": "user", "content": content}]},
        })
        .to_string()
    }

    #[test]
    fn flips_and_shifts_are_counted_against_the_bare_question() {
        let scorer = Arc::new(LinearScorer::shipped().unwrap());
        let classifier = Classifier::new(scorer, Signals::default());
        let read = |line: String| wrapped(&line, &classifier).unwrap();
        let rows = [
            read(row("bare", "reasoning", "Prove that 7 is prime.")),
            read(row("markdown", "reasoning", "Prove that 7 is prime.\n\nUse markdown.")),
            read(row("other", "reasoning", "Thanks, bye!")),
            read(row("title", "chat", "Thanks, bye!")),
        ];
        let table = table(&rows, 0.5);
        let of = |name: &str| table.lines().find(|line| line.starts_with(name)).unwrap();
        assert!(
            of("markdown").contains("0.000   -0.") || of("markdown").contains("0.000   +0."),
            "{table}"
        );
        assert!(of("other").contains("1.000  -"), "{table}");
        assert!(of("title").contains("0.000       -"), "{table}");
        assert!(of("all that keep").contains("0.500"), "{table}");
    }

    #[test]
    fn a_row_without_a_field_names_it() {
        let scorer = Arc::new(LinearScorer::shipped().unwrap());
        let classifier = Classifier::new(scorer, Signals::default());
        assert_eq!(wrapped("{}", &classifier).unwrap_err(), "body");
        assert_eq!(wrapped("[", &classifier).unwrap_err(), "a JSON object");
    }
}
