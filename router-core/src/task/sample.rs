//! Which characters of a turn are read: all of a short one; head, tail and a few windows of a long one.
//!
//! The ask stands at the head or at the tail, and a page of pasted text says in its first lines what it is. So a score
//! has a ceiling, however long the text: at most [`MOST_READ`] characters of a turn are looked at. The same buffer
//! serves turn after turn and never grows: it is the one allocation of a score.
//!
//! Not done here: deciding which stretch is the ask (`asks.rs`).

use crate::chat::Message;

use super::letters::GAP;
use super::letters::fold;

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
    bytes: usize,
    cut: bool,
}

impl Sample {
    /// An empty buffer that no turn can outgrow.
    pub(super) fn new() -> Self {
        // One mark before each window and one before the tail.
        Self { letters: Vec::with_capacity(MOST_READ + WINDOWS + 1), bytes: 0, cut: false }
    }

    /// The folded characters; pieces that were not neighbours are parted by [`GAP`].
    pub(super) fn letters(&self) -> &[char] {
        &self.letters
    }

    /// Letters of the whole turn: counted where all of it was read, else at least a third of its bytes.
    pub(super) fn length(&self) -> usize {
        let read = self.letters.len();
        if self.cut { read.max(self.bytes / 3) } else { read }
    }

    /// Reads the texts of a message; a new line parts them.
    pub(super) fn read(&mut self, message: &Message<'_>) {
        self.letters.clear();
        self.cut = false;
        self.bytes = message.texts().map(str::len).sum();
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

    /// A few short windows, spread evenly over a text; none of them if there are some already.
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
        self.cut = true;
        self.letters.push(GAP);
    }

    /// Folds up to `left` characters of `text` and returns what was not read.
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

    fn sampled(texts: &[&str]) -> (String, usize) {
        let parts: Vec<_> =
            texts.iter().map(|text| serde_json::json!({"type": "text", "text": text})).collect();
        let body = serde_json::json!({"messages": [{"role": "user", "content": parts}]});
        let body = body.to_string();
        let mut sample = Sample::new();
        let room = sample.letters.capacity();
        let request = ChatRequest::parse(body.as_bytes()).unwrap();
        sample.read(&request.messages()[0]);
        assert_eq!(sample.letters.capacity(), room, "the buffer never grows");
        (sample.letters.iter().collect(), sample.length())
    }

    #[test]
    fn a_short_turn_is_read_whole() {
        assert_eq!(sampled(&["증명해 줘"]), ("증명해 줘".to_owned(), 5));
        assert_eq!(sampled(&["Sum:", "1 2"]).0, "sum:\n0 0");
        assert_eq!(sampled(&[""]).0, "");
        let fits = "ab".repeat(HEAD / 2 + TAIL / 2);
        assert_eq!(sampled(&[&fits]).0, fits);
    }

    #[test]
    fn a_long_turn_is_read_at_head_tail_and_evenly_between() {
        for unit in ["ab ", "가나 "] {
            let long = format!("first {}last", unit.repeat(40_000));
            let (read, length) = sampled(&[&long]);
            assert_eq!(length, long.len() / 3);
            assert_eq!(read.matches(GAP).count(), WINDOWS + 1);
            assert!(read.starts_with("first") && read.ends_with("last"));
            assert!(read.chars().count() <= MOST_READ + WINDOWS + 1);
        }
    }

    #[test]
    fn of_many_parts_the_first_and_the_last_are_read() {
        let long = "ab ".repeat(2_000);
        let (read, _) = sampled(&["ask", &long, "between", &long, "the end", ""]);
        assert!(read.starts_with("ask\nab") && read.ends_with("the end"));
        assert!(!read.contains("between"));
    }
}
