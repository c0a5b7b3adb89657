//! A segment of a turn: where it stands, the label above it, and how its line starts and ends.
//!
//! Does not split a turn (`segments.rs`).

use super::words::Span;
use super::words::Word;

/// A label is at most so many letters long.
pub(super) const LABEL: usize = 28;

/// The sign or mark that begins the line of a segment. The numbers are hashed: never give one to another mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub(super) enum Lead {
    /// A letter, or the segment does not start its line.
    #[default]
    None = 0,
    /// `#`
    Heading = 1,
    /// `-`, `*` or a dot.
    Bullet = 2,
    /// `1.` or `1)`
    Number = 3,
    /// `a)` or `a.` or `(a)`
    Option = 4,
    /// `>`
    Quote = 5,
    /// `|`
    Table = 6,
    /// `{`, `}`, `[`, `]`
    Bracket = 7,
    /// A figure, as in a log or a table.
    Figure = 8,
    /// Any other sign.
    Sign = 9,
}

/// A stretch of a turn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Segment {
    /// The number of its first word.
    pub(super) from: usize,
    /// The number of the first word behind it.
    pub(super) to: usize,
    /// Its letters.
    pub(super) span: Span,
    /// The hash of the label that governs it; 0 if there is none.
    pub(super) label: u32,
    /// Paragraphs since that label: 0 on the same line, at most 3.
    pub(super) since: u32,
    /// The mark before it.
    pub(super) lead: Lead,
    /// The number of its line, counted from the start.
    pub(super) line: u32,
    /// The number of its paragraph.
    pub(super) paragraph: u32,
    /// True for a fenced block.
    pub(super) fenced: bool,
    /// True for a label, a heading or a line that ends with a colon.
    pub(super) labels: bool,
    /// The hash by which a label is known to what follows it; 0 for all else.
    pub(super) name: u32,
    /// Share of signs, in sixteenths of the letters.
    pub(super) signs: u32,
    /// Share of digits, in sixteenths of the letters.
    pub(super) digits: u32,
    /// True for lines of code, rows of a table and the like: neighbours of this kind are one segment.
    pub(super) block: bool,
    /// The sign at its end: 1 `?`, 2 `.`, 3 `:`, 4 `!`, 5 a digit, 6 Hangul, 7 another word, 8 another sign.
    pub(super) ending: u32,
}

impl Segment {
    /// The number of its letters.
    pub(super) fn len(&self) -> usize {
        self.span.end.saturating_sub(self.span.start)
    }

    /// Its words.
    pub(super) fn words<'w>(&self, words: &'w [Word]) -> &'w [Word] {
        words.get(self.from..self.to).unwrap_or_default()
    }

    /// Is `next` part of the block that this segment starts, such as lines of code or rows of a table?
    pub(super) fn continues_in(&self, next: &Self) -> bool {
        let short = next.to - next.from <= 2 && next.ending == 7;
        self.block
            && (next.block || short)
            && self.paragraph == next.paragraph
            && self.label == next.label
    }

    /// Is it a label that opens what follows, rather than a sentence that ends with a colon?
    pub(super) fn is_label(&self) -> bool {
        self.labels && self.len() <= LABEL
    }

    /// Is it prose, rather than code, a formula or a row of a table?
    pub(super) fn is_prose(&self) -> bool {
        !self.fenced && self.signs <= 3 && self.digits <= 8
    }
}
