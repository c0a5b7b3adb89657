//! Finds the question in a turn: which segments say what is wanted, and which are material, form or frame.
//!
//! Two looks over each segment, both sums of weights over hashed features. Segments above zero in the second look are
//! the question; if there is none, the highest is. All else is dropped from the buffer, so that the score sees
//! the question alone, whatever stood around it.
//!
//! Not done here: what the question needs (`linear.rs`).

use super::linear::as_float;
use super::linear::root;
use super::model::Model;
use super::model::weight_of;
use super::relevance::GROUPS;
use super::relevance::Group;
use super::relevance::features;
use super::sample::Sample;
use super::segments::MOST;
use super::segments::Segment;
use super::segments::Segments;
use super::surroundings::FirstLook;
use super::surroundings::LOWEST;
use super::surroundings::surroundings;

/// The least sum of a segment of the question.
const LEAST: f32 = 0.0;
/// The least sum of a sentence on the same line: it stays unless it is clearly something else.
const LEAST_BESIDE: f32 = -2.0;

/// The pair of buckets of a feature among `2^bits` pairs.
pub(super) fn bucket(seed: u32, group: Group, hash: u32, bits: u32) -> usize {
    let salt = seed.wrapping_add(group as u32 + 101).wrapping_mul(0x9e37_79b1);
    let mixed = (hash ^ salt).wrapping_mul(0x7feb_352d);
    let mixed = (mixed ^ (mixed >> 15)).wrapping_mul(0x846c_a68b);
    usize::try_from(mixed >> (32 - bits)).unwrap_or_default()
}

/// Finds the question of a turn that was read and keeps it.
pub(super) fn locate(model: &Model, sample: &mut Sample) {
    let segments = Segments::of(sample.letters());
    let segments = segments.all();
    // A model of another kind of training has no locator: then all of the turn is the question.
    if segments.len() < 2 || model.locator().is_empty() {
        sample.keep(segments, |_| true);
        return;
    }
    let sums = sums(model, sample.letters(), segments);
    let sums = sums.get(..segments.len()).unwrap_or_default();
    let highest = sums.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let least = highest.min(LEAST);
    let sum = |at: usize| sums.get(at).copied().unwrap_or(LOWEST);
    let beside = |at: usize, other: usize| {
        let same = segments
            .get(at)
            .zip(segments.get(other))
            .is_some_and(|(one, other)| one.line == other.line && one.label == other.label);
        same && sum(other) >= least && sum(at) >= LEAST_BESIDE
    };
    sample.keep(segments, |at| {
        let before = at.checked_sub(1);
        sum(at) >= least || before.is_some_and(|before| beside(at, before)) || beside(at, at + 1)
    });
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
    weights: &'m [u8],
    added: [[Added; GROUPS]; MOST],
}

impl Sums<'_> {
    fn take(&mut self, segment: usize, group: Group, hash: u32) {
        let pair = bucket(self.model.seed, group, hash, self.model.locator_bits);
        let place = self.added.get_mut(segment).and_then(|all| all.get_mut(group as usize));
        if let Some(added) = place {
            added.first += weight_of(self.weights, 2 * pair);
            added.second += weight_of(self.weights, 2 * pair + 1);
            added.count = added.count.saturating_add(1);
        }
    }

    /// Each sum by the weights that `which` picks.
    fn sums(&self, bias: f32, which: impl Fn(&Added) -> i32) -> [f32; MOST] {
        self.added.map(|groups| {
            let all = groups.iter().map(|one| as_float(which(one)) / root(one.count));
            bias + all.sum::<f32>() * self.model.locator_scale
        })
    }
}

/// The sum of each segment in the second look.
fn sums(model: &Model, letters: &[char], segments: &[Segment]) -> [f32; MOST] {
    let added = [[Added::default(); GROUPS]; MOST];
    let mut sums = Sums { model, weights: model.locator(), added };
    let seen = features(letters, segments, |at, group, hash| sums.take(at, group, hash));
    let [first, second] = model.locator_bias;
    let first = sums.sums(first, |one| one.first);
    let first = first.get(..segments.len()).unwrap_or_default();
    let look = FirstLook { segments, sums: first, seen: &seen };
    surroundings(look, |at, group, hash| sums.take(at, group, hash));
    sums.sums(second, |one| one.second)
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
            "how many primes lie below ##?",
        );
        check("Why is 7 prime?\n\nUse markdown.", "why is # prime?");
        check(
            "두 수의 합이 7이고 곱이 12일 때 두 수를 구해줘\n\n한국어로 답변해줘.",
            "두 수의 합이 #이고 곱이 ##일 때 두 수를 구해줘",
        );
    }

    #[test]
    fn a_turn_of_one_sentence_is_the_question() {
        check("thanks", "thanks");
        check("", "");
    }
}
