//! Requests with recorded answers of a chat and a reasoning model: how well a number ranks them by benefit.
//!
//! Fields: `text` (or `messages`), `chat_right` and `reasoning_right` (0 to 1; a fraction where several runs were
//! averaged); optional `lang`, `source` and `family`.
//!
//! Not done here: correcting the head (`correct.rs`).

use std::collections::BTreeMap;

use serde_json::Value;

use crate::chat::ChatRequest;

use super::learn::Dice;
use super::measure::float;

/// A request whose answers were judged.
#[derive(Debug, Clone, PartialEq)]
pub struct GainRow {
    body: String,
    /// The share of answers of the chat model that were right: 0 to 1.
    pub chat: f64,
    /// The share of answers of the reasoning model that were right: 0 to 1.
    pub reasoning: f64,
    /// The source and, if it is named, the family within it.
    pub family: String,
}

/// The reason why a line is not such a row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GainError {
    /// Not JSON, or no field of that kind.
    #[error("line {line}: expected `{field}`, {expected}")]
    Field {
        /// The line, from 1.
        line: usize,
        /// The field.
        field: &'static str,
        /// The expected value.
        expected: &'static str,
    },
}

impl GainRow {
    /// Reads all rows of a JSONL text; empty lines are skipped.
    ///
    /// # Errors
    /// The first line that is not a row.
    pub fn read_all(text: &str) -> Result<Vec<Self>, GainError> {
        let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
        lines.map(|(line, text)| Self::read(line, text)).collect()
    }

    fn read(line: usize, text: &str) -> Result<Self, GainError> {
        let missing = |field, expected| GainError::Field { line, field, expected };
        let value: Value =
            serde_json::from_str(text).map_err(|_| missing("text", "a string in a JSON object"))?;
        let field = |name: &str| value.get(name).and_then(Value::as_str);
        let share = |name| {
            let found = value.get(name).and_then(|found| {
                found.as_f64().or_else(|| found.as_bool().map(|right| f64::from(u8::from(right))))
            });
            let found = found.filter(|found| (0.0..=1.0).contains(found));
            found.ok_or_else(|| missing(name, "a number from 0 to 1"))
        };
        let messages = match (value.get("messages"), field("text")) {
            (Some(messages @ Value::Array(_)), _) => messages.clone(),
            (_, Some(text)) => serde_json::json!([{"role": "user", "content": text}]),
            (_, None) => return Err(missing("text", "a string")),
        };
        let body = serde_json::json!({ "messages": messages }).to_string();
        ChatRequest::parse(body.as_bytes())
            .map_err(|_| missing("messages", "the messages of a chat request"))?;
        let source = field("source").unwrap_or_default();
        Ok(Self {
            body,
            chat: share("chat_right")?,
            reasoning: share("reasoning_right")?,
            family: field("family")
                .map_or_else(|| source.to_owned(), |family| format!("{source}: {family}")),
        })
    }

    /// The row as a request; `None` never for a row that was read.
    pub fn request(&self) -> Option<ChatRequest<'_>> {
        ChatRequest::parse(self.body.as_bytes()).ok()
    }

    /// The body of the row's request.
    pub(super) fn body(&self) -> &str {
        &self.body
    }

    /// The probability that the reasoning model was right and the chat model wrong.
    pub fn gain(&self) -> f64 {
        self.reasoning * (1.0 - self.chat)
    }

    fn texts(&self) -> String {
        let request = self.request();
        let messages = request.iter().flat_map(ChatRequest::messages);
        messages.flat_map(|turn| turn.texts().map(str::to_owned).collect::<Vec<_>>()).collect()
    }

    /// The number of digits of its texts.
    pub fn digits(&self) -> f64 {
        float(self.texts().chars().filter(char::is_ascii_digit).count())
    }

    /// The number of letters of its texts.
    pub fn letters(&self) -> f64 {
        float(self.texts().chars().count())
    }
}

/// The quality of a ranking of rows by benefit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ranking {
    /// Probability that a row with a gain ranks above one without; `None` if one of them is missing.
    pub auc: Option<f64>,
    /// Share of the gap between both models that is recovered, averaged over all shares of requests sent to the
    /// reasoning model: one half by chance; `None` if the reasoning model is not better.
    pub apgr: Option<f64>,
}

/// A number of a row, and what the row tells.
#[derive(Debug, Clone, Copy)]
struct Ranked {
    value: f64,
    gain: f64,
    /// The advantage of the reasoning model.
    difference: f64,
}

/// The quality of the ranking by `values`, one for each row.
pub fn ranking(rows: &[GainRow], values: &[f64]) -> Ranking {
    rank(&mut ranked(rows, values))
}

/// The interval that holds nine in ten of the figures of resampled rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Of the AUC: five per cent lie below the first and above the second.
    pub auc: [f64; 2],
    /// Of the APGR.
    pub apgr: [f64; 2],
}

/// Resamples the rows many times, the same way for a `seed`; `None` if they rank nothing.
pub fn interval(rows: &[GainRow], values: &[f64], seed: u64) -> Option<Interval> {
    const DRAWS: usize = 400;
    let all = ranked(rows, values);
    let mut dice = Dice(seed);
    let (mut aucs, mut apgrs) = (Vec::new(), Vec::new());
    for _ in 0..DRAWS {
        let mut drawn: Vec<Ranked> =
            (0..all.len()).filter_map(|_| dice.pick(&all).copied()).collect();
        let found = rank(&mut drawn);
        aucs.extend(found.auc);
        apgrs.extend(found.apgr);
    }
    Some(Interval { auc: middle(aucs)?, apgr: middle(apgrs)? })
}

/// The figures that leave five per cent on either side.
fn middle(mut figures: Vec<f64>) -> Option<[f64; 2]> {
    figures.sort_by(f64::total_cmp);
    let last = figures.len().checked_sub(1)?;
    Some([*figures.get(last / 20)?, *figures.get(last - last / 20)?])
}

/// The AUC within each family, averaged by the number of its pairs; families without pairs are left out.
pub fn within_families(rows: &[GainRow], values: &[f64]) -> Option<f64> {
    let mut families: BTreeMap<&str, Vec<Ranked>> = BTreeMap::new();
    for (row, one) in rows.iter().zip(ranked(rows, values)) {
        families.entry(&row.family).or_default().push(one);
    }
    let (mut area, mut pairs) = (0.0, 0.0);
    for family in families.values_mut() {
        let gains: f64 = family.iter().map(|one| one.gain).sum();
        let weight = gains * (float(family.len()) - gains);
        if let Some(auc) = rank(family).auc.filter(|_| weight > 0.0) {
            area += auc * weight.sqrt();
            pairs += weight.sqrt();
        }
    }
    (pairs > 0.0).then_some(area / pairs)
}

fn ranked(rows: &[GainRow], values: &[f64]) -> Vec<Ranked> {
    let one = |(row, &value): (&GainRow, &f64)| Ranked {
        value,
        gain: row.gain(),
        difference: row.reasoning - row.chat,
    };
    rows.iter().zip(values).map(one).collect()
}

fn rank(rows: &mut [Ranked]) -> Ranking {
    rows.sort_by(|a, b| a.value.total_cmp(&b.value));
    let (mut below, mut positives, mut area) = (0.0, 0.0, 0.0);
    let whole: f64 = rows.iter().map(|row| row.difference).sum();
    let (mut recovered, mut above) = (0.0, whole);
    for equal in rows.chunk_by(|a, b| a.value.total_cmp(&b.value).is_eq()) {
        let count = float(equal.len());
        let gains: f64 = equal.iter().map(|row| row.gain).sum();
        area += gains * (below + (count - gains) / 2.0);
        below += count - gains;
        positives += gains;
        // Rows of one value are sent one after another in any order: on average half of them.
        let differences: f64 = equal.iter().map(|row| row.difference).sum();
        recovered += count * (above - differences / 2.0);
        above -= differences;
    }
    let auc = (positives > 0.0 && below > 0.0).then(|| area / (positives * below));
    let apgr = (whole > 0.0).then(|| recovered / (whole * float(rows.len())));
    Ranking { auc, apgr }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rights: &[(f64, f64)]) -> Vec<GainRow> {
        let line = |(chat, reasoning): &(f64, f64)| {
            serde_json::json!({"text": "12 a", "chat_right": chat, "reasoning_right": reasoning, "source": "s"}).to_string()
        };
        GainRow::read_all(&rights.iter().map(line).collect::<Vec<_>>().join("\n")).unwrap()
    }

    #[test]
    fn figures_of_a_small_set_by_hand() {
        let rows = rows(&[(0.0, 1.0), (1.0, 1.0), (1.0, 1.0), (0.0, 0.0)]);
        let found = ranking(&rows, &[0.9, 0.1, 0.2, 0.3]);
        assert_eq!(found.auc, Some(1.0));
        // The first of four sent recovers all: a half of the first quarter is lost.
        assert_eq!(found.apgr, Some(0.875));
        let found = ranking(&rows, &[0.0; 4]);
        assert_eq!((found.auc, found.apgr), (Some(0.5), Some(0.5)));
        assert_eq!((rows[0].digits(), rows[0].letters()), (2.0, 4.0));
        let wide = interval(&rows, &[0.9, 0.1, 0.2, 0.3], 1).unwrap();
        assert!(wide.auc[0] <= 1.0 && wide.apgr[0] <= 0.875 && wide.apgr[1] <= 0.95);
    }

    #[test]
    fn without_a_gap_nothing_is_recovered() {
        let rows = rows(&[(1.0, 1.0), (1.0, 1.0)]);
        assert_eq!(ranking(&rows, &[0.1, 0.2]), Ranking { auc: None, apgr: None });
        assert_eq!(interval(&rows, &[0.1, 0.2], 1), None);
    }

    #[test]
    fn a_family_that_is_recognised_ranks_nothing_within() {
        let mut all = rows(&[(0.0, 1.0), (1.0, 1.0)]);
        all[1].family = "t".to_owned();
        assert_eq!(within_families(&all, &[1.0, 0.0]), None);
    }

    #[test]
    fn faults_name_line_and_field() {
        for (text, expected) in [
            ("x", "line 1: expected `text`, a string in a JSON object"),
            (
                r#"{"text":"a","chat_right":2}"#,
                "line 1: expected `chat_right`, a number from 0 to 1",
            ),
            ("\n{\"chat_right\":1}", "line 2: expected `text`, a string"),
        ] {
            assert_eq!(GainRow::read_all(text).unwrap_err().to_string(), expected);
        }
    }
}
