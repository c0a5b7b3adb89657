//! Explains a score: the pieces of the request with the largest weights, in its own words.
//!
//! A hash cannot be reversed, so the features are computed again and remember which characters each
//! n-gram covers. Fragments are widened to whole words and added up across namespaces: a reader
//! wants "prove that", not five lines about `prov` and `rove`. This costs allocations and time; it
//! runs only for `explain` and `/v1/route`.
//!
//! Not done here: the signals besides the score (`classifier.rs`).

use std::borrow::Cow;
use std::collections::HashMap;

use super::features::Namespace;
use super::features::Sink;
use super::features::bucket;
use super::kind::Reason;
use super::letters::is_word;
use super::linear::NAMESPACES;
use super::linear::as_float;
use super::model::Model;
use super::shape::Mark;
use super::words::Span;

/// A piece spanning more words than this is too vague to be a reason.
const LONGEST: usize = 28;

/// The weight of each n-gram and mark.
pub(super) struct Collected<'m> {
    model: &'m Model,
    units: [f32; NAMESPACES],
    spans: Vec<(Span, f32)>,
    marks: Vec<(Mark, f32)>,
}

impl<'m> Collected<'m> {
    pub(super) fn new(model: &'m Model, units: [f32; NAMESPACES]) -> Self {
        Self { model, units, spans: Vec::new(), marks: Vec::new() }
    }

    fn weight(&self, namespace: Namespace, hash: u32) -> f32 {
        let bucket = bucket(self.model.seed, namespace, hash, self.model.bits);
        let unit = self.units.get(namespace as usize).copied().unwrap_or_default();
        as_float(self.model.weight(bucket)) * unit
    }

    /// The heaviest pieces and marks, heaviest first.
    pub(super) fn reasons(self, letters: &[char], most: usize) -> Vec<Reason> {
        let mut pieces: HashMap<&[char], f32> = HashMap::new();
        for (span, weight) in &self.spans {
            let piece = widened(letters, *span);
            if piece.len() <= LONGEST {
                *pieces.entry(piece).or_default() += weight;
            }
        }
        let texts = pieces.into_iter().map(|(piece, weight)| (shown(piece), weight));
        let marks = self.marks.iter().map(|(mark, weight)| {
            (format!("{} (grade {})", mark.kind.name(), mark.grade), *weight)
        });
        let mut all: Vec<(String, f32)> = texts.chain(marks).collect();
        // The name decides between equals, so that the answer does not depend on the map's order.
        all.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()).then_with(|| a.0.cmp(&b.0)));
        let mut reasons: Vec<Reason> = Vec::new();
        for (name, weight) in all {
            if reasons.len() == most {
                break;
            }
            let said = |reason: &Reason| {
                reason.name.contains(name.trim_matches('"')) && reason.weight * weight > 0.0
            };
            if !reasons.iter().any(said) {
                reasons.push(Reason { name: Cow::Owned(name), weight });
            }
        }
        reasons
    }
}

impl Sink for Collected<'_> {
    fn gram(&mut self, namespace: Namespace, hash: u32, span: Span) {
        let weight = self.weight(namespace, hash);
        self.spans.push((span, weight));
    }

    fn mark(&mut self, mark: Mark, hash: u32) {
        let weight = self.weight(Namespace::Shape, hash);
        self.marks.push((mark, weight));
    }
}

/// The whole words that a span touches.
fn widened(letters: &[char], span: Span) -> &[char] {
    let Span { mut start, mut end } = span;
    let word = |at: usize| letters.get(at).is_some_and(|&letter| is_word(letter));
    while start > 0 && word(start) && word(start - 1) {
        start -= 1;
    }
    while end > 0 && word(end - 1) && word(end) {
        end += 1;
    }
    while start < end && letters.get(start).is_some_and(|letter| letter.is_whitespace()) {
        start += 1;
    }
    while start < end && letters.get(end - 1).is_some_and(|letter| letter.is_whitespace()) {
        end -= 1;
    }
    letters.get(start..end).unwrap_or_default()
}

/// A piece between quotation marks; a digit, folded to one form, is shown as `#`.
fn shown(piece: &[char]) -> String {
    let mut text = String::from("\"");
    text.extend(piece.iter().map(|&letter| match letter {
        '0' => '#',
        letter if letter.is_whitespace() || letter.is_control() => ' ',
        letter => letter,
    }));
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fragments_are_widened_to_words() {
        let letters: Vec<char> = "please prove that 00".chars().collect();
        for (start, end, expected) in
            [(8, 11, "\"prove\""), (10, 15, "\"prove that\""), (16, 20, "\"that ##\"")]
        {
            assert_eq!(shown(widened(&letters, Span { start, end })), expected);
        }
    }
}
