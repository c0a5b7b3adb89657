//! Finds the question in a turn: which segments say what is wanted, and which are material, form or frame.
//!
//! Two looks over each segment, both sums of weights over hashed features. Segments above zero in the second look are
//! the question; if there is none, the highest is.
//!
//! Not done here: what the question needs (`linear.rs`).

use super::asides::asides;
use super::known_segments::Added;
use super::known_segments::Known;
use super::known_segments::Own;
use super::linear::as_float;
use super::linear::root;
use super::model::Model;
use super::relevance::Edges;
use super::relevance::GROUPS;
use super::relevance::Group;
use super::relevance::Text;
use super::relevance::among;
use super::relevance::own;
use super::segment::Segment;
use super::segments::MOST;
use super::small_weights::Kinds;
use super::small_weights::Marks;
use super::small_weights::SmallWeights;
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

/// What makes finding a question quicker and changes nothing else.
#[derive(Default)]
pub(super) struct Aid<'a, 'k> {
    /// The weights of features with small values.
    pub(super) small: Option<&'a SmallWeights>,
    /// The segment cache.
    pub(super) known: Option<&'a mut Known<'k>>,
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
    /// Is the question the whole turn?
    pub(super) fn is_whole(&self) -> bool {
        (0..self.text.segments.len()).all(|at| self.question.has(at))
    }

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
        Self { text, question: question(model, text, Aid::default()) }
    }

    /// The same with what makes it quicker.
    pub(super) fn find_by(model: &Model, text: Text<'t>, aid: Aid<'_, '_>) -> Self {
        Self { text, question: question(model, text, aid) }
    }
}

fn question(model: &Model, text: Text<'_>, aid: Aid<'_, '_>) -> Question {
    let segments = text.segments;
    // A model of another kind of training has no locator: then all of the turn is the question.
    if segments.len() < 2 || model.locator().is_empty() {
        return Question(u64::MAX);
    }
    let sums = sums(model, text, aid);
    let sums = sums.get(..segments.len()).unwrap_or_default();
    let asides = asides(text);
    let frame = |at: usize| asides >> at & 1 == 1 || frames(segments, at);
    let all = sums.iter().enumerate().filter(|(at, _)| !frame(*at));
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
    let chosen = (0..segments.len()).filter(|&at| !frame(at)).filter(|&at| {
        let before = at.checked_sub(1);
        sum(at) >= least || before.is_some_and(|before| beside(at, before)) || beside(at, at + 1)
    });
    match chosen.fold(0, |mask, at| mask | 1 << at) {
        0 => Question(u64::MAX),
        mask => Question(mask),
    }
}

/// Is a segment a label that comes again, as in examples, one that is itself a question, or one that waits for the
/// answer at the end?
fn frames(segments: &[Segment], at: usize) -> bool {
    let Some(label) = segments.get(at).filter(|segment| segment.is_label()) else { return false };
    let again = |(place, other): (usize, &Segment)| place != at && other.name == label.name;
    // The question of a form: `*What do you need?* ..`.
    let asks =
        label.ending == 1 && segments.get(at + 1).is_some_and(|next| next.line == label.line);
    asks || at + 1 == segments.len() || segments.iter().enumerate().any(again)
}

/// The sums of all segments while they grow.
struct Sums<'m> {
    weights: Weights<'m>,
    small: Option<&'m SmallWeights>,
    scale: f32,
    added: [[Added; GROUPS]; MOST],
}

/// The weights of the locator, two for each bucket.
#[derive(Clone, Copy)]
struct Weights<'m> {
    pairs: &'m [[u8; 2]],
    seed: u32,
    bits: u32,
}

impl Weights<'_> {
    #[inline]
    fn add(self, added: &mut Added, group: Group, hash: u32) {
        if let Some(pair) = self.pair(group, hash) {
            added.add(pair);
        }
    }

    #[inline]
    fn pair(self, group: Group, hash: u32) -> Option<[u8; 2]> {
        self.pairs.get(bucket(self.seed, group, hash, self.bits)).copied()
    }
}

impl<'m> Weights<'m> {
    fn of(model: &'m Model) -> Self {
        let (pairs, _) = model.locator().as_chunks();
        Self { pairs, seed: model.seed, bits: model.locator_bits }
    }
}

/// The weights of the features with small values.
pub(super) fn small_weights(model: &Model) -> SmallWeights {
    // A model of another kind of training has no locator.
    if model.locator().is_empty() {
        return SmallWeights::new(|_, _| [0; 2]);
    }
    let weights = Weights::of(model);
    SmallWeights::new(|group, hash| weights.pair(group, hash).unwrap_or_default())
}

impl Marks for Sums<'_> {
    #[inline]
    fn marks<const N: usize>(&mut self, segment: usize, kinds: Kinds, values: [u32; N]) {
        let Kinds { family, first } = kinds;
        let (group, weights, small) = (family.group(), self.weights, self.small);
        let place = self.added.get_mut(segment).and_then(|all| all.get_mut(group as usize));
        let Some(place) = place else { return };
        let mut added = *place;
        for ((kind, value), known) in (first..).zip(values).zip(kinds.values()) {
            let pair = small.and_then(|small| small.pair(known, value));
            if let Some(pair) = pair.or_else(|| weights.pair(group, family.hash(kind, value))) {
                added.add(pair);
            }
        }
        *place = added;
    }
}

impl Sums<'_> {
    /// The features of a segment's own words.
    fn look(&self, text: Text<'_>, segment: &Segment) -> Own {
        let (weights, mut words, mut ends) = (self.weights, Added::default(), Added::default());
        let edges = own(text, segment, |group, hash| {
            let added = if group == Group::Words { &mut words } else { &mut ends };
            weights.add(added, group, hash);
        });
        Own { words, ends, edges }
    }

    /// The same of all segments, which are looked at unless they are known; returns their edges.
    fn take_own(&mut self, text: Text<'_>, mut known: Option<&mut Known<'_>>) -> [Edges; MOST] {
        let mut edges = [Edges::default(); MOST];
        for (at, (segment, edge)) in text.segments.iter().zip(&mut edges).enumerate() {
            let found = match &mut known {
                Some(known) => known.own(at, text, || self.look(text, segment)),
                None => self.look(text, segment),
            };
            *edge = found.edges;
            if let Some([words, ends, ..]) = self.added.get_mut(at) {
                (*words, *ends) = (found.words, found.ends);
            }
        }
        edges
    }

    /// Each sum by the weights that `which` picks.
    fn sums(&self, count: usize, bias: f32, which: impl Fn(&Added) -> i32) -> [f32; MOST] {
        let mut sums = [0.0; MOST];
        for (sum, groups) in sums.iter_mut().zip(&self.added).take(count) {
            let all = groups.iter().map(|one| as_float(which(one)) / root(one.count));
            *sum = bias + all.sum::<f32>() * self.scale;
        }
        sums
    }
}

/// The sum of each segment in the second look.
fn sums(model: &Model, text: Text<'_>, aid: Aid<'_, '_>) -> [f32; MOST] {
    let segments = text.segments;
    let added = [[Added::default(); GROUPS]; MOST];
    let (weights, Aid { small, known }) = (Weights::of(model), aid);
    let mut sums = Sums { weights, small, scale: model.locator_scale, added };
    let edges = sums.take_own(text, known);
    among(segments, &edges, &mut sums);
    let seen = edges.map(|edge| edge.seen);
    let [first, second] = model.locator_bias;
    let first = sums.sums(segments.len(), first, |one| one.first);
    let first = first.get(..segments.len()).unwrap_or_default();
    let look = FirstLook { segments, sums: first, seen: &seen };
    surroundings(look, &mut sums);
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
