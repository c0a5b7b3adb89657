//! The yardstick: a plain hashed linear model, words, word pairs and n-grams of three to five letters in 2^18 buckets.
//!
//! It learns from the same rows with the same learner and is measured on the same held-out rows, so the difference to
//! the shipped model is what namespaces, asks and marks of shape are worth.

use crate::task::letters::fold;
use crate::task::shape::Script;
use crate::task::words::BASIS;
use crate::task::words::step;
use crate::task::words::step_letter;
use crate::task::words::words;

use super::examples::Example;
use super::examples::with_last_turn;
use super::rows::Row;

/// Bits of a bucket.
pub(super) const BITS: u32 = 18;
/// Characters that are read; whole texts would only make it slower.
const MOST_READ: usize = 4_000;

/// The same rows for the plain model.
pub(super) fn plain_examples(rows: &[Row]) -> Vec<Example> {
    rows.iter()
        .map(|row| {
            let mut letters = Vec::new();
            with_last_turn(row, |turn| {
                for letter in turn.texts().flat_map(str::chars).take(MOST_READ) {
                    fold(letter, letters.last().copied(), &mut letters);
                }
            });
            Example::new(row.task, Script::Latin, &[plain(&letters)])
        })
        .collect()
}

fn plain(letters: &[char]) -> Vec<u32> {
    let mut buckets = Vec::new();
    let mut put = |hash: u32| buckets.push(hash.wrapping_mul(0x9e37_79b1) >> (32 - BITS));
    let mut all = Vec::new();
    words(letters, &mut all);
    all.retain(|word| !word.ends_line());
    for word in &all {
        put(word.hash);
    }
    all.iter().zip(all.iter().skip(1)).for_each(|(first, second)| {
        put(step(first.hash.wrapping_mul(31), second.hash));
    });
    for start in 0..letters.len() {
        let mut hash = BASIS ^ 0x55;
        for (place, &letter) in letters.iter().skip(start).take(5).enumerate() {
            hash = step_letter(hash, letter);
            if place >= 2 {
                put(hash);
            }
        }
    }
    buckets
}
