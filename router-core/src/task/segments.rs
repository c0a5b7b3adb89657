//! Splits a turn into segments: sentences, list items, labels, fenced code.
//!
//! One pass over the words. A segment knows the label above it ("question:", `<context>`, "### input", a JSON key), how
//! far away that label is, what mark its line starts with, and how dense its signs and digits are. No grammar of any
//! language is known here.
//!
//! Does not decide which segments are the question (`locate.rs`).

use super::letters::is_hangul;
use super::segment::LABEL;
use super::segment::Lead;
use super::segment::Segment;
use super::words::Span;
use super::words::Word;

/// The most segments of one turn; beyond it the middle is merged, because a question stands near an edge.
pub(super) const MOST: usize = 64;
/// Where segments are merged when there are too many.
const MERGED: usize = 24;
/// A tag is at most so many letters long.
const TAG: usize = 40;
/// A line that ends with a colon is a label up to so many letters.
const HEADING: usize = 80;
/// A stop ends a sentence of at least so many letters.
const SHORTEST: usize = 6;
/// From so many sixteenths of signs on, neighbouring lines are one block.
const DENSE: u32 = 4;
/// The label of what follows a closing tag.
const CLOSED: u32 = 1;

/// Splits a turn into at most [`MOST`] segments, which replace those in `found`.
pub(super) fn segments(letters: &[char], words: &[Word], found: &mut Vec<Segment>) {
    found.clear();
    Scan { letters, words, found, label: 0, since: 0, line: 0, paragraph: 0 }.run();
}

/// The state of the pass.
struct Scan<'l> {
    letters: &'l [char],
    words: &'l [Word],
    found: &'l mut Vec<Segment>,
    label: u32,
    since: u32,
    line: u32,
    paragraph: u32,
}

/// Where a line is cut.
#[derive(Debug, Clone, Copy)]
struct Cut {
    /// The first word that does not belong to the segment before the cut.
    end: usize,
    /// The first word of the next segment.
    next: usize,
    /// The words of the label that the cut makes; none of them for a closing tag.
    label: Option<Named>,
}

/// The words of a label.
#[derive(Debug, Clone, Copy)]
struct Named {
    from: usize,
    to: usize,
}

impl Scan<'_> {
    fn word(&self, at: usize) -> Word {
        self.words.get(at).copied().unwrap_or_default()
    }

    /// The code of the sign at a place; 0 for a word and for no place.
    fn sign(&self, at: usize) -> u8 {
        self.word(at).sign
    }

    /// Does the word at `at` follow the one before it without a blank?
    fn adjoins(&self, at: usize) -> bool {
        at > 0 && self.word(at).start() == self.word(at - 1).end()
    }

    fn run(&mut self) {
        let end = self.words.len();
        let mut fence: Option<usize> = None;
        let mut start = 0;
        while start < end {
            let rest = self.words.get(start..).unwrap_or_default();
            let length = rest.iter().position(|word| word.ends_line()).unwrap_or(rest.len());
            let stop = start + length;
            let fences = (0..3).all(|more| self.sign(start + more) == b'`');
            match (fence, fences) {
                (None, true) => fence = Some(start),
                (Some(from), true) => {
                    self.fenced(from, stop);
                    fence = None;
                }
                (Some(_), false) => {}
                (None, false) => self.split(start, stop),
            }
            self.line += 1;
            if self.word(stop).ends_paragraph() && fence.is_none() {
                self.paragraph += 1;
                self.since = (self.since + 1).min(3);
            } else if self.since == 0 {
                self.since = 1;
            }
            start = stop + 1;
        }
        if let Some(from) = fence {
            self.fenced(from, end);
        }
    }

    fn fenced(&mut self, from: usize, to: usize) {
        self.put(Segment { from, to, fenced: true, ..self.blank() });
    }

    fn blank(&self) -> Segment {
        Segment {
            label: self.label,
            since: self.since,
            line: self.line,
            paragraph: self.paragraph,
            ..Segment::default()
        }
    }

    /// Splits a line at tags, labels and stops.
    fn split(&mut self, line: usize, end: usize) {
        let (mut lead, mut start) = self.lead(line, end);
        let mut labelled = false;
        let mut at = start;
        while at < end {
            let cut = match self.sign(at) {
                b'<' => self.tag(at, end),
                b':' => self.colon(start, at, end).filter(|cut| !(labelled && cut.end > at)),
                b'.' | b'?' | b'!' | 1 => self.stop(start, at, end),
                _ => None,
            };
            let Some(cut) = cut else {
                at += 1;
                continue;
            };
            self.cut(start, cut, lead);
            labelled |= cut.label.is_some();
            lead = Lead::None;
            start = self.skip(cut.next, end);
            at = start;
        }
        let titles = lead == Lead::Heading || (end > 0 && self.sign(end - 1) == b':');
        let labels = start < end && titles && self.span(start, end).len() <= HEADING;
        let name = if labels { self.name(Named { from: start, to: end }) } else { 0 };
        self.put(Segment { from: start, to: end, lead, labels, name, ..self.blank() });
        if labels {
            self.label = name;
            self.since = 0;
        }
    }

    fn cut(&mut self, start: usize, cut: Cut, lead: Lead) {
        let labels = cut.label.is_some_and(|named| named.from == start);
        let name = cut.label.map_or(0, |named| self.name(named));
        let own = if labels { name } else { 0 };
        self.put(Segment { from: start, to: cut.end, lead, labels, name: own, ..self.blank() });
        match cut.label {
            Some(named) if named.from < named.to => {
                self.label = name;
                self.since = 0;
            }
            Some(_) => {
                self.label = CLOSED;
                self.since = 0;
            }
            None => {}
        }
    }

    fn span(&self, from: usize, to: usize) -> Span {
        if from >= to {
            return Span::default();
        }
        Span { start: self.word(from).start(), end: self.word(to - 1).end() }
    }

    fn put(&mut self, mut segment: Segment) {
        let mut letters = 0_usize;
        let mut digits = 0_usize;
        let mut signs = 0_usize;
        let words = segment.words(self.words);
        for word in words {
            if word.is_word() {
                letters += word.len();
                digits += usize::from(word.digits);
            } else {
                signs += 1;
            }
        }
        // A number alone, such as the answer of an example, neither asks nor tells.
        if letters == 0 || (digits == letters && signs == 0 && words.len() < self.words.len()) {
            return;
        }
        let whole = letters + signs;
        let share = |part: usize| u32::try_from(part * 16 / whole).unwrap_or_default();
        segment.signs = share(signs);
        segment.digits = share(digits);
        segment.span = self.span(segment.from, segment.to);
        segment.ending = ending(self.letters, words);
        let dense = segment.signs >= DENSE || (segment.signs >= DENSE - 1 && segment.ending == 8);
        let apart = segment.fenced || segment.labels || segment.lead == Lead::Option;
        segment.block = dense && !apart;
        self.push(segment);
    }

    fn push(&mut self, segment: Segment) {
        if let Some(last) = self.found.last_mut().filter(|last| last.continues_in(&segment)) {
            last.to = segment.to;
            last.span.end = segment.span.end;
            last.line = segment.line;
            last.ending = segment.ending;
            return;
        }
        if self.found.len() == MOST {
            let next = self.found.remove(MERGED + 1);
            if let Some(merged) = self.found.get_mut(MERGED) {
                merged.to = next.to;
                merged.span.end = next.span.end;
            }
        }
        self.found.push(segment);
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
        Some(Cut { end: at, next: from + length + 1, label: Some(Named { from, to }) })
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
            let back = near.into_iter().position(|word| word.sign == b'"')?;
            let open = at - 2 - back;
            let label = Some(Named { from: open + 1, to: at - 1 });
            return Some(Cut { end: open, next: at + 1, label });
        }
        let figure = before.end() == place && before.digits > 0;
        let parted = !self.adjoins(at + 1) || matches!(self.sign(at + 1), b'"' | b'*');
        let short = place - self.word(start).start() <= LABEL;
        let codes =
            |word: &Word| matches!(word.sign, b'{' | b'=' | b';' | b'&' | b'<' | b'[' | b'(');
        let code = self.words.get(start..at).is_some_and(|label| label.iter().any(codes));
        let label = Some(Named { from: start, to: at });
        (short && parted && !figure && !code).then_some(Cut { end: at + 1, next: at + 1, label })
    }

    fn stop(&self, start: usize, at: usize, end: usize) -> Option<Cut> {
        let stop = self.word(at);
        let full = stop.sign == 1 && self.letters.get(stop.start()) == Some(&'。');
        if stop.sign == 1 {
            let next = at + 1 < end;
            return (full && next).then_some(Cut { end: at + 1, next: at + 1, label: None });
        }
        let long = stop.end() >= self.word(start).start() + SHORTEST;
        let ends = at + 1 < end && !self.adjoins(at + 1);
        // `0. ` counts something, and one letter before a stop is an initial.
        let before = self.word(at.saturating_sub(1));
        let initial = stop.sign == b'.'
            && (at == start || (before.is_word() && before.len() == 1 && before.hangul == 0));
        (long && ends && !initial).then_some(Cut { end: at + 1, next: at + 1, label: None })
    }

    fn skip(&self, mut at: usize, end: usize) -> usize {
        while at < end && matches!(self.sign(at), b'"' | b'*' | b',') {
            at += 1;
        }
        at
    }

    /// The hash of the last word of a label that is no number.
    fn name(&self, named: Named) -> u32 {
        let words = self.words.get(named.from..named.to).unwrap_or_default();
        let text = |word: &&Word| word.is_word() && usize::from(word.digits) < word.len();
        words.iter().rfind(text).map_or(CLOSED, |word| word.hash)
    }

    /// The mark at the start of a line, and where its text starts.
    fn lead(&self, start: usize, end: usize) -> (Lead, usize) {
        if start >= end {
            return (Lead::None, start);
        }
        let first = self.word(start);
        let letter = self.letters.get(first.start()).copied().unwrap_or_default();
        let closes = |at: usize| at < end && self.adjoins(at) && self.sign(at) == b')';
        let parts = |at: usize| {
            let stop = at < end && self.adjoins(at) && matches!(self.sign(at), b')' | b'.');
            stop && at + 1 < end && !self.adjoins(at + 1)
        };
        let marks = |mark: &[u8]| {
            let line = self.words.get(start..end).unwrap_or_default();
            start + line.iter().take_while(|word| mark.contains(&word.sign)).count()
        };
        if first.is_word() {
            let figures = usize::from(first.digits);
            return match letter {
                '①'..='⑩' => (Lead::Option, start),
                '0' if figures == first.len() && figures <= 2 && parts(start + 1) => {
                    (Lead::Number, start + 2)
                }
                '0' => (Lead::Figure, start),
                _ if first.len() == 1 && parts(start + 1) => (Lead::Option, start + 2),
                _ => (Lead::None, start),
            };
        }
        match letter {
            '#' => (Lead::Heading, marks(b"#")),
            '-' | '*' => (Lead::Bullet, marks(b"-*")),
            '•' | '·' => (Lead::Bullet, start + 1),
            '>' => (Lead::Quote, marks(b">")),
            '|' => (Lead::Table, start),
            '(' if self.word(start + 1).len() == 1 && closes(start + 2) => {
                (Lead::Option, start + 3)
            }
            '{' | '}' | '[' | ']' => (Lead::Bracket, start),
            '"' => (Lead::Sign, start + 1),
            _ => (Lead::Sign, start),
        }
    }
}

/// What a segment ends with, quotation marks and brackets left out.
fn ending(letters: &[char], words: &[Word]) -> u32 {
    let closes = |word: &&Word| !matches!(word.sign, b'"' | b')' | b'*' | b'}' | b',');
    let Some(last) = words.iter().rfind(closes) else { return 8 };
    match last.sign {
        b'?' => 1,
        b'.' => 2,
        b':' => 3,
        b'!' => 4,
        0 => match letters.get(last.end().saturating_sub(1)) {
            Some('0') => 5,
            Some(&letter) if is_hangul(letter) => 6,
            Some(_) | None => 7,
        },
        _ => 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::letters::fold;

    fn split(text: &str) -> Vec<String> {
        let mut letters = Vec::new();
        for letter in text.chars() {
            fold(letter, letters.last().copied(), &mut letters);
        }
        let mut words = Vec::new();
        super::super::words::words(&letters, &mut words);
        let mut found = Vec::new();
        segments(&letters, &words, &mut found);
        let text = |one: &Segment| letters[one.span.start..one.span.end].iter().collect();
        found.iter().map(text).collect()
    }

    #[test]
    fn sentences_labels_tags_and_keys_part_a_turn() {
        for (text, expected) in [
            ("Good morning! Is 7 prime?", vec!["good morning!", "is 0 prime?"]),
            (
                "Context: a b. c d\n\nQuestion: why?",
                vec!["context:", "a b. c d", "question:", "why?"],
            ),
            ("<doc>text here</doc>\n<q>why now?</q>", vec!["text here", "why now?"]),
            (r#"{"context": "some text", "question": "why?"}"#, vec!["some text\",", "why?\"}"]),
            ("- one\n1. two\na) three", vec!["one", "two", "three"]),
            (
                "look:\n```\nlet a = 0;\n\nb\n```\n왜 그런 거야? 알려줘.",
                vec!["look:", "```\nlet a = 0;\u{1e}b\n```", "왜 그런 거야?", "알려줘."],
            ),
        ] {
            assert_eq!(split(text), expected, "{text:?}");
        }
    }

    #[test]
    fn many_lines_keep_both_edges() {
        let text = format!("first line\n{}last line", "a b c\n".repeat(400));
        let found = split(&text);
        assert_eq!(found.len(), MOST);
        assert_eq!((found[0].as_str(), found[MOST - 1].as_str()), ("first line", "last line"));
    }
}
