//! What can be seen in a turn: hashed n-grams in separate namespaces, and the marks of its shape.
//!
//! The namespaces keep apart what means different things: a word anywhere, the same word among the first twelve, in the
//! first or in the last sentence of prose. Each n-gram is hashed as it is met and handed to a [`Sink`] at once; nothing
//! is stored. Serving adds weights, training collects buckets, explaining remembers places, all over this one walk.
//! What was tried and left out (it fitted the training sources and lost on others): word pairs and n-grams of letters
//! over the whole text, the last words and letters beside the last sentence, the order of letter classes.
//!
//! Not done here: weights (`linear.rs`), other turns (`conversation.rs`).

use super::asks::Span;
use super::asks::asks;
use super::letters::GAP;
use super::letters::is_hangul;
use super::letters::without_final;
use super::sample::Sample;
use super::shape::Mark;
use super::shape::Script;
use super::shape::marks;
use super::words::BASIS;
use super::words::Word;
use super::words::step;
use super::words::step_letter;
use super::words::words;

/// The number of this walk. A model names the walk it was trained for; whoever changes what is hashed gives it a new
/// number, since old weights would answer other questions.
pub(super) const LAYOUT: u16 = 1;

/// Where an n-gram was seen. The numbers are hashed: never give one to another place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Namespace {
    /// A word anywhere.
    Word = 0,
    /// Words, pairs and triples of the first twelve words.
    HeadWords = 1,
    /// Three to five letters in a row of the first eighty.
    HeadLetters = 2,
    /// The first sentence of prose.
    FirstAsk = 3,
    /// The last sentence of prose.
    LastAsk = 4,
    /// How a Korean word starts and ends, final consonants left out.
    Stem = 5,
    /// Marks of shape.
    Shape = 6,
}

impl Namespace {
    /// All of them, in the order of their numbers.
    pub(super) const ALL: [Self; 7] = [
        Self::Word,
        Self::HeadWords,
        Self::HeadLetters,
        Self::FirstAsk,
        Self::LastAsk,
        Self::Stem,
        Self::Shape,
    ];
}

/// Words that count as the head of a text.
const HEAD_WORDS: usize = 12;
/// Letters that count as the head of a text.
const HEAD_LETTERS: usize = 80;
/// Words at the start of a sentence whose place in it is a feature of its own.
const PLACED_WORDS: u32 = 3;

/// What n-grams are handed to.
pub(super) trait Sink {
    /// An n-gram: if it was seen, its hash, and which letters of the sample it spans.
    fn gram(&mut self, namespace: Namespace, hash: u32, span: Span);

    /// A mark of shape and its hash.
    fn mark(&mut self, mark: Mark, hash: u32);
}

/// The bucket of an n-gram in a table of `2^bits` weights.
pub(super) fn bucket(seed: u32, namespace: Namespace, hash: u32, bits: u32) -> usize {
    let salt = seed.wrapping_add(namespace as u32 + 1).wrapping_mul(0x9e37_79b1);
    let mut mixed = hash ^ salt;
    // **Source:** the finaliser `lowbias32` of C. Wellons' hash prospector (public domain).
    mixed = (mixed ^ (mixed >> 16)).wrapping_mul(0x7feb_352d);
    mixed = (mixed ^ (mixed >> 15)).wrapping_mul(0x846c_a68b);
    mixed ^= mixed >> 16;
    usize::try_from(mixed >> (32 - bits)).unwrap_or_default()
}

/// Walks over a turn and hands everything seen in it to `sink`; returns its script.
pub(super) fn walk(sample: &Sample, sink: &mut impl Sink) -> Script {
    let letters = sample.letters();
    let mut before: [Option<Word>; 2] = [None, None];
    for (place, word) in words(letters, 0, letters.len()).enumerate() {
        sink.gram(Namespace::Word, word.hash, (word.start, word.end));
        stem(letters, word, sink);
        if place < HEAD_WORDS {
            before = phrase(before, word, Namespace::HeadWords, sink);
        }
    }
    runs((letters, (0, HEAD_LETTERS.min(letters.len()))), 5, Namespace::HeadLetters, sink);
    let (first, last) = asks(letters);
    ask((letters, first), Namespace::FirstAsk, sink);
    ask((letters, last), Namespace::LastAsk, sink);
    marks(sample, (first, last), |mark| {
        sink.mark(mark, step(step(BASIS ^ 0x99, mark.kind as u32), mark.grade));
    })
}

/// The start and the end of a Korean word: stem and ending, as far as syllables tell.
fn stem(letters: &[char], word: Word, sink: &mut impl Sink) {
    let whole = letters.get(word.start..word.end).unwrap_or_default();
    let (&[first, second, ..], &[.., before, last]) = (whole, whole) else { return };
    if !is_hangul(first) {
        return;
    }
    let start = step_letter(step_letter(BASIS ^ 7, first), without_final(second));
    sink.gram(Namespace::Stem, start, (word.start, word.start + 2));
    if whole.len() > 2 {
        let end = step_letter(step_letter(BASIS ^ 9, without_final(before)), last);
        sink.gram(Namespace::Stem, end, (word.end - 2, word.end));
    }
}

fn pair(first: Word, second: Word) -> u32 {
    step(first.hash.wrapping_mul(31), second.hash)
}

/// The word itself, the pair and the triple that it ends; returns the last two words.
fn phrase(
    before: [Option<Word>; 2],
    word: Word,
    namespace: Namespace,
    sink: &mut impl Sink,
) -> [Option<Word>; 2] {
    sink.gram(namespace, word.hash, (word.start, word.end));
    if let Some(last) = before[1] {
        sink.gram(namespace, pair(last, word), (last.start, word.end));
        if let Some(earlier) = before[0] {
            let triple = step(pair(earlier, last), word.hash);
            sink.gram(namespace, triple, (earlier.start, word.end));
        }
    }
    [before[1], Some(word)]
}

/// A sentence: its phrases, its first words by place, pairs with a word between them, and runs of letters.
fn ask(sentence: (&[char], Span), namespace: Namespace, sink: &mut impl Sink) {
    let (letters, (start, end)) = sentence;
    let mut before: [Option<Word>; 2] = [None, None];
    for (place, word) in (0..).zip(words(letters, start, end)) {
        if place < PLACED_WORDS {
            sink.gram(namespace, step(word.hash, 0x1000 + place), (word.start, word.end));
        }
        if let Some(first) = before[0] {
            sink.gram(namespace, step(pair(first, word), 0x77), (first.start, word.end));
        }
        before = phrase(before, word, namespace, sink);
    }
    runs(sentence, 4, namespace, sink);
}

/// Runs of three letters up to `longest` letters; none reaches over a gap.
fn runs(stretch: (&[char], Span), longest: usize, namespace: Namespace, sink: &mut impl Sink) {
    let (letters, (from, to)) = stretch;
    let mut rest = letters.get(from..to).unwrap_or_default();
    let mut start = from;
    while !rest.is_empty() {
        let mut hash = BASIS ^ 0x55;
        for (end, &letter) in (start + 1..).zip(rest.iter().take(longest)) {
            if letter == GAP {
                break;
            }
            hash = step_letter(hash, letter);
            if end >= start + 3 {
                sink.gram(namespace, hash, (start, end));
            }
        }
        rest = rest.get(1..).unwrap_or_default();
        start += 1;
    }
}
