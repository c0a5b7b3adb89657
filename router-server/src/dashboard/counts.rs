//! Sparse histograms: times by length, and scores.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Times are counted in classes. The first one ends at 4 ms, each further one is a quarter wider than the one before, so that
/// quantiles are exact to about 12 %.
const FIRST_MS: f64 = 4.0;
const GROWTH: f64 = 1.25;

/// The last class holds everything from about 18 minutes on.
const CLASSES: u8 = 58;

/// Classes of scores. Each is a twentieth wide and includes its upper edge, as in the metric.
pub(super) const SCORES: usize = 20;

/// Counts by class, in the order of the classes; classes without a count are absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Counts(Vec<(u8, u32)>);

impl Counts {
    /// One more in a class.
    pub(super) fn add(&mut self, class: u8) {
        self.add_many(class, 1);
    }

    /// One more time.
    pub(super) fn add_time(&mut self, time: Duration) {
        self.add(class_of(time));
    }

    /// One more score, 0 to 1.
    pub(super) fn add_score(&mut self, score: f32) {
        let edge = |class: u8| f64::from(class) / 20.0;
        let class = (1..20).filter(|class| f64::from(score) > edge(*class)).count();
        self.add(u8::try_from(class).unwrap_or_default());
    }

    /// The counts of another added.
    pub(super) fn merge(&mut self, other: &Self) {
        for (class, count) in &other.0 {
            self.add_many(*class, *count);
        }
    }

    fn add_many(&mut self, class: u8, more: u32) {
        match self.0.binary_search_by_key(&class, |(known, _)| *known) {
            Ok(at) => {
                if let Some((_, count)) = self.0.get_mut(at) {
                    *count = count.saturating_add(more);
                }
            }
            Err(at) => self.0.insert(at, (class, more)),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Their number.
    pub(super) fn total(&self) -> u64 {
        self.0.iter().map(|(_, count)| u64::from(*count)).sum()
    }

    /// The classes of scores.
    pub(super) fn scores(&self) -> [u64; SCORES] {
        let mut all = [0; SCORES];
        for (class, count) in &self.0 {
            if let Some(sum) = all.get_mut(usize::from(*class)) {
                *sum += u64::from(*count);
            }
        }
        all
    }

    /// This quantile of the times in milliseconds; `None` if there are none.
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
    pub(super) fn quantile_ms(&self, share: f64) -> Option<f64> {
        let wanted = self.total() as f64 * share;
        let mut before = 0.0;
        for (class, count) in &self.0 {
            let count = f64::from(*count);
            if before + count >= wanted {
                let within = ((wanted - before) / count).clamp(0.0, 1.0);
                let lower = if *class == 0 { 0.0 } else { edge(*class - 1) };
                return Some(lower + (edge(*class) - lower) * within);
            }
            before += count;
        }
        None
    }
}

/// The upper edge of a class of times, in milliseconds.
fn edge(class: u8) -> f64 {
    FIRST_MS * GROWTH.powi(i32::from(class))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to the classes before"
)]
fn class_of(time: Duration) -> u8 {
    let ms = time.as_secs_f64() * 1_000.0;
    let class = ((ms / FIRST_MS).ln() / GROWTH.ln()).ceil();
    class.clamp(0.0, f64::from(CLASSES - 1)) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_close_to_the_times() {
        let mut times = Counts::default();
        for ms in 1..=1_000 {
            times.add_time(Duration::from_millis(ms));
        }
        for (share, expected) in [(0.5, 500.0), (0.95, 950.0)] {
            let found = times.quantile_ms(share).unwrap();
            assert!((found / expected - 1.0).abs() < 0.12, "{share}: {found}");
        }
        assert_eq!(Counts::default().quantile_ms(0.5), None);
    }

    #[test]
    fn merged_counts_are_the_counts_of_both() {
        let (mut one, mut other, mut both) =
            (Counts::default(), Counts::default(), Counts::default());
        for ms in [3, 30, 300, 3_000_000] {
            one.add_time(Duration::from_millis(ms));
            both.add_time(Duration::from_millis(ms));
        }
        for ms in [30, 7_000] {
            other.add_time(Duration::from_millis(ms));
            both.add_time(Duration::from_millis(ms));
        }
        one.merge(&other);
        assert_eq!((one.total(), one), (6, both));
    }

    #[test]
    fn scores_fall_into_the_classes_of_the_metric() {
        for (score, expected) in
            [(0.0, 0), (0.04, 0), (0.051, 1), (0.25, 4), (0.51, 10), (0.999, 19), (1.0, 19)]
        {
            let mut scores = Counts::default();
            scores.add_score(score);
            assert_eq!(scores.scores().iter().position(|count| *count > 0), Some(expected));
        }
    }
}
