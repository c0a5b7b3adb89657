//! The quality of scores: area under the curve, accuracy, F1, calibration error; whole and by part.
//!
//! Not done here: speed, which the program measures, and drawing.

use std::collections::BTreeMap;

use crate::task::Task;

use super::rows::Language;

/// Bins of equal width in which calibration is checked.
pub const BINS: usize = 15;

/// A score beside the truth.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// Probability of reasoning, 0 to 1.
    pub score: f32,
    /// The label.
    pub task: Task,
    /// The language of the row.
    pub language: Language,
    /// True for rows made to mislead.
    pub hard: bool,
    /// The source of the row.
    pub source: String,
}

/// Figures of one set of scores.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Figures {
    /// The number of scores.
    pub n: usize,
    /// Probability that a reasoning row scores higher than a chat row; `None` if one of them is missing.
    pub auc: Option<f64>,
    /// Share of scores on the right side of the threshold.
    pub accuracy: f64,
    /// Harmonic mean of precision and recall of reasoning; `None` if there is neither label nor finding of it.
    pub f1: Option<f64>,
    /// Expected calibration error over [`BINS`] bins.
    pub ece: f64,
}

/// Figures of a whole and of its parts.
#[derive(Debug, Clone, PartialEq)]
pub struct Quality {
    /// All scores.
    pub overall: Figures,
    /// By language code.
    pub by_language: BTreeMap<&'static str, Figures>,
    /// Rows made to mislead, if there are any.
    pub hard: Option<Figures>,
    /// By source.
    pub by_source: BTreeMap<String, Figures>,
}

/// A count as a float; exact below 2^32.
pub fn float(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// Figures of a whole and of its parts.
pub fn quality(scored: &[Scored], threshold: f32) -> Quality {
    let all: Vec<&Scored> = scored.iter().collect();
    let hard: Vec<&Scored> = scored.iter().filter(|row| row.hard).collect();
    let mut languages: BTreeMap<&'static str, Vec<&Scored>> = BTreeMap::new();
    let mut sources: BTreeMap<&str, Vec<&Scored>> = BTreeMap::new();
    for row in scored {
        languages.entry(row.language.as_str()).or_default().push(row);
        sources.entry(&row.source).or_default().push(row);
    }
    let of = |rows: &[&Scored]| figures(rows, threshold);
    Quality {
        overall: of(&all),
        by_language: languages.iter().map(|(name, rows)| (*name, of(rows))).collect(),
        hard: (!hard.is_empty()).then(|| of(&hard)),
        by_source: sources.iter().map(|(name, rows)| ((*name).to_owned(), of(rows))).collect(),
    }
}

/// Figures of one set.
pub fn figures(rows: &[&Scored], threshold: f32) -> Figures {
    let count = |test: &dyn Fn(bool, bool) -> bool| {
        let hit = |row: &&&Scored| test(row.score >= threshold, row.task == Task::Reasoning);
        float(rows.iter().filter(hit).count())
    };
    let right = count(&|found, wanted| found == wanted);
    let hits = count(&|found, wanted| found && wanted);
    let wrong = count(&|found, wanted| found != wanted);
    let both = 2.0 * hits + wrong;
    Figures {
        n: rows.len(),
        auc: auc(rows),
        accuracy: right / float(rows.len().max(1)),
        f1: (both > 0.0).then_some(2.0 * hits / both),
        ece: calibration_error(rows),
    }
}

/// Area under the curve, equal scores counting one half.
fn auc(rows: &[&Scored]) -> Option<f64> {
    let mut sorted: Vec<(f32, bool)> =
        rows.iter().map(|row| (row.score, row.task == Task::Reasoning)).collect();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut below, mut positives, mut area) = (0.0, 0.0, 0.0);
    for equal in sorted.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
        let reasoning = float(equal.iter().filter(|(_, reasoning)| *reasoning).count());
        let chat = float(equal.len()) - reasoning;
        area += reasoning * (below + chat / 2.0);
        below += chat;
        positives += reasoning;
    }
    (positives > 0.0 && below > 0.0).then(|| area / (positives * below))
}

/// One bin of scores: how many, their mean, and the share that truly is reasoning.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Bin {
    /// Scores in the bin.
    pub n: usize,
    /// Their mean; 0 in an empty bin.
    pub mean_score: f64,
    /// The share of reasoning labels; 0 in an empty bin.
    pub reasoning: f64,
}

/// The scores in [`BINS`] bins of equal width.
pub fn bins(rows: &[&Scored]) -> [Bin; BINS] {
    let mut bins = [Bin::default(); BINS];
    for row in rows {
        if let Some(bin) = bins.get_mut(bin_of(row.score)) {
            bin.n += 1;
            bin.mean_score += f64::from(row.score);
            bin.reasoning += f64::from(u8::from(row.task == Task::Reasoning));
        }
    }
    for bin in &mut bins {
        let n = float(bin.n.max(1));
        bin.mean_score /= n;
        bin.reasoning /= n;
    }
    bins
}

fn bin_of(score: f32) -> usize {
    let edges = (1..BINS).map(|edge| float(edge) / float(BINS));
    edges.take_while(|edge| f64::from(score) >= *edge).count()
}

fn calibration_error(rows: &[&Scored]) -> f64 {
    let all = float(rows.len().max(1));
    let gap = |bin: &Bin| float(bin.n) / all * (bin.mean_score - bin.reasoning).abs();
    bins(rows).iter().map(gap).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scored(score: f32, task: Task) -> Scored {
        let (language, source) = (Language::Korean, "s".to_owned());
        Scored { score, task, language, hard: task == Task::Chat, source }
    }

    #[test]
    fn figures_of_a_small_set_by_hand() {
        let rows = [
            scored(0.9, Task::Reasoning),
            scored(0.4, Task::Reasoning),
            scored(0.4, Task::Chat),
            scored(0.1, Task::Chat),
        ];
        let found = quality(&rows, 0.5);
        // Of four pairs three are in order and one is a tie.
        assert_eq!(found.overall.auc, Some(0.875));
        assert_eq!((found.overall.n, found.overall.accuracy), (4, 0.75));
        assert!((found.overall.f1.unwrap() - 2.0 / 3.0).abs() < 1e-12);
        // |0.9-1| and |0.1-0| a quarter each, |0.4-0.5| a half.
        assert!((found.overall.ece - 0.1).abs() < 1e-6);
        assert_eq!(found.hard.unwrap().auc, None, "one class alone has no curve");
        assert_eq!(found.by_language.keys().copied().collect::<Vec<_>>(), ["ko"]);
        assert_eq!(found.by_source["s"].n, 4);
    }

    #[test]
    fn an_empty_set_has_figures_too() {
        let found = quality(&[], 0.5);
        assert_eq!((found.overall.n, found.overall.auc, found.hard), (0, None, None));
    }

    #[test]
    fn the_last_bin_holds_one() {
        assert_eq!([bin_of(0.0), bin_of(0.5), bin_of(1.0)], [0, 7, BINS - 1]);
    }
}
