//! Splits a turn into words and signs, and hashes each: one pass over its letters.
//!
//! All that follows (segments, the question, n-grams, marks of shape) reads these words instead of the letters again. A
//! hash grows letter by letter, so that a word never becomes a string. It is not a cryptographic hash and need not be: two
//! n-grams that share a bucket share a weight, which training has seen.
//!
//! Does not choose n-grams (`features.rs`, `relevance.rs`).

use super::letters::BREAK;
use super::letters::GAP;
use super::letters::is_hangul;
use super::letters::is_word;

/// The first state of a hash; the xor of a small number starts another family of hashes.
pub(super) const BASIS: u32 = 0x811c_9dc5;
/// **Source:** the prime of 32-bit FNV-1a (RFC 9923); the rotation mixes code points wider than a byte.
const PRIME: u32 = 0x0100_0193;
/// A longer run of letters, such as base64, becomes several words.
const LONGEST: usize = 250;
/// The sign of everything beyond ASCII.
const FOREIGN: u8 = 1;

/// Takes one more number into a hash.
#[inline]
pub(super) fn step(hash: u32, code: u32) -> u32 {
    (hash ^ code).wrapping_mul(PRIME).rotate_left(13)
}

/// Takes one more letter into a hash.
#[inline]
pub(super) fn step_letter(hash: u32, letter: char) -> u32 {
    step(hash, u32::from(letter))
}

/// A stretch of the letters of a sample.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Span {
    /// Its start.
    pub(super) start: usize,
    /// Its end: the first letter behind it.
    pub(super) end: usize,
}

impl Span {
    /// The number of its letters.
    pub(super) fn len(self) -> usize {
        self.end.saturating_sub(self.start)
    }
}

/// A word, or one sign that stands alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Word {
    /// The hash of its letters.
    pub(super) hash: u32,
    start: u16,
    end: u16,
    /// The number of its digits.
    pub(super) digits: u8,
    /// The number of its Hangul letters.
    pub(super) hangul: u8,
    /// The number of its letters of another script than Latin and Hangul.
    pub(super) other: u8,
    /// The ASCII code of a sign; 0 for a word, 1 for a sign beyond ASCII.
    pub(super) sign: u8,
}

impl Word {
    /// Its start in the sample.
    #[inline]
    pub(super) fn start(self) -> usize {
        usize::from(self.start)
    }

    /// Its end.
    #[inline]
    pub(super) fn end(self) -> usize {
        usize::from(self.end)
    }

    /// Its stretch.
    #[inline]
    pub(super) fn span(self) -> Span {
        Span { start: self.start(), end: self.end() }
    }

    /// The number of its letters.
    #[inline]
    pub(super) fn len(self) -> usize {
        usize::from(self.end - self.start)
    }

    /// All of it but its place, and whether it stands apart from the word before it, as a number.
    #[inline]
    pub(super) fn identity(self, apart: bool) -> u64 {
        let counts = u64::from(self.hangul) << 48 | u64::from(self.digits) << 40;
        let form = u64::from(self.end - self.start) << 56 | u64::from(self.sign) << 32;
        // A sign has seven bits.
        form | counts | u64::from(apart) << 39 | u64::from(self.hash)
    }

    /// Is it a word, rather than a sign?
    #[inline]
    pub(super) fn is_word(self) -> bool {
        self.sign == 0
    }

    /// Does it end a line?
    #[inline]
    pub(super) fn ends_line(self) -> bool {
        self.sign == b'\n' || self.ends_paragraph()
    }

    /// Does it end a paragraph?
    #[inline]
    pub(super) fn ends_paragraph(self) -> bool {
        char::from(self.sign) == BREAK || char::from(self.sign) == GAP
    }
}

/// Appends the words and signs of `letters` to `found`; blanks are left out, ends of lines are signs.
pub(super) fn words(letters: &[char], found: &mut Vec<Word>) {
    let mut rest = letters;
    let mut at = 0_u16;
    while let Some((&first, after)) = rest.split_first() {
        if first == ' ' {
            rest = after;
            at = at.saturating_add(1);
            continue;
        }
        let start = at;
        let mut word = Word { hash: step_letter(BASIS, first), start, ..Word::default() };
        if is_word(first) {
            let mut counts = Counts::default();
            counts.add(first);
            let mut length = 1_u16;
            for &letter in after.get(..LONGEST - 1).unwrap_or(after) {
                // Most letters are these, and they are not counted.
                if !letter.is_ascii_lowercase() {
                    if letter == ' ' || !is_word(letter) {
                        break;
                    }
                    counts.add(letter);
                }
                word.hash = step_letter(word.hash, letter);
                length += 1;
            }
            (word.digits, word.hangul, word.other) = (counts.digits, counts.hangul, counts.other);
            rest = rest.get(usize::from(length)..).unwrap_or_default();
            at = at.saturating_add(length);
        } else {
            word.sign = u8::try_from(first).ok().filter(u8::is_ascii).unwrap_or(FOREIGN);
            rest = after;
            at = at.saturating_add(1);
        }
        word.end = at;
        found.push(word);
    }
}

/// The letters of a word by script; a word has at most [`LONGEST`] letters, so no count overflows.
#[derive(Default)]
struct Counts {
    digits: u8,
    hangul: u8,
    other: u8,
}

impl Counts {
    #[inline]
    fn add(&mut self, letter: char) {
        if letter.is_ascii() {
            self.digits += u8::from(letter == '0');
        } else if is_hangul(letter) {
            self.hangul += 1;
        } else {
            self.other += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn words_and_signs_stand_alone() {
        for (text, expected) in [
            ("is x^0+0 odd?", vec!["is", "x", "^", "0", "+", "0", "odd", "?"]),
            ("둘의 합은?", vec!["둘의", "합은", "?"]),
            ("  ", vec![]),
            ("a_b\u{1f}c\nd", vec!["a_b", "\u{1f}", "c", "\n", "d"]),
        ] {
            let letters: Vec<char> = text.chars().collect();
            let mut found = Vec::new();
            words(&letters, &mut found);
            let found: Vec<String> = found
                .iter()
                .map(|word| letters[word.start()..word.end()].iter().collect())
                .collect();
            assert_eq!(found, expected, "{text:?}");
        }
    }

    #[test]
    fn letters_of_a_word_are_counted_by_script() {
        let letters: Vec<char> = "api00를 素数 -".chars().collect();
        let mut found = Vec::new();
        words(&letters, &mut found);
        let counts: Vec<_> =
            found.iter().map(|word| [word.digits, word.hangul, word.other, word.sign]).collect();
        assert_eq!(counts, [[2, 1, 0, 0], [0, 0, 2, 0], [0, 0, 0, b'-']]);
    }

    #[test]
    fn the_same_word_has_the_same_hash_wherever_it_stands() {
        let letters: Vec<char> = "증명 또 증명".chars().collect();
        let mut found = Vec::new();
        words(&letters, &mut found);
        assert_eq!(found[0].hash, found[2].hash);
        assert_ne!(found[0].hash, found[1].hash);
    }
}
