//! The features of a turn: hashed n-grams in separate namespaces, and the marks of its shape.
//!
//! The namespaces keep apart what means different things: a word anywhere, the same word among the first twelve, in the
//! first or in the last sentence of prose. Each n-gram is hashed as it is met and handed to a [`Sink`] at once; nothing
//! is stored. Serving adds weights, training collects buckets, explaining remembers places, all over this one walk.
//! Tried and left out (they fitted the training sources and lost on others): word pairs and n-grams of letters
//! over the whole text, the last words and letters beside the last sentence, the order of letter classes.
//!
//! Not done here: weights (`linear.rs`), other turns (`conversation.rs`).

use std::ops::Range;

use super::letters::is_hangul;
use super::letters::without_final;
use super::locate::Located;
use super::relevance::Text;
use super::segment::Segment;
use super::shape::Asks;
use super::shape::Counts;
use super::shape::Mark;
use super::shape::Script;
use super::shape::marks;
use super::words::BASIS;
use super::words::Span;
use super::words::Word;
use super::words::step;
use super::words::step_letter;

/// The number of this walk. A model names the walk it was trained for; whoever changes what is hashed gives it a new
/// number, since old weights would answer other questions.
pub(super) const LAYOUT: u16 = 5;

/// The place in which an n-gram was seen. The numbers are hashed: never give one to another place.
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
    /// The start and the end of a Korean word, without final consonants.
    Stem = 5,
    /// Marks of shape.
    Shape = 6,
    /// A word of what stands around the question.
    Material = 7,
}

impl Namespace {
    /// All of them, in the order of their numbers.
    pub(super) const ALL: [Self; 8] = [
        Self::Word,
        Self::HeadWords,
        Self::HeadLetters,
        Self::FirstAsk,
        Self::LastAsk,
        Self::Stem,
        Self::Shape,
        Self::Material,
    ];
}

/// Words that count as the head of a text.
const HEAD_WORDS: usize = 12;
/// Letters that count as the head of a text.
const HEAD_LETTERS: usize = 80;
/// Words at the start of a sentence whose place in it is a feature of its own.
const PLACED_WORDS: u32 = 3;
/// The most letters of a sentence that are taken: of the first its head, of the last its tail.
const SENTENCE: usize = 160;
/// The most words around the question that are taken.
const MATERIAL: usize = 160;

/// The receiver of n-grams.
pub(super) trait Sink {
    /// True if it takes the words of each segment at once: what it adds up must not depend on their order.
    const BY_SEGMENT: bool = false;

    /// An n-gram: where it was seen, its hash, and which letters of the sample it spans.
    fn gram(&mut self, namespace: Namespace, hash: u32, span: Span);

    /// A mark of shape and its hash.
    fn mark(&mut self, mark: Mark, hash: u32);

    /// The words of a segment of the question, by its number, if they are taken by segment.
    fn words(&mut self, _segment: usize, letters: &[char], words: &[Word])
    where
        Self: Sized,
    {
        each_word(letters, words, self);
    }

    /// A sentence of the question that is asked first or last, by the number of its segment.
    fn ask(&mut self, _segment: usize, sentence: Sentence<'_>, namespace: Namespace)
    where
        Self: Sized,
    {
        ask(sentence, namespace, self);
    }
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

/// Walks over a turn and hands everything seen in it to `sink`; returns the script of its question.
pub(super) fn walk(turn: &Located<'_>, sink: &mut impl Sink) -> Script {
    let Located { text, question } = turn;
    let segments = text.segments;
    let mut counts = Counts::default();
    let mut head = Head { words: HEAD_WORDS, letters: HEAD_LETTERS, before: [None, None] };
    let mut material = MATERIAL;
    let mut at = 0;
    while let Some(first) = segments.get(at) {
        if !question.has(at) {
            at += 1;
            for word in first.words(text.words).iter().filter(|word| word.is_word()) {
                if material == 0 {
                    break;
                }
                material -= 1;
                sink.gram(Namespace::Material, word.hash, word.span());
            }
            continue;
        }
        // Neighbours keep what stands between them, such as a label.
        let (start, mut last) = (at, first);
        while let Some(next) = segments.get(at).filter(|_| question.has(at)) {
            last = next;
            at += 1;
        }
        let words = text.words.get(first.from..last.to).unwrap_or_default();
        counts.stretch(text.letters, words);
        if by_segment(sink) {
            each_segment(*text, start..at, sink);
        }
        stretch(text.letters, words, &mut head, sink);
    }
    let asked = || segments.iter().enumerate().filter(|(at, _)| question.has(*at));
    let first = asked().find(|(_, one)| one.is_prose()).or_else(|| asked().next());
    let last = asked().rfind(|(_, one)| one.is_prose()).or_else(|| asked().next_back());
    let length = |one: Option<(usize, &Segment)>| one.map_or(0, |(_, one)| one.len().min(SENTENCE));
    if let Some((number, segment)) = first {
        let span =
            Span { end: segment.span.end.min(segment.span.start + SENTENCE), ..segment.span };
        let words = segment.words(text.words);
        let sentence = Sentence { letters: text.letters, words, span };
        sink.ask(number, sentence, Namespace::FirstAsk);
    }
    if let Some((number, segment)) = last {
        let start = segment.span.start.max(segment.span.end.saturating_sub(SENTENCE));
        let span = Span { start, ..segment.span };
        let words = segment.words(text.words);
        let sentence = Sentence { letters: text.letters, words, span };
        sink.ask(number, sentence, Namespace::LastAsk);
    }
    let asks = Asks {
        first: length(first),
        last: length(last),
        one: first.map(|(at, _)| at) == last.map(|(at, _)| at),
    };
    marks(&counts, asks, |mark| {
        sink.mark(mark, step(step(BASIS ^ 0x99, mark.kind as u32), mark.grade));
    })
}

/// The rest of the head of a question that may still be read, and its last two words so far.
struct Head {
    words: usize,
    letters: usize,
    before: [Option<Word>; 2],
}

fn by_segment<S: Sink>(_sink: &S) -> bool {
    S::BY_SEGMENT
}

/// The words of neighbours segment by segment, with those that stand between them.
fn each_segment(text: Text<'_>, neighbours: Range<usize>, sink: &mut impl Sink) {
    let segments = text.segments.get(neighbours.clone()).unwrap_or_default();
    let mut from = segments.first().map_or(0, |first| first.from);
    for (number, segment) in neighbours.zip(segments) {
        let between = text.words.get(from..segment.from).unwrap_or_default();
        each_word(text.letters, between, sink);
        sink.words(number, text.letters, segment.words(text.words));
        from = segment.to;
    }
}

/// Each word of the question, wherever it stands.
pub(super) fn each_word(letters: &[char], words: &[Word], sink: &mut impl Sink) {
    for &word in words.iter().filter(|word| !word.ends_line()) {
        sink.gram(Namespace::Word, word.hash, word.span());
        stem(letters, word, sink);
    }
}

/// Neighbours of the question: each word, unless they were taken by segment, and what belongs to the head.
fn stretch(letters: &[char], words: &[Word], head: &mut Head, sink: &mut impl Sink) {
    let by_segment = by_segment(sink);
    for &word in words.iter().filter(|word| !word.ends_line()) {
        if !by_segment {
            sink.gram(Namespace::Word, word.hash, word.span());
            stem(letters, word, sink);
        }
        if head.words > 0 {
            head.words -= 1;
            head.before = phrase(head.before, word, Namespace::HeadWords, sink);
        } else if by_segment {
            break;
        }
    }
    let (Some(first), Some(last)) = (words.first(), words.last()) else { return };
    let start = first.start();
    let end = last.end().min(start + head.letters);
    head.letters -= end - start;
    runs::<5>(letters.get(..end).unwrap_or_default(), start, |hash, span| {
        sink.gram(Namespace::HeadLetters, hash, span);
    });
}

/// The start and the end of a Korean word: stem and ending, as far as syllables tell.
fn stem(letters: &[char], word: Word, sink: &mut impl Sink) {
    if word.hangul < 2 {
        return;
    }
    let whole = letters.get(word.start()..word.end()).unwrap_or_default();
    let (&[first, second, ..], &[.., before, last]) = (whole, whole) else { return };
    if !is_hangul(first) {
        return;
    }
    let Span { start: from, end: to } = word.span();
    let start = step_letter(step_letter(BASIS ^ 7, first), without_final(second));
    sink.gram(Namespace::Stem, start, Span { start: from, end: from + 2 });
    if whole.len() > 2 {
        let end = step_letter(step_letter(BASIS ^ 9, without_final(before)), last);
        sink.gram(Namespace::Stem, end, Span { start: to - 2, end: to });
    }
}

fn pair(first: Word, second: Word) -> u32 {
    step(first.hash.wrapping_mul(31), second.hash)
}

fn from(first: Word, last: Word) -> Span {
    Span { start: first.start(), end: last.end() }
}

/// The word itself, the pair and the triple that it ends; returns the last two words.
fn phrase(
    before: [Option<Word>; 2],
    word: Word,
    namespace: Namespace,
    sink: &mut impl Sink,
) -> [Option<Word>; 2] {
    sink.gram(namespace, word.hash, word.span());
    if let Some(last) = before[1] {
        sink.gram(namespace, pair(last, word), from(last, word));
        if let Some(earlier) = before[0] {
            let triple = step(pair(earlier, last), word.hash);
            sink.gram(namespace, triple, from(earlier, word));
        }
    }
    [before[1], Some(word)]
}

/// A sentence of the question, or the part of it that is taken.
#[derive(Clone, Copy)]
pub(super) struct Sentence<'t> {
    letters: &'t [char],
    words: &'t [Word],
    span: Span,
}

/// A sentence: its phrases, its first words by place, pairs with a word between them, and runs of letters.
pub(super) fn ask(sentence: Sentence<'_>, namespace: Namespace, sink: &mut impl Sink) {
    let Sentence { letters, words, span } = sentence;
    let inside =
        |word: &&Word| word.start() >= span.start && word.start() < span.end && !word.ends_line();
    let mut before: [Option<Word>; 2] = [None, None];
    for (place, &word) in (0..).zip(words.iter().filter(inside)) {
        if place < PLACED_WORDS {
            sink.gram(namespace, step(word.hash, 0x1000 + place), word.span());
        }
        if let Some(first) = before[0] {
            sink.gram(namespace, step(pair(first, word), 0x77), from(first, word));
        }
        before = phrase(before, word, namespace, sink);
    }
    let letters = letters.get(..span.end).unwrap_or_default();
    runs::<4>(letters, span.start, |hash, span| sink.gram(namespace, hash, span));
}

/// Runs of three letters up to `LONGEST` letters from `start` on; none reaches over the end of a line.
#[inline]
fn runs<const LONGEST: usize>(letters: &[char], start: usize, mut put: impl FnMut(u32, Span)) {
    let mut start = start;
    for line in letters.get(start..).unwrap_or_default().split(|&letter| letter < ' ') {
        let windows = line.windows(LONGEST);
        let whole = windows.len();
        for (at, window) in windows.enumerate() {
            // An array's loop is unrolled.
            if let Some(window) = window.first_chunk::<LONGEST>() {
                run(window, start + at, &mut put);
            }
        }
        // The last letters start shorter runs.
        for at in whole..line.len() {
            run(line.get(at..).unwrap_or_default(), start + at, &mut put);
        }
        start += line.len() + 1;
    }
}

/// The run of three letters that starts at `start`, and the longer ones up to the whole window.
#[inline]
fn run(window: &[char], start: usize, put: &mut impl FnMut(u32, Span)) {
    let mut hash = BASIS ^ 0x55;
    for (more, &letter) in window.iter().enumerate() {
        hash = step_letter(hash, letter);
        if more >= 2 {
            put(hash, Span { start, end: start + more + 1 });
        }
    }
}
