//! Learns weights: logistic regression by `AdaGrad`, sources and classes balanced, strongly regularised.
//!
//! Rows of a source that has many count less each, and each language has as much of both classes: what is asked for is
//! a scorer for sources that training never saw, not one for the largest of those it saw. One thread, one order, one
//! seed: the same rows give the same weights to the last bit.
//!
//! Not done here: choosing rows (`folds.rs`), turning weights into bytes (`teacher.rs`).

use std::collections::HashMap;

use crate::task::Task;
use crate::task::linear::divisor;

use super::examples::Example;
use super::measure::float;
use super::rows::Row;

/// Passes over the rows.
const EPOCHS: usize = 4;
/// The summand of the seed for each order that [`learn_mean`] learns in, and the weight of each.
const ORDERS: [u64; 4] = [0, 7_919, 15_838, 23_757];
const SHARE: f32 = 0.25;
/// Step of the first pass; it falls linearly.
const RATE: f32 = 0.2;
/// Pull of each touched weight towards zero.
const DECAY: f32 = 1e-3;
/// Labels are sure to this much only: some are wrong.
const DOUBT: f32 = 0.02;
/// A row of a source of `n` rows counts `n` to the power of minus this.
const SOURCE_POWER: f32 = 0.4;
/// A composed row counts so much less than the row it was composed from.
const COMPOSED: f32 = 0.12;
/// No row counts more than so many average rows.
const HEAVIEST: f32 = 6.0;

/// Weights as learned.
#[derive(Debug, Clone)]
pub(super) struct Weights {
    pub(super) bias: f32,
    pub(super) table: Vec<f32>,
}

impl Weights {
    /// The sum of an example, as the scorer adds it.
    pub(super) fn sum(&self, example: &Example) -> f32 {
        self.bias
            + example
                .groups()
                .map(|(namespace, group)| {
                    group.iter().map(|&at| self.at(at)).sum::<f32>() / root(namespace, group)
                })
                .sum::<f32>()
    }

    fn at(&self, bucket: u32) -> f32 {
        usize::try_from(bucket).ok().and_then(|at| self.table.get(at)).copied().unwrap_or_default()
    }
}

fn root(namespace: usize, group: &[u32]) -> f32 {
    divisor(namespace, u16::try_from(group.len()).unwrap_or(u16::MAX))
}

/// A small generator of numbers that look random: `SplitMix64`.
///
/// **Source:** Steele, Lea, Flood: Fast splittable pseudorandom number generators (2014).
#[derive(Debug)]
pub(super) struct Dice(pub(super) u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 up to, not including, `end`.
    pub(super) fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end.max(1)).unwrap_or(1);
        usize::try_from(self.roll() % end).unwrap_or_default()
    }

    /// A number from 0 to 1.
    pub(super) fn chance(&mut self) -> f64 {
        float(self.below(1 << 24)) / float(1 << 24)
    }

    /// One of `items`.
    pub(super) fn pick<'i, T>(&mut self, items: &'i [T]) -> Option<&'i T> {
        items.get(self.below(items.len()))
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let place = self.roll() % (u64::try_from(last).unwrap_or_default() + 1);
            items.swap(last, usize::try_from(place).unwrap_or_default());
        }
    }
}

/// The weight of each row; the average is 1.
pub(super) fn balance(rows: &[&Row]) -> Vec<f32> {
    let mut sizes: HashMap<&str, f32> = HashMap::new();
    for row in rows {
        *sizes.entry(row.origin()).or_default() += 1.0;
    }
    let size = |row: &Row| sizes.get(row.origin()).copied().unwrap_or(1.0);
    let share = |row: &Row| if row.is_composed() { COMPOSED } else { 1.0 };
    let mut counts: Vec<f32> =
        rows.iter().map(|row| share(row) * size(row).powf(-SOURCE_POWER)).collect();
    let mut cells: HashMap<(&str, Task), f32> = HashMap::new();
    for (row, count) in rows.iter().zip(&counts) {
        *cells.entry((row.language.as_str(), row.task)).or_default() += count;
    }
    let cell = |row: &Row, task| cells.get(&(row.language.as_str(), task)).copied().unwrap_or(0.0);
    for (row, count) in rows.iter().zip(&mut counts) {
        let both: f32 = Task::ALL.iter().map(|&task| cell(row, task)).sum();
        *count *= 0.5 * both / cell(row, row.task).max(f32::MIN_POSITIVE);
    }
    let mean = counts.iter().sum::<f32>() / narrow(float(counts.len())).max(1.0);
    counts.iter().map(|count| (count / mean).min(HEAVIEST)).collect()
}

/// A figure as a weight; only magnitudes matter here.
#[expect(clippy::cast_possible_truncation, reason = "rounding a mean to single precision is meant")]
pub(super) fn narrow(figure: f64) -> f32 {
    figure as f32
}

/// Learns several times in other orders and gives the mean: it leans less on the order, and costs nothing in serving.
pub(super) fn learn_mean(examples: &[&Example], counts: &[f32], bits: u32, seed: u64) -> Weights {
    let mut mean = Weights { bias: 0.0, table: vec![0.0; 1 << bits] };
    for start in ORDERS {
        let one = learn(examples, counts, bits, seed.wrapping_add(start));
        mean.bias += one.bias * SHARE;
        for (sum, weight) in mean.table.iter_mut().zip(one.table) {
            *sum += weight * SHARE;
        }
    }
    mean
}

/// Learns from examples, each counting as much as `counts` says.
pub(super) fn learn(examples: &[&Example], counts: &[f32], bits: u32, seed: u64) -> Weights {
    let mut weights = Weights { bias: 0.0, table: vec![0.0; 1 << bits] };
    let mut squares = vec![1e-3_f32; 1 << bits];
    let mut order: Vec<(&Example, f32)> =
        examples.iter().copied().zip(counts.iter().copied()).collect();
    let mut dice = Dice(seed);
    for epoch in 0..EPOCHS {
        dice.shuffle(&mut order);
        let rate = RATE * narrow(1.0 - float(epoch) / float(EPOCHS));
        for (example, count) in &order {
            let wanted = match example.task {
                Task::Reasoning => 1.0 - DOUBT,
                Task::Chat => DOUBT,
            };
            let found = 1.0 / (1.0 + (-weights.sum(example)).exp());
            let error = (found - wanted) * count;
            weights.bias -= 0.01 * rate * error;
            for (namespace, group) in example.groups() {
                let slope = Slope { error: error / root(namespace, group), rate };
                step(&mut weights.table, &mut squares, group, slope);
            }
        }
    }
    weights
}

/// The part of one namespace in an error, and how far a step goes.
#[derive(Debug, Clone, Copy)]
struct Slope {
    error: f32,
    rate: f32,
}

/// Moves the weights of one namespace against their part in the error.
fn step(table: &mut [f32], squares: &mut [f32], group: &[u32], Slope { error, rate }: Slope) {
    for &bucket in group {
        let Ok(at) = usize::try_from(bucket) else { continue };
        let (Some(weight), Some(square)) = (table.get_mut(at), squares.get_mut(at)) else {
            continue;
        };
        let slope = error + DECAY * *weight;
        *square += slope * slope;
        *weight -= rate * slope / square.sqrt();
    }
}
