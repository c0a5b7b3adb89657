//! The features of a segment and its neighbours, hashed, for the first look.
//!
//! Words, the words at the edges, the label above the segment, its shape and place, and what stands before and after.
//! Serving adds weights over these features and training collects buckets, both through [`features`].
//!
//! Not done here: comparing segments by their sums (`surroundings.rs`), and choosing (`locate.rs`).

use super::letters::is_hangul;
use super::letters::without_final;
use super::segment::Segment;
use super::segments::MOST;
use super::small_weights::Family;
#[cfg(feature = "train")]
use super::small_weights::Hashed;
use super::small_weights::Kinds;
use super::small_weights::Marks;
use super::words::BASIS;
use super::words::Word;
use super::words::step;
use super::words::step_letter;

/// Words of a segment that are looked at.
const WORDS: usize = 24;
/// Pairs are made of so many first and so many last words.
const PAIRED_FIRST: usize = 8;
const PAIRED_LAST: usize = 4;
/// Words of a fenced block whose weights count.
const FENCED: usize = 6;
/// Words of a segment that are walked over; of a longer one the last are looked at besides.
pub(super) const WALKED: usize = 40;

/// The group of a feature: in each the weights are added and divided by the root of their number. The numbers are
/// hashed: never give one to another group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Group {
    /// Words and pairs of words.
    Words = 0,
    /// The first and the last words.
    Edges = 1,
    /// Label, shape and place.
    Shape = 2,
    /// The segments before and after.
    Neighbours = 3,
    /// The first sum of a segment beside those around it.
    Context = 4,
    /// The same with shape.
    ContextShape = 5,
}

/// Groups of the first look, which come first.
#[cfg(feature = "train")]
pub(super) const FIRST_GROUPS: usize = 4;
/// All groups.
pub(super) const GROUPS: usize = 6;

/// A turn: its letters, its words and its segments.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text<'t> {
    /// The letters.
    pub(super) letters: &'t [char],
    /// The words.
    pub(super) words: &'t [Word],
    /// The segments.
    pub(super) segments: &'t [Segment],
}

/// The features of a segment that its neighbours use.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Edges {
    first: u32,
    second: u32,
    before_last: u32,
    last: u32,
    /// The ending of a Korean word without its final consonants.
    stem: u32,
    ending: u32,
    words: u32,
    /// The long words that occur, one bit each.
    pub(super) seen: u128,
}

/// One segment among all.
#[derive(Debug, Clone, Copy)]
struct Place<'s> {
    segments: &'s [Segment],
    edges: &'s [Edges],
    at: usize,
    segment: &'s Segment,
}

/// The paragraphs that ask something, and the number of segments that do.
#[derive(Debug)]
struct Asking {
    paragraphs: [bool; MOST],
    segments: usize,
}

/// Hands the features of all segments to `put`, with the number of the segment; returns what each is about.
#[cfg(feature = "train")]
pub(super) fn features(text: Text<'_>, mut put: impl FnMut(usize, Group, u32)) -> [u128; MOST] {
    let mut edges = [Edges::default(); MOST];
    for (at, (segment, edge)) in text.segments.iter().zip(&mut edges).enumerate() {
        *edge = own(text, segment, |group, hash| put(at, group, hash));
    }
    among(text.segments, &edges, &mut Hashed(put));
    edges.map(|edge| edge.seen)
}

/// Hands the features of all segments that depend on those around them to `marks`.
pub(super) fn among(segments: &[Segment], edges: &[Edges; MOST], marks: &mut impl Marks) {
    let mut asking = Asking { paragraphs: [false; MOST], segments: 0 };
    for segment in segments {
        let asks = segment.ending == 1 && !segment.fenced;
        asking.segments += usize::from(asks);
        if let Some(place) = asking.paragraphs.get_mut(paragraph(segment)) {
            *place |= asks;
        }
    }
    for (at, segment) in segments.iter().enumerate() {
        let place = Place { segments, edges, at, segment };
        shape(place, &asking, marks);
        neighbours(place, marks);
    }
}

/// The paragraph of a segment as a place in an array.
pub(super) fn paragraph(segment: &Segment) -> usize {
    usize::try_from(segment.paragraph).unwrap_or_default() % MOST
}

/// Grade by powers of two.
pub(super) fn grade(count: usize) -> u32 {
    usize::BITS - count.leading_zeros()
}

/// A bit for a word that says what a sentence is about; 0 for a short one.
#[inline]
fn seen(letters: &[char], word: Word) -> u128 {
    let whole = letters.get(word.start()..word.end()).unwrap_or_default();
    let start = match whole {
        [first, second, ..] if is_hangul(*first) => {
            step_letter(step_letter(BASIS, *first), without_final(*second))
        }
        [first, ..] if whole.len() >= 4 && *first != '0' && !is_hangul(*first) => {
            whole.iter().take(5).fold(BASIS, |hash, &letter| step_letter(hash, letter))
        }
        _ => return 0,
    };
    1 << (start.wrapping_mul(0x9e37_79b1) >> 25)
}

/// Hands the features of a segment's own words to `put`; returns its edges.
pub(super) fn own(text: Text<'_>, segment: &Segment, mut put: impl FnMut(Group, u32)) -> Edges {
    let Text { letters, words, .. } = text;
    let mut edges = Edges { ending: segment.ending, ..Edges::default() };
    let mut before: Option<Word> = None;
    let mut last: Option<Word> = None;
    let (counted, walked) = if segment.fenced { (FENCED + 1, WALKED) } else { (WORDS, WALKED) };
    let words = segment.words(words).iter().filter(|word| !word.ends_line());
    let tail = (segment.to - segment.from).saturating_sub(PAIRED_LAST);
    for (at, &word) in words.enumerate().take(walked) {
        if at < counted {
            put(Group::Words, word.hash);
            let paired = at < PAIRED_FIRST || at > tail;
            if let Some(before) = before.filter(|_| paired) {
                put(Group::Words, step(before.hash.wrapping_mul(31), word.hash));
            }
        }
        match at {
            0 => edges.first = word.hash,
            1 => edges.second = word.hash,
            _ => {}
        }
        edges.words += 1;
        edges.seen |= seen(letters, word);
        before = Some(word);
        if word.is_word() {
            edges.before_last = last.map_or(0, |word| word.hash);
            last = Some(word);
        }
    }
    if let Some(last) = last {
        edges.last = last.hash;
        let whole = letters.get(last.start()..last.end()).unwrap_or_default();
        if let &[.., before, end] = whole
            && is_hangul(end)
        {
            edges.stem = step_letter(step_letter(BASIS ^ 9, without_final(before)), end);
        }
    }
    let mut placed = |hash: u32, place: u32| put(Group::Edges, step(hash, 0x1000 + place));
    placed(edges.first, 1);
    placed(step(edges.first, edges.second), 2);
    placed(edges.last, 3);
    placed(step(edges.before_last, edges.last), 4);
    placed(edges.stem, 5);
    placed(step(edges.last, edges.ending), 6);
    edges
}

/// Label, shape and place.
fn shape(place: Place<'_>, asking: &Asking, marks: &mut impl Marks) {
    let Place { segments, edges, at, segment } = place;
    let edge = edges.get(at).copied().unwrap_or_default();
    let count = segments.len();
    let length = grade(segment.len());
    let from_end = u32::try_from(count - at).unwrap_or_default().min(4);
    let from_start = u32::try_from(at).unwrap_or_default().min(3);
    let last_paragraph = segments.last().map_or(0, |last| last.paragraph);
    let paragraphs = last_paragraph.min(4);
    let from_last = (last_paragraph - segment.paragraph.min(last_paragraph)).min(3);
    let lead = segment.lead as u32 * 2 + u32::from(segment.fenced);
    let asks = u32::from(asking.paragraphs.get(paragraph(segment)).copied().unwrap_or_default());
    let others_ask = u32::try_from(asking.segments.min(3)).unwrap_or_default();
    let crowd = grade(count);
    let repeated = repeated(place);
    let values = [
        length,
        segment.signs.min(8),
        segment.digits.min(8),
        edge.ending,
        lead,
        from_end * 8 + crowd.min(5),
        from_start * 8 + crowd.min(5),
        from_last * 8 + paragraphs,
        edge.ending * 16 + lead,
        asks * 16 + edge.ending,
        (others_ask * 2 + u32::from(edge.ending == 1)) * 4 + from_last,
        step(segment.label, segment.since),
        step(segment.label, segment.since * 16 + edge.ending),
        u32::from(segment.labels) * 16 + length.min(8),
        length.min(8) * 16 + crowd,
        (from_last * 8 + from_end) * 2 + asks,
        edge.words.min(6) * 16 + edge.ending,
        step(segment.label, from_last + 7),
        repeated,
        step(segment.label, repeated * 4 + segment.since),
    ];
    marks.marks(at, Kinds { family: Family::Shape, first: 0 }, values);
}

/// Is the label of a segment there before it and after it? Of several inputs the last one is asked.
fn repeated(place: Place<'_>) -> u32 {
    let Place { segments, at, segment, .. } = place;
    let alike = |other: &Segment| {
        other.label == segment.label && other.since == segment.since && other.line != segment.line
    };
    let (before, after) = segments.split_at_checked(at).unwrap_or((segments, &[]));
    u32::from(before.iter().any(alike)) * 2 + u32::from(after.iter().any(alike))
}

/// The segments before and after.
fn neighbours(place: Place<'_>, marks: &mut impl Marks) {
    let Place { segments, edges, at, segment } = place;
    let mine = edges.get(at).copied().unwrap_or_default();
    for (side, other) in (0_u32..).zip([at.checked_sub(1), Some(at + 1)]) {
        let mut mark = |kind: u32, value: u32| {
            let kinds = Kinds { family: Family::Neighbours, first: kind * 2 + side };
            marks.marks(at, kinds, [value]);
        };
        let found = other.and_then(|at| Some((segments.get(at)?, edges.get(at)?)));
        let Some((other, edge)) = found else {
            mark(0, mine.ending);
            continue;
        };
        let near = if other.line == segment.line {
            1
        } else if other.paragraph == segment.paragraph {
            2
        } else {
            3
        };
        let look = (edge.ending * 4 + near) * 2 + u32::from(other.labels);
        mark(1, look);
        mark(2, look * 16 + mine.ending);
        mark(3, (other.signs.min(6) * 8 + grade(other.len()).min(7)) * 4 + near);
        if near < 3 {
            mark(4, step(edge.last, near));
            mark(5, step(edge.first, near));
            mark(6, edge.stem);
        }
        if other.label != segment.label {
            mark(7, other.label);
        }
    }
}
