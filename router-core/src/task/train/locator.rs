//! Learns to find the question: from composed rows, in which it is known.
//!
//! The second look learns from sums of the first that did not see the row: each half of the rows is summed by weights
//! from the other half. Rows that nobody wrapped are the question as a whole.
//!
//! Not done here: composing rows (`compose.rs`), and what a question needs (`learn.rs`).

use std::borrow::Cow;

use crate::task::Task;
use crate::task::model::Model;

use super::compose::CLOSE;
use super::compose::OPEN;
use super::compose::surrounds;
use super::examples::Example;
use super::learn::Dice;
use super::learn::Weights;
use super::learn::learn;
use super::located::Buckets;
use super::located::Located;
use super::located::located;
use super::rounding::byte;
use super::rounding::scale;
use super::rows::Row;

/// Bits of a bucket: 2^17 pairs of bytes.
const BITS: u32 = 17;
/// Share of the unwrapped rows that are learned from; of several lines that need reasoning, all.
const BARE: f64 = 0.3;
/// The most letters of an unwrapped row of one line.
const LONGEST: usize = 500;

/// A model that finds questions and scores nothing yet.
pub(super) fn locator(rows: &[Row], composed: &[Row], seed: u32) -> Model {
    let mut learned = composed.to_vec();
    learned.extend(bare(rows, seed));
    let all = located(&learned, Buckets { seed, bits: BITS });
    drop(learned);
    let (halves, whole) = std::thread::scope(|scope| {
        let halves = [0, 1].map(|half| {
            let all = &all;
            scope.spawn(move || first(all, Some(half), seed))
        });
        (halves.map(std::thread::ScopedJoinHandle::join), first(&all, None, seed))
    });
    let second = match &halves {
        [Ok(even), Ok(odd)] => second(&all, even, odd, seed),
        _ => Weights { bias: 0.0, table: vec![0.0; 1 << BITS] },
    };
    let scale = scale(&whole.table).max(scale(&second.table));
    let pairs = whole.table.iter().zip(&second.table).flat_map(|(first, second)| [*first, *second]);
    Model {
        seed,
        locator_bits: BITS,
        locator_bias: [whole.bias, second.bias],
        locator_scale: scale,
        // One weight of the score, so that those of the locator stand where they belong.
        weights: Cow::Owned(
            std::iter::once(0).chain(pairs.map(|weight| byte(weight, scale))).collect(),
        ),
        ..Model::empty()
    }
}

/// Rows that nobody wrapped.
fn bare(rows: &[Row], seed: u32) -> Vec<Row> {
    let mut dice = Dice(u64::from(seed).wrapping_add(5));
    let mut bare = Vec::new();
    for row in rows {
        let Some(text) = row.single_text().filter(|_| !row.source.contains("prefix")) else {
            continue;
        };
        let lines = text.contains('\n');
        let whole = if lines {
            !surrounds(row) && !text.contains("```")
        } else {
            text.chars().count() <= LONGEST
        };
        let chosen = dice.chance() < BARE || (lines && row.task == Task::Reasoning);
        if whole && chosen {
            bare.push(row.composed(&format!("{OPEN}{text}{CLOSE}"), row.task, "bare"));
        }
    }
    bare
}

fn first(all: &[Located], half: Option<usize>, seed: u32) -> Weights {
    let chosen = all.iter().enumerate().filter(|(at, _)| half.is_none_or(|half| at % 2 == half));
    let segments = chosen.flat_map(|(_, row)| {
        let known = row.first.iter().filter(|(label, _)| label.is_some());
        known.map(|(_, example)| (example, row.count))
    });
    let (examples, counts): (Vec<&Example>, Vec<f32>) = segments.unzip();
    learn(&examples, &counts, BITS, u64::from(seed))
}

fn second(all: &[Located], even: &Weights, odd: &Weights, seed: u32) -> Weights {
    let mut examples: Vec<(Example, f32)> = Vec::new();
    for (at, row) in all.iter().enumerate() {
        let unseen = if at % 2 == 0 { odd } else { even };
        let sums: Vec<f32> = row.first.iter().map(|(_, example)| unseen.sum(example)).collect();
        let second = row.second(Buckets { seed, bits: BITS }, &sums);
        examples.extend(second.into_iter().map(|example| (example, row.count)));
    }
    let (examples, counts): (Vec<&Example>, Vec<f32>) =
        examples.iter().map(|(example, count)| (example, *count)).unzip();
    learn(&examples, &counts, BITS, u64::from(seed))
}
