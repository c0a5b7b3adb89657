//! Compares the first sum of a segment with those of the others: hashed features of the second look.
//!
//! The first look finds sentences that ask. The second decides what belongs to the one that asks most: the sentences of
//! the same paragraph tell its story, a document above it does not.
//!
//! Not done here: the first look (`relevance.rs`), and choosing (`locate.rs`).

use super::relevance::grade;
use super::relevance::paragraph;
use super::segment::Segment;
use super::segments::MOST;
use super::small_weights::Family;
use super::small_weights::Kinds;
use super::small_weights::Marks;
use super::words::step;

/// The sum of no segment.
pub(super) const LOWEST: f32 = -9.0;

/// The result of the first look.
#[derive(Debug, Clone, Copy)]
pub(super) struct FirstLook<'s> {
    /// The segments.
    pub(super) segments: &'s [Segment],
    /// The sum of each.
    pub(super) sums: &'s [f32],
    /// The long words of each, one bit for a word.
    pub(super) seen: &'s [u128],
}

/// The sums of one paragraph, added, and how many they are.
#[derive(Debug, Clone, Copy, Default)]
struct Whole {
    sum: f32,
    count: u16,
}

/// The sums of a turn, put together.
#[derive(Debug)]
struct Overview {
    /// The highest sum of each paragraph.
    highest: [f32; MOST],
    /// All sums of each paragraph.
    whole: [Whole; MOST],
    /// The highest of all.
    top: f32,
    /// Its segment.
    top_at: usize,
    top_segment: Segment,
    /// The last paragraph.
    last: u32,
    /// Is there a label anywhere?
    frames: u32,
}

impl Overview {
    fn of(look: FirstLook<'_>) -> Self {
        let mut overview = Self {
            highest: [LOWEST; MOST],
            whole: [Whole::default(); MOST],
            top: LOWEST,
            top_at: 0,
            top_segment: look.segments.first().copied().unwrap_or_default(),
            last: look.segments.last().map_or(0, |last| last.paragraph),
            frames: u32::from(look.segments.iter().any(|segment| segment.labels)),
        };
        for (number, (segment, &sum)) in look.segments.iter().zip(look.sums).enumerate() {
            let at = paragraph(segment);
            if let Some(highest) = overview.highest.get_mut(at) {
                *highest = highest.max(sum);
            }
            if let Some(whole) = overview.whole.get_mut(at) {
                whole.sum += sum;
                whole.count += 1;
            }
            if sum > overview.top {
                overview.top = sum;
                overview.top_at = number;
                overview.top_segment = *segment;
            }
        }
        overview
    }
}

/// Hands the features of the second look to `marks`.
pub(super) fn surroundings(look: FirstLook<'_>, marks: &mut impl Marks) {
    let overview = Overview::of(look);
    for (at, segment) in look.segments.iter().enumerate() {
        let compared = Compared::of(look, &overview, at, segment);
        let kinds = |family, first| Kinds { family, first };
        marks.marks(at, kinds(Family::Context, 0), compared.sums());
        marks.marks(at, kinds(Family::Context, 10), compared.places());
        marks.marks(at, kinds(Family::ContextShape, 0), compared.shape());
    }
}

/// A sum as one of few steps.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "held within the steps"
)]
fn step_of(sum: f32, width: f32, most: f32) -> u32 {
    ((sum / width).clamp(-most, most) + (most + 0.5)) as u32
}

/// One segment among the others.
struct Compared<'s> {
    look: FirstLook<'s>,
    overview: &'s Overview,
    at: usize,
    segment: &'s Segment,
    sum: f32,
    /// The sum as one of eleven steps.
    coarse: u32,
    /// How many other sums are higher: of all, and of those after it.
    ranks: (u32, u32),
    /// 1 in the paragraph of the segment of the highest sum, else 0.
    in_top: u32,
}

impl<'s> Compared<'s> {
    fn of(look: FirstLook<'s>, overview: &'s Overview, at: usize, segment: &'s Segment) -> Self {
        let sum = look.sums.get(at).copied().unwrap_or(LOWEST);
        let in_top = u32::from(paragraph(segment) == paragraph(&overview.top_segment));
        let (coarse, ranks) = (step_of(sum, 1.0, 5.0), ranks(look.sums, at, sum));
        Self { look, overview, at, segment, sum, coarse, ranks, in_top }
    }
}

/// How many sums are higher: of all, and of those after it.
fn ranks(sums: &[f32], at: usize, sum: f32) -> (u32, u32) {
    let higher = |others: &[f32]| others.iter().filter(|&&other| other > sum).count();
    let after = sums.get(at + 1..).unwrap_or_default();
    let few = |count: usize, most: usize| u32::try_from(count.min(most)).unwrap_or_default();
    (few(higher(sums), 4), few(higher(after), 3))
}

impl Compared<'_> {
    fn paragraphs_left(&self) -> u32 {
        (self.overview.last - self.segment.paragraph.min(self.overview.last)).min(3)
    }

    /// 0 on the same line, 1 in the same paragraph, 2 elsewhere, 3 for no segment.
    fn near(&self, other: Option<usize>) -> u32 {
        match other.and_then(|at| self.look.segments.get(at)) {
            Some(other) if other.line == self.segment.line => 0,
            Some(other) if other.paragraph == self.segment.paragraph => 1,
            Some(_) => 2,
            None => 3,
        }
    }

    fn side(&self, other: Option<usize>) -> u32 {
        let sum = other.and_then(|at| self.look.sums.get(at));
        self.near(other) * 32 + sum.map_or(31, |&sum| step_of(sum, 1.0, 5.0))
    }

    /// The sum beside those of its paragraph, its neighbours and the highest.
    fn sums(&self) -> [u32; 10] {
        let (sum, coarse, overview) = (self.sum, self.coarse, self.overview);
        let place = paragraph(self.segment);
        let mine = step_of(sum, 0.5, 8.0);
        let highest = overview.highest.get(place).copied().unwrap_or(LOWEST);
        let Whole { sum: whole, count } = overview.whole.get(place).copied().unwrap_or_default();
        let others = if count > 1 { (whole - sum) / f32::from(count - 1) } else { LOWEST };
        let (before, after) = (self.at.checked_sub(1), Some(self.at + 1));
        let (rank, later) = self.ranks;
        let (in_top, from_last) = (self.in_top, self.paragraphs_left());
        [
            step_of(sum, 0.25, 16.0),
            mine * 32 + step_of(highest, 0.5, 8.0),
            coarse * 128 + self.side(before),
            coarse * 128 + self.side(after),
            mine * 32 + step_of(overview.top, 0.5, 8.0),
            (step_of(sum - overview.top, 0.5, 8.0) * 4 + from_last) * 2 + in_top,
            coarse * 32 + step_of(others, 1.0, 5.0),
            (rank * 4 + later) * 16 + coarse,
            (in_top * 16 + coarse) * 4 + from_last,
            ((in_top * 4 + self.near(after)) * 4 + self.near(before)) * 16 + coarse,
        ]
    }

    /// Its place relative to the segment of the highest sum, and the number of long words that both share.
    fn places(&self) -> [u32; 6] {
        let (overview, at, coarse) = (self.overview, self.at, self.coarse);
        let top = &overview.top_segment;
        let away = if at < overview.top_at {
            (overview.top_at - at).min(4)
        } else {
            5 + (at - overview.top_at).min(4)
        };
        let away = u32::try_from(away).unwrap_or_default();
        let together = if top.line == self.segment.line {
            0
        } else if self.in_top == 1 {
            1
        } else {
            2 + u32::from(top.label == self.segment.label)
        };
        let about = |at: usize| self.look.seen.get(at).copied().unwrap_or_default();
        let shared = (about(at) & about(overview.top_at)).count_ones().min(4);
        let words = about(overview.top_at).count_ones();
        let rich = u32::from(words > 2) + u32::from(words > 6);
        let sure = step_of(overview.top, 1.0, 4.0);
        let (frames, paragraphs) = (overview.frames, overview.last.min(5));
        let crowd = grade(self.look.segments.len()).min(7);
        let (rank, _) = self.ranks;
        [
            (away * 4 + together) * 16 + coarse,
            ((away * 4 + together) * 8 + shared) * 4 + rich,
            (together * 16 + sure) * 16 + coarse,
            ((shared * 4 + rich) * 4 + together) * 2 + frames,
            ((paragraphs * 4 + together) * 2 + frames) * 8 + crowd,
            ((together * 4 + self.paragraphs_left()) * 4 + rank) * 2 + frames,
        ]
    }

    /// The sum beside shape and label.
    fn shape(&self) -> [u32; 7] {
        let (segment, coarse) = (self.segment, self.coarse);
        [
            coarse * 32 + segment.lead as u32 * 2 + u32::from(segment.fenced),
            coarse * 2 + u32::from(segment.labels),
            coarse * 16 + segment.signs.min(8),
            (coarse * 4 + segment.since) * 2 + u32::from(segment.label != 0),
            coarse * 16 + grade(segment.len()).min(9),
            coarse * 16 + grade(self.look.segments.len()).min(9),
            step(segment.label, self.in_top * 4 + segment.since),
        ]
    }
}
