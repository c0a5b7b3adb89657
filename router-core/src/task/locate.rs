//! Finds the question in a turn: which segments say what is wanted, and which are material, form or frame.
//!
//! Two looks over each segment, both sums of weights over hashed features. Segments above zero in the second look are
//! the question; if there is none, the highest is.
//!
//! Not done here: what the question needs (`linear.rs`).

use super::linear::as_float;
use super::linear::root;
use super::model::Model;
use super::relevance::GROUPS;
use super::relevance::Group;
use super::relevance::Text;
use super::relevance::features;
use super::segment::Segment;
use super::segments::MOST;
use super::surroundings::FirstLook;
use super::surroundings::LOWEST;
use super::surroundings::surroundings;
use super::words::Span;

/// The least sum of a segment of the question.
const LEAST: f32 = 0.0;
/// The least sum of a sentence on the same line: it stays unless it is clearly something else.
const LEAST_BESIDE: f32 = -0.25;

/// The pair of buckets of a feature among `2^bits` pairs.
pub(super) fn bucket(seed: u32, group: Group, hash: u32, bits: u32) -> usize {
    let salt = seed.wrapping_add(group as u32 + 101).wrapping_mul(0x9e37_79b1);
    let mixed = (hash ^ salt).wrapping_mul(0x7feb_352d);
    let mixed = (mixed ^ (mixed >> 15)).wrapping_mul(0x846c_a68b);
    usize::try_from(mixed >> (32 - bits)).unwrap_or_default()
}

/// The segments of the question, one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Question(u64);

impl Question {
    /// Is a segment part of the question?
    pub(super) fn has(self, segment: usize) -> bool {
        segment < MOST && self.0 >> segment & 1 == 1
    }
}

/// A turn whose question was found.
#[derive(Debug)]
pub(super) struct Located<'t> {
    /// The turn.
    pub(super) text: Text<'t>,
    /// Its segments that are the question.
    pub(super) question: Question,
}

impl Located<'_> {
    /// The letters of the question: one stretch for all neighbours.
    pub(super) fn spans(&self) -> Vec<Span> {
        let mut spans: Vec<Span> = Vec::new();
        let mut before = false;
        for (at, segment) in self.text.segments.iter().enumerate() {
            let asked = self.question.has(at);
            match spans.last_mut().filter(|_| before && asked) {
                Some(last) => last.end = segment.span.end,
                None if asked => spans.push(segment.span),
                None => {}
            }
            before = asked;
        }
        spans
    }
}

impl<'t> Located<'t> {
    /// Finds the question of a turn.
    pub(super) fn find(model: &Model, text: Text<'t>) -> Self {
        Self { text, question: question(model, text) }
    }
}

fn question(model: &Model, text: Text<'_>) -> Question {
    let segments = text.segments;
    // A model of another kind of training has no locator: then all of the turn is the question.
    if segments.len() < 2 || model.locator().is_empty() {
        return Question(u64::MAX);
    }
    let sums = sums(model, text);
    let sums = sums.get(..segments.len()).unwrap_or_default();
    let all = sums.iter().enumerate().filter(|(at, _)| !frames(segments, *at));
    let highest = all.map(|(_, sum)| *sum).fold(f32::NEG_INFINITY, f32::max);
    let least = highest.min(LEAST);
    let sum = |at: usize| sums.get(at).copied().unwrap_or(LOWEST);
    let beside = |at: usize, other: usize| {
        let same = segments
            .get(at)
            .zip(segments.get(other))
            .is_some_and(|(one, other)| one.line == other.line && one.label == other.label);
        same && sum(other) >= least && sum(at) >= LEAST_BESIDE
    };
    let frame = |at: usize| frames(segments, at);
    let chosen = (0..segments.len()).filter(|&at| !frame(at)).filter(|&at| {
        let before = at.checked_sub(1);
        sum(at) >= least || before.is_some_and(|before| beside(at, before)) || beside(at, at + 1)
    });
    match chosen.fold(0, |mask, at| mask | 1 << at) {
        0 => Question(u64::MAX),
        mask => Question(mask),
    }
}

/// Is a segment a label that comes again, as in examples, or one that waits for the answer at the end?
fn frames(segments: &[Segment], at: usize) -> bool {
    let Some(label) = segments.get(at).filter(|segment| segment.is_label()) else { return false };
    let again = |(place, other): (usize, &Segment)| place != at && other.name == label.name;
    at + 1 == segments.len() || segments.iter().enumerate().any(again)
}

/// Weights of one group, added, and how many they were: those of both looks.
#[derive(Debug, Clone, Copy, Default)]
struct Added {
    first: i32,
    second: i32,
    count: u16,
}

/// The sums of all segments while they grow.
struct Sums<'m> {
    model: &'m Model,
    pairs: &'m [[u8; 2]],
    added: [[Added; GROUPS]; MOST],
}

impl Sums<'_> {
    fn take(&mut self, segment: usize, group: Group, hash: u32) {
        let pair = bucket(self.model.seed, group, hash, self.model.locator_bits);
        let Some(&[first, second]) = self.pairs.get(pair) else { return };
        let place = self.added.get_mut(segment).and_then(|all| all.get_mut(group as usize));
        if let Some(added) = place {
            added.first += i32::from(i8::from_le_bytes([first]));
            added.second += i32::from(i8::from_le_bytes([second]));
            added.count += 1;
        }
    }

    /// Each sum by the weights that `which` picks.
    fn sums(&self, count: usize, bias: f32, which: impl Fn(&Added) -> i32) -> [f32; MOST] {
        let mut sums = [0.0; MOST];
        for (sum, groups) in sums.iter_mut().zip(&self.added).take(count) {
            let all = groups.iter().map(|one| as_float(which(one)) / root(one.count));
            *sum = bias + all.sum::<f32>() * self.model.locator_scale;
        }
        sums
    }
}

/// The sum of each segment in the second look.
fn sums(model: &Model, text: Text<'_>) -> [f32; MOST] {
    let segments = text.segments;
    let added = [[Added::default(); GROUPS]; MOST];
    let (pairs, _) = model.locator().as_chunks();
    let mut sums = Sums { model, pairs, added };
    let seen = features(text, |at, group, hash| sums.take(at, group, hash));
    let [first, second] = model.locator_bias;
    let first = sums.sums(segments.len(), first, |one| one.first);
    let first = first.get(..segments.len()).unwrap_or_default();
    let look = FirstLook { segments, sums: first, seen: &seen };
    surroundings(look, |at, group, hash| sums.take(at, group, hash));
    sums.sums(segments.len(), second, |one| one.second)
}

#[cfg(test)]
mod tests {
    use crate::chat::ChatRequest;
    use crate::task::LinearScorer;
    use crate::task::Scorer;

    #[track_caller]
    fn check(text: &str, question: &str) {
        let body = serde_json::json!({"messages": [{"role": "user", "content": text}]}).to_string();
        let request = ChatRequest::parse(body.as_bytes()).unwrap();
        let found = LinearScorer::shipped().unwrap().question(&request).unwrap();
        assert_eq!(found, question, "{text:?}");
    }

    #[test]
    fn the_question_is_found_in_what_surrounds_it() {
        check(
            "Use the context to answer.\n\nThe depot opens at six. Trucks wait at gate two.\n\nQuestion: How many primes lie below 50?\n\nHelpful answer:",
            "[..] How many primes lie below 50? [..]",
        );
        check("Why is 7 prime?\n\nUse markdown.", "Why is 7 prime? [..]");
        check(
            "두 수의 합이 7이고 곱이 12일 때 두 수를 구해줘\n\n한국어로 답변해줘.",
            "두 수의 합이 7이고 곱이 12일 때 두 수를 구해줘 [..]",
        );
    }

    #[test]
    fn a_turn_of_one_sentence_is_the_question() {
        check("Thanks", "Thanks");
        check("", "");
    }
}
