//! Splits a turn into segments: sentences, list items, labels, fenced code.
//!
//! One pass over the words. A segment knows the label above it ("question:", `<context>`, "### input", a JSON key), how
//! far away that label is, what mark its line starts with, and how dense its signs and digits are. No grammar of any
//! language is known here.
//!
//! Does not decide which segments are the question (`locate.rs`).

use super::cuts::Cut;
use super::cuts::Named;
use super::cuts::Signs;
use super::letters::is_hangul;
use super::segment::Lead;
use super::segment::Segment;
use super::words::BASIS;
use super::words::Word;
use super::words::step_letter;

/// The most segments of one turn; beyond it the middle is merged, because a question stands near an edge.
pub(super) const MOST: usize = 64;
/// The place at which segments are merged when there are too many.
const MERGED: usize = 24;
/// A line that ends with a colon is a label up to so many letters.
const HEADING: usize = 80;
/// From so many sixteenths of signs on, neighbouring lines are one block.
const DENSE: u32 = 4;
/// Last parts of the names of fields; a longer one stands before its own ending.
const KEYS: [&str; 37] = [
    "question",
    "query",
    "prompt",
    "message",
    "request",
    "task",
    "input",
    "context",
    "content",
    "contents",
    "documents",
    "document",
    "docs",
    "passages",
    "passage",
    "snippet",
    "text",
    "body",
    "history",
    "answer",
    "response",
    "output",
    "results",
    "result",
    "sources",
    "source",
    "질문",
    "질의",
    "문의",
    "요청",
    "문서",
    "본문",
    "내용",
    "자료",
    "맥락",
    "답변",
    "결과",
];
/// The label of what follows a closing tag.
const CLOSED: u32 = 1;

/// Splits a turn into at most [`MOST`] segments, which replace those in `found`.
pub(super) fn segments(letters: &[char], words: &[Word], found: &mut Vec<Segment>) {
    found.clear();
    Scan {
        signs: Signs { letters, words },
        found,
        label: 0,
        since: 0,
        line: 0,
        paragraph: 0,
        value: false,
    }
    .run();
}

/// The state of the pass.
struct Scan<'l> {
    signs: Signs<'l>,
    found: &'l mut Vec<Segment>,
    label: u32,
    since: u32,
    line: u32,
    paragraph: u32,
    /// Is the text the value of a key or a bracket, so that its last signs close it?
    value: bool,
}

impl Scan<'_> {
    fn run(&mut self) {
        let end = self.signs.words.len();
        let mut fence: Option<usize> = None;
        let mut start = 0;
        while start < end {
            let rest = self.signs.words.get(start..).unwrap_or_default();
            let length = rest.iter().position(|word| word.ends_line()).unwrap_or(rest.len());
            let stop = start + length;
            let fences = (0..3).all(|more| self.signs.sign(start + more) == b'`');
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
            if self.signs.word(stop).ends_paragraph() && fence.is_none() {
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
        self.value = false;
        let mut at = start;
        while at < end {
            let cut = self.signs.cut(start, at, end, labelled);
            let Some(cut) = cut else {
                at += 1;
                continue;
            };
            self.cut(start, cut, lead);
            labelled |= cut.label.is_some();
            self.value |= cut.value;
            lead = Lead::None;
            start = self.skip(cut.next, end);
            at = start;
        }
        let titles = lead == Lead::Heading || (end > 0 && self.signs.sign(end - 1) == b':');
        let labels = start < end && titles && self.signs.span(start, end).len() <= HEADING;
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

    fn put(&mut self, mut segment: Segment) {
        if self.value {
            let words = segment.words(self.signs.words).iter();
            let closes = |word: &&Word| matches!(word.sign, b'"' | b'}' | b']' | b',');
            segment.to -= words.rev().take_while(closes).count();
        }
        let mut letters = 0_usize;
        let mut digits = 0_usize;
        let mut signs = 0_usize;
        let words = segment.words(self.signs.words);
        for word in words {
            if word.is_word() {
                letters += word.len();
                digits += usize::from(word.digits);
            } else {
                signs += 1;
            }
        }
        // A number alone, such as the answer of an example, neither asks nor tells.
        if letters == 0 || (digits == letters && signs == 0 && words.len() < self.signs.words.len())
        {
            return;
        }
        let whole = letters + signs;
        let share = |part: usize| u32::try_from(part * 16 / whole).unwrap_or_default();
        segment.signs = share(signs);
        segment.digits = share(digits);
        segment.span = self.signs.span(segment.from, segment.to);
        segment.ending = ending(self.signs.letters, words);
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

    fn skip(&self, mut at: usize, end: usize) -> usize {
        while at < end && matches!(self.signs.sign(at), b'"' | b'*' | b',') {
            at += 1;
        }
        at
    }

    /// The hash of the last word of a label that is no number.
    fn name(&self, named: Named) -> u32 {
        let words = self.signs.words.get(named.from..named.to).unwrap_or_default();
        let text = |word: &&Word| word.is_word() && usize::from(word.digits) < word.len();
        words.iter().rfind(text).map_or(CLOSED, |word| self.key(*word))
    }

    /// The hash of the last part of a compound such as `user_query` or `userQuery` if that is a common name.
    fn key(&self, word: Word) -> u32 {
        let letters = self.signs.letters.get(word.start()..word.end()).unwrap_or_default();
        let ends = |key: &&&str| {
            let mut before = letters.iter().rev();
            key.chars().rev().all(|letter| before.next() == Some(&letter)) && before.len() > 0
        };
        let known = KEYS.iter().find(ends);
        known.map_or(word.hash, |key| key.chars().fold(BASIS, step_letter))
    }

    /// The mark at the start of a line, and where its text starts.
    fn lead(&self, start: usize, end: usize) -> (Lead, usize) {
        if start >= end {
            return (Lead::None, start);
        }
        let first = self.signs.word(start);
        let letter = self.signs.letters.get(first.start()).copied().unwrap_or_default();
        let closes = |at: usize| at < end && self.signs.adjoins(at) && self.signs.sign(at) == b')';
        let parts = |at: usize| {
            let stop =
                at < end && self.signs.adjoins(at) && matches!(self.signs.sign(at), b')' | b'.');
            stop && at + 1 < end && !self.signs.adjoins(at + 1)
        };
        let marks = |mark: &[u8]| {
            let line = self.signs.words.get(start..end).unwrap_or_default();
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
            '(' if self.signs.word(start + 1).len() == 1 && closes(start + 2) => {
                (Lead::Option, start + 3)
            }
            '{' | '}' | '[' | ']' => (Lead::Bracket, start),
            '"' => (Lead::Sign, start + 1),
            _ => (Lead::Sign, start),
        }
    }
}

/// The sign at the end of a segment, without quotation marks and brackets.
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
            (r#"{"context": "some text", "question": "why?"}"#, vec!["some text", "why?"]),
            ("[question: why now?] [answer in: english]", vec!["why now?", "english"]),
            ("[context]\na b\n[question] why? [end]", vec!["a b", "why?"]),
            (
                "problem = why is it slow\nx = a b c d",
                vec!["problem =", "why is it slow", "x = a b c d"],
            ),
            ("user asks >> why now?", vec!["user asks >>", "why now?"]),
            ("he wrote \"prove it.\" answer him", vec!["he wrote \"prove it.\"", "answer him"]),
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
