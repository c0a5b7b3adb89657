//! Splits text into words and hashes them.
//!
//! A hash grows character by character while the text is walked, so an n-gram never becomes a
//! string. It is not cryptographic and need not be: two n-grams that share a bucket share a weight,
//! also in training.
//!
//! Not done here: which n-grams are built from the words (`features.rs`).

use super::letters::GAP;
use super::letters::is_word;

/// Where a hash starts; the xor of a small number starts another family of hashes.
pub(super) const BASIS: u32 = 0x811c_9dc5;
/// **Source:** the prime of 32-bit FNV-1a (RFC 9923); the rotation mixes code points wider than a byte.
const PRIME: u32 = 0x0100_0193;

/// Takes one more number into a hash.
pub(super) fn step(hash: u32, code: u32) -> u32 {
    (hash ^ code).wrapping_mul(PRIME).rotate_left(13)
}

/// Takes one more letter into a hash.
pub(super) fn step_letter(hash: u32, letter: char) -> u32 {
    step(hash, u32::from(letter))
}

/// A word, or one sign that stands alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Word {
    /// The hash of its letters.
    pub(super) hash: u32,
    /// Where it starts in the sample.
    pub(super) start: usize,
    /// Where it ends.
    pub(super) end: usize,
}

/// The words of a stretch of a sample.
#[derive(Debug, Clone)]
pub(super) struct Words<'s> {
    letters: &'s [char],
    at: usize,
}

/// The words of `letters` from `start` to `end`; places are counted from the start of `letters`.
pub(super) fn words(letters: &[char], start: usize, end: usize) -> Words<'_> {
    Words { letters: letters.get(..end).unwrap_or(letters), at: start }
}

fn parts(letter: char) -> bool {
    letter == ' ' || letter == '\n' || letter == GAP
}

impl Iterator for Words<'_> {
    type Item = Word;

    fn next(&mut self) -> Option<Word> {
        let rest = self.letters.get(self.at..)?;
        let blanks = rest.iter().position(|&letter| !parts(letter))?;
        let start = self.at + blanks;
        let (&first, rest) = rest.get(blanks..)?.split_first()?;
        let mut hash = step_letter(BASIS, first);
        let mut end = start + 1;
        if is_word(first) {
            for &letter in rest {
                if !is_word(letter) {
                    break;
                }
                hash = step_letter(hash, letter);
                end += 1;
            }
        }
        self.at = end;
        Some(Word { hash, start, end })
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
            ("  \n", vec![]),
            ("a_b\u{1f}c", vec!["a_b", "c"]),
        ] {
            let letters: Vec<char> = text.chars().collect();
            let found: Vec<String> = words(&letters, 0, letters.len())
                .map(|word| letters[word.start..word.end].iter().collect())
                .collect();
            assert_eq!(found, expected, "{text:?}");
        }
    }

    #[test]
    fn the_same_word_has_the_same_hash_wherever_it_stands() {
        let letters: Vec<char> = "증명 또 증명".chars().collect();
        let hashes: Vec<u32> = words(&letters, 0, letters.len()).map(|word| word.hash).collect();
        assert_eq!(hashes[0], hashes[2]);
        assert_ne!(hashes[0], hashes[1]);
    }
}
