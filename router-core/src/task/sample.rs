//! Which characters of a turn are read: all of a short one; head, tail and a few windows of a long one.
//!
//! The ask stands at the head or at the tail, and a page of pasted text says in its first lines what it is. So a score
//! has a ceiling, however long the text: at most [`MOST_READ`] characters of a turn are looked at. The same buffer
//! serves turn after turn and never grows: it is the one allocation of a score.
//!
//! Not done here: deciding which stretch is the ask (`asks.rs`).

use crate::chat::Message;

use super::letters::BREAK;
use super::letters::GAP;
use super::letters::fold;
use super::segments::Segment;

/// Characters read from the start of a long turn.
const HEAD: usize = 1_200;
/// Characters read from its end.
const TAIL: usize = 600;
/// Windows read between them, spread evenly.
const WINDOWS: usize = 4;
/// Characters of each window.
const WINDOW: usize = 80;
/// The most characters of one turn that are ever read.
pub(super) const MOST_READ: usize = HEAD + TAIL + WINDOWS * WINDOW;

/// One turn, folded.
#[derive(Debug)]
pub(super) struct Sample {
    letters: Vec<char>,
    /// Where the turn ends; 0 once only its question is left.
    turn_ends: usize,
}

impl Sample {
    /// An empty buffer that no turn can outgrow.
    pub(super) fn new() -> Self {
        // One mark before each window and one before the tail.
        Self { letters: Vec::with_capacity(MOST_READ + WINDOWS + 1), turn_ends: 0 }
    }

    /// The folded characters of the turn; pieces that were not neighbours are parted by [`GAP`].
    pub(super) fn letters(&self) -> &[char] {
        self.letters.get(..self.turn_ends).unwrap_or_default()
    }

    /// The characters of the question, once [`Sample::keep`] has left it alone.
    pub(super) fn question(&self) -> &[char] {
        self.letters.get(self.turn_ends..).unwrap_or_default()
    }

    /// Keeps the letters of the turn for which `keep` holds.
    #[cfg(feature = "train")]
    pub(super) fn retain(&mut self, mut keep: impl FnMut(char) -> bool) {
        self.letters.truncate(self.turn_ends);
        self.letters.retain(|&letter| keep(letter));
        self.turn_ends = self.letters.len();
    }

    /// Moves the chosen segments to the front and drops the rest of the turn. Neighbours keep what stands between them; a
    /// line parts the others.
    pub(super) fn keep(&mut self, segments: &[Segment], chosen: impl Fn(usize) -> bool) {
        let mut before: Option<(usize, usize)> = None;
        let mut kept = 0;
        for (at, segment) in segments.iter().enumerate().filter(|(at, _)| chosen(*at)) {
            let start = match before {
                Some((last, end)) if last + 1 == at => end,
                // A segment was dropped between them, so there is room for the mark.
                Some(_) => {
                    if let Some(mark) = self.letters.get_mut(kept) {
                        *mark = '\n';
                    }
                    kept += 1;
                    segment.start
                }
                None => segment.start,
            };
            let end = segment.end.min(self.turn_ends);
            if kept <= start && start <= end {
                self.letters.copy_within(start..end, kept);
                kept += end - start;
            }
            before = Some((at, segment.end));
        }
        self.letters.truncate(kept);
        self.turn_ends = 0;
        for letter in &mut self.letters {
            if *letter == BREAK {
                *letter = '\n';
            }
        }
    }

    /// Reads the texts of a message; a new line parts them.
    pub(super) fn read(&mut self, message: &Message<'_>) {
        self.letters.clear();
        self.turn_ends = 0;
        let mut left = HEAD;
        let mut unread = Unread::default();
        for text in message.texts() {
            if left == 0 {
                unread.later(text);
                continue;
            }
            if !self.letters.is_empty() {
                fold('\n', self.letters.last().copied(), &mut self.letters);
            }
            unread.after_head = self.take(text, &mut left);
        }
        self.read_rest(unread);
        self.turn_ends = self.letters.len();
    }

    /// What the head left: whole if the tail can hold it, else windows and the tail.
    fn read_rest(&mut self, unread: Unread<'_>) {
        let (between, end) = match unread.last {
            Some(last) => {
                self.windows(unread.after_head);
                split_tail(last)
            }
            None => split_tail(unread.after_head),
        };
        self.windows(between);
        if !between.is_empty() || unread.last.is_some() {
            self.part();
        }
        self.take(end, &mut { TAIL });
    }

    /// A few short windows, spread evenly over a text; none of them where there are some already.
    fn windows(&mut self, text: &str) {
        if text.is_empty() || self.letters.contains(&GAP) {
            return;
        }
        for window in 1..=WINDOWS {
            let mut at = text.len() / (WINDOWS + 1) * window;
            while !text.is_char_boundary(at) {
                at += 1;
            }
            self.part();
            self.take(text.get(at..).unwrap_or_default(), &mut { WINDOW });
        }
    }

    fn part(&mut self) {
        self.letters.push(GAP);
    }

    /// Folds up to `left` characters of `text` and gives back what was not read.
    fn take<'t>(&mut self, text: &'t str, left: &mut usize) -> &'t str {
        let mut letters = text.chars();
        let mut last = self.letters.last().copied();
        while *left > 0 {
            let Some(letter) = letters.next() else { return "" };
            *left -= 1;
            last = fold(letter, last, &mut self.letters);
        }
        letters.as_str()
    }
}

/// What is left of a turn when its head has been read.
#[derive(Debug, Default, Clone, Copy)]
struct Unread<'t> {
    /// The rest of the part in which the head ended.
    after_head: &'t str,
    /// The last of the parts behind it; those between are not read.
    last: Option<&'t str>,
}

impl<'t> Unread<'t> {
    fn later(&mut self, text: &'t str) {
        if !text.is_empty() {
            self.last = Some(text);
        }
    }
}

/// Parts a text before its last [`TAIL`] characters.
fn split_tail(text: &str) -> (&str, &str) {
    let start = text.char_indices().rev().nth(TAIL - 1).map_or(0, |(at, _)| at);
    text.split_at_checked(start).unwrap_or(("", text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::ChatRequest;

    fn sampled(texts: &[&str]) -> String {
        let parts: Vec<_> =
            texts.iter().map(|text| serde_json::json!({"type": "text", "text": text})).collect();
        let body = serde_json::json!({"messages": [{"role": "user", "content": parts}]});
        let body = body.to_string();
        let mut sample = Sample::new();
        let room = sample.letters.capacity();
        let request = ChatRequest::parse(body.as_bytes()).unwrap();
        sample.read(&request.messages()[0]);
        assert_eq!(sample.letters.capacity(), room, "the buffer never grows");
        sample.letters().iter().collect()
    }

    #[test]
    fn a_short_turn_is_read_whole() {
        assert_eq!(sampled(&["증명해 줘"]), "증명해 줘");
        assert_eq!(sampled(&["Sum:", "1 2"]), "sum:\n0 0");
        assert_eq!(sampled(&[""]), "");
        let fits = "ab".repeat(HEAD / 2 + TAIL / 2);
        assert_eq!(sampled(&[&fits]), fits);
    }

    #[test]
    fn a_long_turn_is_read_at_head_tail_and_evenly_between() {
        for unit in ["ab ", "가나 "] {
            let long = format!("first {}last", unit.repeat(40_000));
            let read = sampled(&[&long]);
            assert_eq!(read.matches(GAP).count(), WINDOWS + 1);
            assert!(read.starts_with("first") && read.ends_with("last"));
            assert!(read.chars().count() <= MOST_READ + WINDOWS + 1);
        }
    }

    #[test]
    fn of_many_parts_the_first_and_the_last_are_read() {
        let long = "ab ".repeat(2_000);
        let read = sampled(&["ask", &long, "between", &long, "the end", ""]);
        assert!(read.starts_with("ask\nab") && read.ends_with("the end"));
        assert!(!read.contains("between"));
    }

    #[test]
    fn neighbours_keep_what_stands_between_them() {
        let mut sample = Sample::new();
        let body =
            r#"{"messages":[{"role":"user","content":"Hi there! Is 2 odd? Is 4?\n\nBye now!"}]}"#;
        let request = ChatRequest::parse(body.as_bytes()).unwrap();
        sample.read(&request.messages()[0]);
        let turn = &request.messages()[0];
        let segments = super::super::segments::Segments::of(sample.letters());
        let kept = |sample: &mut Sample, chosen: &[usize]| {
            sample.read(turn);
            sample.keep(segments.all(), |at| chosen.contains(&at));
            sample.question().iter().collect::<String>()
        };
        assert_eq!(kept(&mut sample, &[1, 2]), "is 0 odd? is 0?");
        assert_eq!(kept(&mut sample, &[0, 2]), "hi there!\nis 0?");
        assert_eq!(kept(&mut sample, &[2, 3]), "is 0?\nbye now!");
        assert_eq!(kept(&mut sample, &[]), "");
    }
}
