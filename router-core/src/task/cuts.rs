//! Finds the places at which a line of a turn is cut into segments: tags, brackets, keys, labels, arrows and ends of sentences.
//!
//! Each of these is found at one sign, by a look at the few words around it.
//!
//! Does not keep the state of the pass (`segments.rs`).

use super::segment::LABEL;
use super::words::Span;
use super::words::Word;

/// A tag is at most so many letters long.
const TAG: usize = 40;
/// A stop ends a sentence of at least so many letters.
const SHORTEST: usize = 6;
/// Thanks at the end of a line have at most so many words and signs.
const COURTESY: usize = 9;
/// From so many words on, what stands behind an equals sign is text.
const WORDS_OF_VALUE: usize = 3;

/// A cut of a line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cut {
    /// The first word that does not belong to the segment before the cut.
    pub(super) end: usize,
    /// The first word of the next segment.
    pub(super) next: usize,
    /// The words of the label that the cut makes; none of them for a closing tag.
    pub(super) label: Option<Named>,
    /// Does the cut open a value that signs close?
    pub(super) value: bool,
}

/// The words of a label.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named {
    /// The first.
    pub(super) from: usize,
    /// The first behind them.
    pub(super) to: usize,
}

impl Cut {
    /// The end of a sentence: behind the word at `at`.
    fn behind(at: usize) -> Self {
        Self { end: at + 1, next: at + 1, label: None, value: false }
    }
}

/// The letters and words of a turn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signs<'l> {
    /// The letters.
    pub(super) letters: &'l [char],
    /// The words and signs.
    pub(super) words: &'l [Word],
}

impl Signs<'_> {
    /// The word at a place; an empty one for no place.
    pub(super) fn word(&self, at: usize) -> Word {
        self.words.get(at).copied().unwrap_or_default()
    }

    /// The code of the sign at a place; 0 for a word and for no place.
    pub(super) fn sign(&self, at: usize) -> u8 {
        self.word(at).sign
    }

    /// Does the word at `at` follow the one before it without a blank?
    pub(super) fn adjoins(&self, at: usize) -> bool {
        at > 0 && self.word(at).start() == self.word(at - 1).end()
    }

    /// The letters from the word at `from` up to, not including, the word at `to`.
    pub(super) fn span(&self, from: usize, to: usize) -> Span {
        if from >= to {
            return Span::default();
        }
        Span { start: self.word(from).start(), end: self.word(to - 1).end() }
    }

    /// The cut at the word `at` of a line whose segment starts at `start`; `labelled` if a label governs it already.
    pub(super) fn cut(&self, start: usize, at: usize, end: usize, labelled: bool) -> Option<Cut> {
        match self.sign(at) {
            b'<' => self.tag(at, end),
            b'[' => self.bracket(at, end),
            b'=' => self.equals(start, at, end),
            b'>' => self.arrow(start, at, end),
            b':' => self.colon(start, at, end).filter(|cut| !(labelled && cut.end > at)),
            b'*' => self.emphasis(start, at, end),
            b'.' | b'?' | b'!' | 1 => {
                self.asked_label(start, at, end).or_else(|| self.stop(start, at, end))
            }
            0 if self.word(at).hangul > 1 => self.courtesy(start, at, end),
            _ => None,
        }
    }

    /// A tag such as `<context>`.
    fn tag(&self, at: usize, end: usize) -> Option<Cut> {
        let after = self.word(at + 1);
        let closing = after.sign == b'/';
        // `Vec<u32>` is code.
        let code = !closing && self.adjoins(at) && self.word(at - 1).is_word();
        if at + 1 >= end || !self.adjoins(at + 1) || !(closing || after.is_word()) || code {
            return None;
        }
        let limit = self.word(at).start() + TAG;
        let inside = self.words.get(at + 1..end)?.iter().take_while(|word| word.start() < limit);
        let length = inside.into_iter().position(|word| word.sign == b'>')?;
        let from = at + 1;
        let to = if closing { from } else { from + length };
        Some(Cut {
            end: at,
            next: from + length + 1,
            label: Some(Named { from, to }),
            value: false,
        })
    }

    /// The colon of a label at the start of a line, or of a JSON key.
    fn colon(&self, start: usize, at: usize, end: usize) -> Option<Cut> {
        if at + 1 >= end || at == start {
            return None;
        }
        let before = self.word(at - 1);
        let place = self.word(at).start();
        if before.sign == b'"' {
            let key = self.words.get(start..at - 1)?;
            let near = key.iter().rev().take_while(|word| word.start() + LABEL >= place);
            let quoted = |word: &Word| word.sign == b'"';
            let opens = |back| Some((at - 2 - back, at - 1 - back));
            // The quotation mark of the first key of a line is its lead.
            let first = start > 0 && quoted(&self.word(start - 1));
            let (open, from) =
                near.into_iter().position(quoted).map_or(first.then_some((start, start)), opens)?;
            let label = Some(Named { from, to: at - 1 });
            return Some(Cut { end: open, next: at + 1, label, value: true });
        }
        let figure = before.end() == place && before.digits > 0;
        let parted = !self.adjoins(at + 1) || matches!(self.sign(at + 1), b'"' | b'*');
        let short = place - self.word(start).start() <= LABEL;
        let codes =
            |word: &Word| matches!(word.sign, b'{' | b'=' | b';' | b'&' | b'<' | b'[' | b'(');
        let code = self.words.get(start..at).is_some_and(|label| label.iter().any(codes));
        let label = Some(Named { from: start, to: at });
        (short && parted && !figure && !code).then_some(Cut {
            end: at + 1,
            next: at + 1,
            label,
            value: false,
        })
    }

    /// A label in brackets: `[context]`, or `[question: ..]`.
    fn bracket(&self, at: usize, end: usize) -> Option<Cut> {
        let limit = self.word(at).start() + LABEL;
        let inside = self.words.get(at + 1..end)?;
        let near = inside.iter().take_while(|word| word.start() < limit);
        let length = near.take_while(|word| word.is_word() || word.sign == b'/').count();
        let closing = inside.first().is_some_and(|first| first.sign == b'/');
        let close = inside.get(length)?.sign;
        let named = inside.get(..length)?.iter().any(|word| word.is_word() && word.digits == 0);
        let next = at + length + 2;
        let parted = close == b']' || (close == b':' && !self.adjoins(next));
        let inside_word = self.adjoins(at) && !self.word(at - 1).ends_line();
        if inside_word || !named || !parted {
            return None;
        }
        let from = at + 1;
        let to = if closing { from } else { from + length };
        Some(Cut { end: at, next, label: Some(Named { from, to }), value: close == b':' })
    }

    /// A key before an equals sign, with several words behind it: `problem = ..`.
    fn equals(&self, start: usize, at: usize, end: usize) -> Option<Cut> {
        let key = self.words.get(start..at)?;
        let value = self.words.get(at + 1..end)?;
        let quoted = value.first().is_some_and(|first| first.sign == b'"');
        let says = value.iter().filter(|word| word.is_word() && word.digits == 0).count();
        let code = |word: &Word| matches!(word.sign, b'(' | b'{' | b'[' | b';' | b'+' | b'=');
        let plain = quoted || !value.iter().any(code);
        let parted = !self.adjoins(at) && !self.adjoins(at + 1);
        let keyed =
            matches!(key.len(), 1 | 2) && key.iter().all(|word| word.is_word() && word.len() > 1);
        let label = Some(Named { from: start, to: at });
        (keyed && parted && plain && says >= WORDS_OF_VALUE).then_some(Cut {
            end: at + 1,
            next: at + 1,
            label,
            value: quoted,
        })
    }

    /// An arrow behind a label: `user asks >> ..`.
    fn arrow(&self, start: usize, at: usize, end: usize) -> Option<Cut> {
        let points = at > start + 1 && self.adjoins(at) && matches!(self.sign(at - 1), b'>' | b'-');
        let label = self.words.get(start..at.saturating_sub(1))?;
        let short = self.word(at).start() - self.word(start).start() <= LABEL;
        // Of single letters an equation is made.
        let named = label.iter().all(|word| word.is_word() && word.len() > 1);
        let parted = at + 1 < end && !self.adjoins(at + 1) && !self.adjoins(at - 1);
        (points && short && named && parted).then_some(Cut {
            end: at + 1,
            next: at + 1,
            label: Some(Named { from: start, to: at - 1 }),
            value: false,
        })
    }

    /// The star that closes an emphasized label at the start of a line: `*Name* ..`, `**Task** ..`.
    fn emphasis(&self, start: usize, at: usize, end: usize) -> Option<Cut> {
        let opens = start > 0 && self.sign(start - 1) == b'*' && self.adjoins(start);
        let label = self.words.get(start..at)?;
        let named = label.iter().any(|word| word.is_word() && word.len() > 1);
        let short = self.word(at).start() <= self.word(start).start() + LABEL;
        let next = if self.sign(at + 1) == b'*' { at + 2 } else { at + 1 };
        let parted = next < end && !self.adjoins(next);
        (opens && named && short && parted && self.adjoins(at)).then_some(Cut {
            end: at,
            next,
            label: Some(Named { from: start, to: at }),
            value: false,
        })
    }

    /// The same star behind a question mark or a stop: `*What do you need?* ..`.
    fn asked_label(&self, start: usize, at: usize, end: usize) -> Option<Cut> {
        (self.sign(at + 1) == b'*').then(|| self.emphasis(start, at + 1, end)).flatten()
    }

    /// Korean thanks behind a sentence without a stop: `.. 알려줘 정말 고마워요!`.
    fn courtesy(&self, start: usize, at: usize, end: usize) -> Option<Cut> {
        const ENDINGS: [char; 9] = ['줘', '라', '오', '까', '요', '다', '지', '해', '가'];
        const THANKS: [[char; 2]; 7] = [
            ['감', '사'],
            ['고', '마'],
            ['고', '맙'],
            ['정', '말'],
            ['미', '리'],
            ['대', '단'],
            ['수', '고'],
        ];
        let last = self.word(at.checked_sub(1)?);
        let ends = self.letters.get(last.end().checked_sub(1)?)?;
        if at < start + 2 || end - at > COURTESY || !ENDINGS.contains(ends) {
            return None;
        }
        let word = self.letters.get(self.word(at).start()..)?.first_chunk::<2>()?;
        // `정말` and `미리` open thanks only.
        let thanks = |word: &Word| {
            let start = self.letters.get(word.start()..).and_then(|rest| rest.first_chunk::<2>());
            start.is_some_and(|start| {
                matches!(start, ['감', '사'] | ['고', '마' | '맙'] | ['수', '고'])
            })
        };
        let opens = THANKS.contains(word) && self.words.get(at..end)?.iter().any(thanks);
        (opens).then_some(Cut { end: at, next: at, label: None, value: false })
    }

    fn stop(&self, start: usize, at: usize, end: usize) -> Option<Cut> {
        let stop = self.word(at);
        let full = stop.sign == 1 && self.letters.get(stop.start()) == Some(&'。');
        if stop.sign == 1 {
            let next = at + 1 < end;
            return (full && next).then_some(Cut::behind(at));
        }
        let long = stop.end() >= self.word(start).start() + SHORTEST;
        // A quotation or a bracket may close behind the stop.
        let closes = self.adjoins(at + 1) && matches!(self.sign(at + 1), b'"' | b')' | b']' | b'*');
        let last = if closes { at + 1 } else { at };
        let ends = last + 1 < end && !self.adjoins(last + 1);
        // `0. ` counts something, and one letter before a stop is an initial.
        let before = self.word(at.saturating_sub(1));
        let initial = stop.sign == b'.'
            && (at == start || (before.is_word() && before.len() == 1 && before.hangul == 0));
        (long && ends && !initial).then_some(Cut::behind(last))
    }
}
