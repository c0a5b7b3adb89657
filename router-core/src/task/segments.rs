//! Splits a turn into segments: sentences, list items, labels, fenced code.
//!
//! One pass over the folded letters. A segment knows the label above it ("question:", `<context>`, "### input", a JSON
//! key), how far away that label is, what mark its line starts with, and how dense its signs and digits are. No grammar
//! of any language is known here.
//!
//! Not done here: deciding which segments are the question (`locate.rs`).

use super::letters::BREAK;
use super::letters::GAP;
use super::letters::is_word;
use super::words::words;

/// The most segments of one turn; beyond it the middle is merged, because a question stands near an edge.
pub(super) const MOST: usize = 128;
/// Where segments are merged when there are too many.
const MERGED: usize = 48;
/// A label is at most so many letters long.
const LABEL: usize = 28;
/// A tag is at most so many letters long.
const TAG: usize = 40;
/// A stop ends a sentence of at least so many letters.
const SHORTEST: usize = 6;
/// The label of what follows a closing tag.
const CLOSED: u32 = 1;

/// What the line of a segment starts with. The numbers are hashed: never give one to another mark.
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
    /// Where it starts.
    pub(super) start: usize,
    /// Where it ends.
    pub(super) end: usize,
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
    /// Share of signs, in sixteenths of the letters.
    pub(super) signs: u32,
    /// Share of digits, in sixteenths of the letters.
    pub(super) digits: u32,
}

impl Segment {
    /// How many letters it has.
    pub(super) fn len(&self) -> usize {
        self.end.saturating_sub(self.start)
    }
}

/// The segments of one turn.
#[derive(Debug)]
pub(super) struct Segments {
    all: [Segment; MOST],
    count: usize,
}

impl Segments {
    /// Splits a turn.
    pub(super) fn of(letters: &[char]) -> Self {
        let mut scan = Scan {
            letters,
            found: Self { all: [Segment::default(); MOST], count: 0 },
            label: 0,
            since: 0,
            line: 0,
            paragraph: 0,
        };
        scan.run();
        scan.found
    }

    /// All of them, in the order of the turn.
    pub(super) fn all(&self) -> &[Segment] {
        self.all.get(..self.count).unwrap_or_default()
    }

    fn push(&mut self, segment: Segment) {
        if self.count == MOST {
            let end = self.all.get(MERGED + 1).map_or(0, |next| next.end);
            if let Some(merged) = self.all.get_mut(MERGED) {
                merged.end = end;
            }
            self.all.copy_within(MERGED + 2..MOST, MERGED + 1);
            self.count -= 1;
        }
        if let Some(place) = self.all.get_mut(self.count) {
            *place = segment;
            self.count += 1;
        }
    }
}

/// The state of the pass.
struct Scan<'l> {
    letters: &'l [char],
    found: Segments,
    label: u32,
    since: u32,
    line: u32,
    paragraph: u32,
}

impl Scan<'_> {
    fn run(&mut self) {
        let end = self.letters.len();
        let mut fence: Option<usize> = None;
        let mut start = 0;
        while start < end {
            let rest = self.letters.get(start..).unwrap_or_default();
            let length = rest.iter().position(|&letter| ends_line(letter)).unwrap_or(rest.len());
            let stop = start + length;
            let fences = rest.starts_with(&['`', '`', '`']);
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
            if self.letters.get(stop).is_some_and(|&letter| letter != '\n') && fence.is_none() {
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

    fn fenced(&mut self, start: usize, end: usize) {
        self.put(Segment { start, end, fenced: true, ..self.blank() });
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
        let (mut lead, mut start) = lead(self.letters, line, end);
        let mut labelled = false;
        let mut at = start;
        while at < end {
            let Some(&letter) = self.letters.get(at) else { break };
            // Most letters end nothing.
            if is_word(letter) || letter == ' ' {
                at += 1;
                continue;
            }
            let cut = match letter {
                '<' => self.tag(start, at, end),
                ':' => self.colon(start, at, end, labelled),
                '.' | '?' | '!' | '。' | '？' => self.stop(start, at, end),
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
        let heading = lead == Lead::Heading;
        let colon = self.letters.get(end.wrapping_sub(1)) == Some(&':');
        let labels = start < end && (heading || colon) && end - start <= 80;
        self.put(Segment { start, end, lead, labels, ..self.blank() });
        if labels {
            self.label = self.name(start, end);
            self.since = 0;
        }
    }

    fn cut(&mut self, start: usize, cut: Cut, lead: Lead) {
        let labels = cut.label.is_some_and(|(from, _)| from == start);
        self.put(Segment { start, end: cut.end, lead, labels, ..self.blank() });
        match cut.label {
            Some((from, to)) if from < to => {
                self.label = self.name(from, to);
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
        let letters = self.letters.get(segment.start..segment.end).unwrap_or_default();
        let (mut words, mut digits, mut blanks) = (0_usize, 0_usize, 0_usize);
        for &letter in letters {
            if letter == '0' {
                digits += 1;
            } else if letter == ' ' {
                blanks += 1;
            } else if is_word(letter) && letter != '_' {
                words += 1;
            }
        }
        if words + digits == 0 {
            return;
        }
        let whole = (letters.len() - blanks).max(1);
        let share = |part: usize| u32::try_from(part * 16 / whole).unwrap_or_default();
        segment.signs = share(letters.len() - blanks - words - digits);
        segment.digits = share(digits);
        self.found.push(segment);
    }

    /// A tag such as `<context>`.
    fn tag(&self, start: usize, at: usize, end: usize) -> Option<Cut> {
        let after = self.letters.get(at + 1)?;
        if !(after.is_alphabetic() || *after == '/') {
            return None;
        }
        let inside = self.letters.get(at + 1..end.min(at + TAG))?;
        let length = inside.iter().position(|&letter| letter == '>')?;
        let label = if *after == '/' { (at, at) } else { (at + 1, at + 1 + length) };
        let _ = start;
        Some(Cut { end: at, next: at + length + 2, label: Some(label) })
    }

    /// The colon of a label at the start of a line, or of a JSON key.
    fn colon(&self, start: usize, at: usize, end: usize, labelled: bool) -> Option<Cut> {
        let follows = self.letters.get(at + 1).filter(|_| at + 1 < end)?;
        let before = *self.letters.get(at.checked_sub(1)?)?;
        if before == '"' {
            let from = at.saturating_sub(LABEL).max(start);
            let key = self.letters.get(from..at - 1)?;
            let open = key.iter().rposition(|&letter| letter == '"')?;
            return Some(Cut {
                end: from + open,
                next: at + 1,
                label: Some((from + open + 1, at - 1)),
            });
        }
        let label =
            !labelled && at - start <= LABEL && matches!(follows, ' ' | '"' | '*') && before != '0';
        label.then_some(Cut { end: at + 1, next: at + 1, label: Some((start, at)) })
    }

    fn stop(&self, start: usize, at: usize, end: usize) -> Option<Cut> {
        let long = at + 1 >= start + SHORTEST;
        let ends = at + 1 < end && self.letters.get(at + 1) == Some(&' ');
        // `0. ` counts something, and one letter before a stop is an initial.
        let before =
            |back: usize| at.checked_sub(back).and_then(|at| self.letters.get(at)).copied();
        let initial = before(2).is_none_or(|letter| !is_word(letter)) && before(1) != Some(')');
        (long && ends && !(initial && self.letters.get(at) == Some(&'.'))).then_some(Cut {
            end: at + 1,
            next: at + 1,
            label: None,
        })
    }

    fn skip(&self, mut at: usize, end: usize) -> usize {
        while at < end
            && self.letters.get(at).is_some_and(|letter| matches!(letter, ' ' | '"' | '*' | ','))
        {
            at += 1;
        }
        at
    }

    /// The hash of the last word of a label that is no number.
    fn name(&self, start: usize, end: usize) -> u32 {
        let named = words(self.letters, start, end).filter(|word| {
            self.letters.get(word.start).is_some_and(|&letter| letter != '0' && is_word(letter))
        });
        named.last().map_or(CLOSED, |word| word.hash)
    }
}

/// Where a line is cut.
#[derive(Debug, Clone, Copy)]
struct Cut {
    /// Where the segment before the cut ends.
    end: usize,
    /// Where the next one starts.
    next: usize,
    /// Where the label that the cut makes stands; empty for a closing tag.
    label: Option<(usize, usize)>,
}

fn ends_line(letter: char) -> bool {
    letter == '\n' || letter == BREAK || letter == GAP
}

/// The mark at the start of a line, and where its text starts.
fn lead(letters: &[char], start: usize, end: usize) -> (Lead, usize) {
    let line = letters.get(start..end).unwrap_or_default();
    let Some(&first) = line.first() else { return (Lead::None, start) };
    if first.is_ascii_lowercase() || (is_word(first) && first != '0') {
        let option = matches!(line, [_, ')' | '.', ' ', ..]);
        return if option { (Lead::Option, start + 3) } else { (Lead::None, start) };
    }
    let marks = |mark: &[char]| line.iter().take_while(|letter| mark.contains(letter)).count();
    match first {
        '#' => (Lead::Heading, start + marks(&['#', ' '])),
        '-' | '*' | '•' | '·' => (Lead::Bullet, start + marks(&['-', '*', '•', '·', ' '])),
        '>' => (Lead::Quote, start + marks(&['>', ' '])),
        '|' => (Lead::Table, start),
        '(' if matches!(line, [_, _, ')', ..]) => {
            (Lead::Option, start + 3 + usize::from(line.get(3) == Some(&' ')))
        }
        '①'..='⑩' => (Lead::Option, start + 1),
        '{' | '}' | '[' | ']' => (Lead::Bracket, start),
        '0' => {
            let digits = marks(&['0']);
            let counts = matches!(line.get(digits), Some('.' | ')'))
                && line.get(digits + 1) == Some(&' ')
                && digits <= 2;
            if counts { (Lead::Number, start + digits + 2) } else { (Lead::Figure, start) }
        }
        '"' => (Lead::Sign, start + 1),
        _ => (Lead::Sign, start),
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
        let found = Segments::of(&letters);
        found.all().iter().map(|one| letters[one.start..one.end].iter().collect()).collect()
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
            (r#"{"context": "some text", "question": "why?"}"#, vec!["some text\", ", "why?\"}"]),
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
