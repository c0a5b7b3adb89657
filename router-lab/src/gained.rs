//! `router-server evaluate --benefit`: how well the benefit ranks requests with recorded answers.
//!
//! Beside it stand what anyone would try first: counting digits, counting letters, and the score of the task. Much of
//! what looks like benefit is recognition of a set or a family of questions, so figures come by source and within
//! families too.

use std::collections::BTreeMap;

use router_core::task::Classifier;
use router_core::task::train::{GainRow, interval, ranking, within_families};
use serde_json::{Map, Value, json};

/// Start of the draws behind the intervals.
const SEED: u64 = 1;

/// Ranks rows and gives the table to print.
pub(crate) fn table(rows: &[GainRow], classifier: &Classifier) -> String {
    let mut sources: BTreeMap<&str, Vec<GainRow>> = BTreeMap::new();
    for row in rows {
        let source = row.family.split(':').next().unwrap_or_default();
        sources.entry(source).or_default().push(row.clone());
    }
    let mut text = format!(
        "{:30} {:>6} {:>6}  {:8} {:>5} {:>12} {:>6} {:>12} {:>7}\n",
        "", "rows", "gain", "by", "AUC", "90 %", "APGR", "90 %", "within"
    );
    text += &part("all", rows, classifier);
    if sources.len() > 1 {
        text.extend(sources.iter().map(|(name, rows)| part(name, rows, classifier)));
    }
    text
}

/// One JSON object for each row, in their order: score, benefit, what the models' answers say, and the features.
pub(crate) fn as_rows(rows: &[GainRow], classifier: &Classifier) -> String {
    let line = |row: &GainRow| {
        let request = row.request()?;
        let found = classifier.classify(&request, None);
        let reasons = classifier.benefit_reasons(&request, usize::MAX);
        let because: Map<String, Value> =
            reasons.iter().map(|one| (one.name.to_string(), one.weight.into())).collect();
        let line = json!({
            "source": row.family,
            "score": found.score.value(),
            "benefit": found.benefit.probability,
            "gain": row.gain(),
            "because": because,
        });
        Some(format!("{line}\n"))
    };
    rows.iter().filter_map(line).collect()
}

/// The lines of one set: the benefit, and what it is compared with.
fn part(name: &str, rows: &[GainRow], classifier: &Classifier) -> String {
    let verdict = |row: &GainRow| row.request().map(|request| classifier.classify(&request, None));
    let verdicts: Vec<(f64, f64)> = rows
        .iter()
        .map(|row| {
            verdict(row).map_or((0.0, 0.0), |found| {
                (f64::from(found.benefit.probability), f64::from(found.score.value()))
            })
        })
        .collect();
    let gains: f64 = rows.iter().map(GainRow::gain).sum();
    let count = f64::from(u32::try_from(rows.len()).unwrap_or(u32::MAX));
    let mut head = format!("{name:30} {:6} {:6.3}", rows.len(), gains / count);
    let mut text = String::new();
    for (by, values) in [
        ("benefit", verdicts.iter().map(|(benefit, _)| *benefit).collect::<Vec<f64>>()),
        ("score", verdicts.iter().map(|(_, score)| *score).collect()),
        ("digits", rows.iter().map(GainRow::digits).collect()),
        ("length", rows.iter().map(GainRow::letters).collect()),
    ] {
        text += &line(&head, by, rows, &values);
        head = " ".repeat(head.len());
    }
    let expected: f64 = verdicts.iter().map(|(benefit, _)| benefit).sum();
    text + &format!("{head}  expected gain {:.3}\n", expected / count)
}

fn line(head: &str, by: &str, rows: &[GainRow], values: &[f64]) -> String {
    let figure =
        |figure: Option<f64>| figure.map_or_else(|| "-".to_owned(), |one| format!("{one:.3}"));
    let found = ranking(rows, values);
    let around = interval(rows, values, SEED);
    let pair = |pair: Option<[f64; 2]>| {
        pair.map_or_else(|| "-".to_owned(), |[low, high]| format!("{low:.3}-{high:.3}"))
    };
    format!(
        "{head}  {by:8} {:>5} {:>12} {:>6} {:>12} {:>7}\n",
        figure(found.auc),
        pair(around.map(|one| one.auc)),
        figure(found.apgr),
        pair(around.map(|one| one.apgr).filter(|_| found.apgr.is_some())),
        figure(within_families(rows, values)),
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use router_core::task::{LinearScorer, Signals};

    use super::*;

    fn rows() -> Vec<GainRow> {
        let text = r#"{"text":"Compute the remainder when 17^35 is divided by 45.","chat_right":0,"reasoning_right":1,"source":"a"}
{"text":"Prove that two odd numbers have an even sum.","chat_right":1,"reasoning_right":1,"source":"a"}
{"text":"안녕, 잘 지냈어?","chat_right":true,"reasoning_right":true,"source":"b","family":"c"}"#;
        GainRow::read_all(text).unwrap()
    }

    fn classifier() -> Classifier {
        Classifier::new(Arc::new(LinearScorer::shipped().unwrap()), Signals::default())
    }

    #[test]
    fn benefit_stands_beside_what_anyone_would_try() {
        let table = table(&rows(), &classifier());
        for by in ["benefit", "score", "digits", "length", "expected gain"] {
            assert_eq!(table.matches(by).count(), 3, "{by}\n{table}");
        }
        let all = table.lines().nth(1).unwrap();
        assert!(all.starts_with("all") && all.contains("  benefit  1.000"), "{table}");
    }

    #[test]
    fn a_row_is_written_with_its_features() {
        let lines = as_rows(&rows(), &classifier());
        let all: Vec<Value> =
            lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(all[0]["benefit"].as_f64() > all[2]["benefit"].as_f64());
        assert!(all[0]["because"]["numbers"].as_f64() > Some(0.0), "{lines}");
        assert_eq!((&all[0]["gain"], &all[2]["source"]), (&json!(1.0), &json!("b: c")));
    }
}
