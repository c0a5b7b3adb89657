//! Chooses the characters of a turn that are read: all of a short one; head, tail and a few windows of a long one.
//!
//! The ask stands at the head or at the tail, and a page of pasted text says in its first lines what it is. So a score
//! has a ceiling, however long the text: at most [`MOST_READ`] characters of a turn are looked at. The same buffer
//! serves turn after turn and never grows.
//!
//! Not done here: deciding which stretch is the ask (`asks.rs`).

use crate::chat::Message;

use super::letters::GAP;
use super::letters::fold;
use super::letters::is_syllable;
use super::relevance::Text;
use super::segment::Segment;
use super::segments::MOST;
use super::segments::segments;
use super::words::Span;
use super::words::Word;
use super::words::words;

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

/// One turn, folded and split into words and segments.
#[derive(Debug)]
pub(super) struct Sample {
    letters: Vec<char>,
    words: Vec<Word>,
    segments: Vec<Segment>,
    /// The place of each letter in the text, in bytes; kept only by [`Sample::of_text`].
    places: Option<Vec<usize>>,
}

impl Sample {
    /// Buffers that no turn can outgrow.
    pub(super) fn new() -> Self {
        // One mark before each window and one before the tail; each letter may be a word.
        let most = MOST_READ + WINDOWS + 1;
        Self {
            letters: Vec::with_capacity(most),
            words: Vec::with_capacity(most),
            segments: Vec::with_capacity(MOST),
            places: None,
        }
    }

    /// One text, read as a turn is; it also remembers where each letter stands.
    pub(super) fn of_text(text: &str) -> Self {
        let mut sample = Self { places: Some(Vec::new()), ..Self::new() };
        sample.take_all([text].into_iter());
        sample
    }

    /// The part of `text` that a stretch of letters stands for; empty unless the sample is of this text.
    pub(super) fn source<'t>(&self, text: &'t str, span: Span) -> &'t str {
        let places = self.places.as_deref().unwrap_or_default();
        let base = text.as_ptr().addr();
        let place = |at: usize| places.get(at).and_then(|place| place.checked_sub(base));
        let Some((start, last)) = place(span.start).zip(place(span.end.saturating_sub(1))) else {
            return "";
        };
        // A letter may stand for several characters; it ends where the next one starts.
        let follows = self.letters.get(span.end).is_some_and(|&letter| letter != GAP);
        let end = match place(span.end) {
            Some(next) if follows => next,
            Some(_) => {
                last + text
                    .get(last..)
                    .and_then(|rest| rest.chars().next())
                    .map_or(0, char::len_utf8)
            }
            None => text.len(),
        };
        text.get(start..end).unwrap_or_default().trim()
    }

    /// The folded characters of the turn; pieces that were not neighbours are parted by [`GAP`].
    pub(super) fn letters(&self) -> &[char] {
        &self.letters
    }

    /// Letters, words and segments.
    pub(super) fn text(&self) -> Text<'_> {
        Text { letters: &self.letters, words: &self.words, segments: &self.segments }
    }

    /// Keeps the letters of the turn for which `keep` holds.
    #[cfg(feature = "train")]
    pub(super) fn retain(&mut self, mut keep: impl FnMut(char) -> bool) {
        self.letters.retain(|&letter| keep(letter));
        self.split();
    }

    fn split(&mut self) {
        self.words.clear();
        words(&self.letters, &mut self.words);
        segments(&self.letters, &self.words, &mut self.segments);
    }

    /// Reads the texts of a message; a new line parts them.
    pub(super) fn read(&mut self, message: &Message<'_>) {
        self.take_all(message.texts());
    }

    fn take_all<'t>(&mut self, texts: impl Iterator<Item = &'t str>) {
        self.letters.clear();
        let mut left = HEAD;
        let mut unread = Unread::default();
        for text in texts {
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
        self.split();
    }

    /// Reads what the head left: whole if the tail can hold it, else windows and the tail.
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
        self.letters.push(GAP);
    }

    /// Folds up to `left` characters of `text` and returns what was not read.
    fn take<'t>(&mut self, text: &'t str, left: &mut usize) -> &'t str {
        if self.places.is_some() {
            return self.take_places(text, left);
        }
        let mut rest = text;
        loop {
            let plain = self.take_plain(rest.as_bytes(), *left);
            *left -= plain;
            let after = rest.get(plain..).unwrap_or_default();
            let after = self.take_mixed(after, left);
            // The letters that the quick ways leave, up to one that they may take.
            let mut letters = after.chars();
            let mut last = self.letters.last().copied();
            while *left > 0 {
                let Some(letter) = letters.next() else { return "" };
                *left -= 1;
                last = fold(letter, last, &mut self.letters);
                if letters.as_str().as_bytes().first().is_some_and(|byte| quick(*byte)) {
                    break;
                }
            }
            rest = letters.as_str();
            if *left == 0 {
                return rest;
            }
        }
    }

    /// Folds up to `left` letters from the start of `text`, as long as they are ASCII or Hangul syllables that depend on nothing
    /// but the letter before them, and returns what follows. It ends where blocks may be quicker.
    fn take_mixed<'t>(&mut self, text: &'t str, left: &mut usize) -> &'t str {
        let mut rest = text.as_bytes();
        let mut last = self.letters.last().map_or(0, |&last| u32::from(last));
        while *left > 0 {
            let (letter, after) = match rest {
                [byte @ ..0x80, after @ ..] => (char::from(fold_plain(*byte)), after),
                [first @ 0xea..=0xed, second, third, after @ ..] => {
                    let tail = |byte: &u8| u32::from(*byte & 0x3f);
                    let code = u32::from(*first & 0x0f) << 12 | tail(second) << 6 | tail(third);
                    match char::from_u32(code).filter(|&letter| is_syllable(letter)) {
                        Some(letter) => (letter, after),
                        None => break,
                    }
                }
                _ => break,
            };
            let code = u32::from(letter);
            let swallowed = letter == ' ' && last <= u32::from(' ');
            if code == 0 || code == last || swallowed {
                break;
            }
            self.letters.push(letter);
            (last, rest) = (code, after);
            *left -= 1;
            if letter.is_ascii_lowercase() && text.len() - rest.len() >= MIXED {
                break;
            }
        }
        text.get(text.len() - rest.len()..).unwrap_or_default()
    }

    /// The same letter by letter, with the place of each.
    fn take_places<'t>(&mut self, text: &'t str, left: &mut usize) -> &'t str {
        let mut letters = text.chars();
        while *left > 0 {
            let at = letters.as_str().as_ptr().addr();
            let Some(letter) = letters.next() else { return "" };
            *left -= 1;
            fold(letter, self.letters.last().copied(), &mut self.letters);
            if let Some(places) = &mut self.places {
                places.resize(self.letters.len(), at);
            }
        }
        letters.as_str()
    }

    /// Folds plain characters from the start of `bytes`, at most `left`, and returns how many. A rest shorter than a block is left.
    fn take_plain(&mut self, bytes: &[u8], left: usize) -> usize {
        let (blocks, _) = bytes.get(..left).unwrap_or(bytes).as_chunks::<BLOCK>();
        let mut before = self.before();
        let mut taken = 0;
        for block in blocks {
            let (folded, plain) = fold_block(block, before);
            let letters = folded.iter().skip(2).map(|letter| char::from(*letter));
            if plain < BLOCK {
                self.letters.extend(letters.take(plain));
                return taken + plain;
            }
            self.letters.extend(letters);
            taken += BLOCK;
            let [.., earlier, last] = folded;
            before = [earlier, last];
        }
        taken
    }

    /// The last two letters; 0 for none, and a value that no plain letter has for one beyond ASCII.
    fn before(&self) -> [u8; 2] {
        let byte = |letter: Option<&char>| {
            letter.map_or(0, |&letter| u8::try_from(letter).unwrap_or(u8::MAX))
        };
        let mut letters = self.letters.iter().rev();
        let last = byte(letters.next());
        [byte(letters.next()), last]
    }
}

/// May a letter that starts with this byte be folded the quick way?
fn quick(byte: u8) -> bool {
    byte.is_ascii() || matches!(byte, 0xea..=0xed)
}

/// Bytes that are folded at once.
const BLOCK: usize = 64;
/// Bytes after which mixed text may have become plain.
const MIXED: usize = 16;

/// A block in its comparable form behind the two letters before it, and how many letters of it are plain: ASCII that can be
/// printed, not the third in a row, and no white space that something swallows. Each loop does one thing to all bytes
/// without a branch, so that the compiler makes vector instructions of it.
fn fold_block(block: &[u8; BLOCK], before: [u8; 2]) -> ([u8; BLOCK + 2], usize) {
    let mut folded = [0; BLOCK + 2];
    let [first, second, rest @ ..] = &mut folded;
    [*first, *second] = before;
    for (letter, byte) in rest.iter_mut().zip(block) {
        *letter = fold_plain(*byte);
    }
    let mut depends = [0; BLOCK];
    let lasts = folded.iter().skip(1).zip(&folded);
    let letters = folded.iter().skip(2).zip(lasts);
    for (depends, (&letter, (&last, &earlier))) in depends.iter_mut().zip(letters) {
        let swallowed = u8::from(letter == b' ') & u8::from(last <= b' ');
        let third = u8::from(letter == last) & u8::from(last == earlier);
        *depends = swallowed | third | u8::from(letter == 0);
    }
    let (words, _) = depends.as_chunks::<8>();
    let words = words.iter().map(|word| u64::from_le_bytes(*word));
    let plain = words.enumerate().find(|(_, word)| *word != 0);
    let plain = plain.map_or(BLOCK, |(at, word)| at * 8 + (word.trailing_zeros() / 8) as usize);
    (folded, plain)
}

/// What an ASCII byte becomes if nothing around it matters: lower case, one digit for all; 0 for all others.
#[inline]
fn fold_plain(byte: u8) -> u8 {
    let is_in = |first: u8, last: u8| byte.wrapping_sub(first) <= last - first;
    let lower = byte | if is_in(b'A', b'Z') { 0x20 } else { 0 };
    let digit = if is_in(b'0', b'9') { b'0' } else { lower };
    if is_in(b' ', b'~') { digit } else { 0 }
}

/// The rest of a turn when its head has been read.
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

    proptest::proptest! {
        #[test]
        fn the_quick_ways_fold_as_letter_by_letter(text in "([a-cA-C]{0,20}|[0-9 ]{0,5}|[가-힣]{0,12}|가{0,5}|\\PC{0,6}|[ \n\t\u{7f}\u{1112}\u{1161}\u{11ab}éß漢!~]{0,5}){0,12}") {
            let mut expected = Vec::new();
            for letter in text.chars() {
                fold(letter, expected.last().copied(), &mut expected);
            }
            let expected: String = expected.into_iter().collect();
            proptest::prop_assert_eq!(sampled(&[&text]), expected);
        }
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
}
