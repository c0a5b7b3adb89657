//! Normalizes text before it is hashed, one character at a time, into one buffer.
//!
//! The same words arrive in many forms: capitals, full-width Latin, curly quotes, decomposed Hangul
//! jamo, and numbers that differ in value only. Each gets one form, so that one learned weight
//! serves them all.
//!
//! Not done here: stemming, stop words, spelling. The n-grams learn those better.

/// The mark between two pieces of a text that was cut: no n-gram may reach over it.
pub(super) const GAP: char = '\u{1f}';
/// The mark of a blank line.
pub(super) const BREAK: char = '\u{1e}';

const HANGUL_FIRST: u32 = 0xac00;
const HANGUL_LAST: u32 = 0xd7a3;
const LEADS: std::ops::RangeInclusive<u32> = 0x1100..=0x1112;
const VOWELS: std::ops::RangeInclusive<u32> = 0x1161..=0x1175;
const TAILS: std::ops::RangeInclusive<u32> = 0x11a8..=0x11c2;
/// Syllables that share a leading consonant, and those that share leading consonant and vowel.
const PER_LEAD: u32 = 588;
const PER_VOWEL: u32 = 28;

/// A run of one character longer than this is cut to it: `!!!!!!` says no more than `!!!`.
const LONGEST_RUN: usize = 3;

/// True for a composed Hangul syllable.
#[inline]
pub(super) fn is_syllable(letter: char) -> bool {
    (HANGUL_FIRST..=HANGUL_LAST).contains(&u32::from(letter))
}

/// True for a Hangul syllable or a loose compatibility letter such as `ㅋ`.
pub(super) fn is_hangul(letter: char) -> bool {
    let code = u32::from(letter);
    (HANGUL_FIRST..=HANGUL_LAST).contains(&code) || (0x3131..=0x318e).contains(&code)
}

/// True for what may stand inside a word: letters of any script, digits and `_`.
#[inline]
pub(super) fn is_word(letter: char) -> bool {
    // Folded text is lower case, and mostly this: one branch that the processor guesses.
    letter.is_ascii_lowercase() || is_syllable(letter) || is_other_word(letter)
}

fn is_other_word(letter: char) -> bool {
    if letter.is_ascii() {
        letter.is_ascii_alphanumeric() || letter == '_'
    } else {
        is_hangul(letter) || letter.is_alphanumeric()
    }
}

/// A Hangul syllable without its final consonant (`한` gives `하`), anything else as it is.
///
/// Korean verb endings change the final consonant of a stem (`구하`, `구한`, `구할`): without it they
/// are one stem again.
pub(super) fn without_final(letter: char) -> char {
    let code = u32::from(letter);
    if !(HANGUL_FIRST..=HANGUL_LAST).contains(&code) {
        return letter;
    }
    let open = code - (code - HANGUL_FIRST) % PER_VOWEL;
    char::from_u32(open).unwrap_or(letter)
}

/// Appends `letter` to `folded` in its comparable form; it may instead complete the syllable at the
/// end, lengthen a run that is long enough already, or be nothing that is read (a control character).
/// `last` is the end of `folded`; the new end is returned, so that a loop need not look it up.
#[inline]
pub(super) fn fold(letter: char, last: Option<char>, folded: &mut Vec<char>) -> Option<char> {
    // Nearly all letters are these, and they are themselves: the processor guesses one branch, not ten.
    if (letter.is_ascii_lowercase() || is_syllable(letter)) && last != Some(letter) {
        folded.push(letter);
        return Some(letter);
    }
    if letter.is_ascii() {
        fold_ascii(letter, last, folded);
    } else {
        fold_other(letter, last, folded);
    }
    folded.last().copied()
}

fn fold_ascii(letter: char, last: Option<char>, folded: &mut Vec<char>) {
    match letter {
        'A'..='Z' => push_run(letter.to_ascii_lowercase(), last, folded),
        '0'..='9' => push_run('0', last, folded),
        ' ' | '\t' => fold_space(' ', last, folded),
        '\n' => fold_space('\n', last, folded),
        '\0'..='\u{1f}' | '\u{7f}' => {}
        _ => push_run(letter, last, folded),
    }
}

/// A letter that is neither plain nor ASCII.
fn fold_other(letter: char, last: Option<char>, folded: &mut Vec<char>) {
    let Some(letter) = comparable(letter) else { return };
    if letter.is_ascii() {
        fold_ascii(letter, last, folded);
    } else if let Some(joined) = last.and_then(|last| join(last, letter)) {
        folded.pop();
        folded.push(joined);
    } else {
        push_run(letter, last, folded);
    }
}

/// Appends a letter, unless it would make a run of one letter too long.
#[inline]
fn push_run(letter: char, last: Option<char>, folded: &mut Vec<char>) {
    let long = last == Some(letter)
        && folded.iter().rev().take_while(|&&before| before == letter).count() >= LONGEST_RUN;
    if !long {
        folded.push(letter);
    }
}

/// White space: one blank for many, a line's end swallows the blanks around it, and blank lines become one mark.
#[inline]
fn fold_space(space: char, last: Option<char>, folded: &mut Vec<char>) {
    match last {
        Some('\n') if space == '\n' => {
            folded.pop();
            folded.push(BREAK);
        }
        None | Some('\n' | GAP | BREAK) => {}
        Some(' ') => {
            if space == '\n' {
                folded.pop();
                folded.push('\n');
            }
        }
        Some(_) => folded.push(space),
    }
}

/// A form that many signs beyond ASCII share; `None` for those that show nothing.
fn comparable(letter: char) -> Option<char> {
    let code = u32::from(letter);
    if is_syllable(letter) {
        return Some(letter);
    }
    match letter {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(code - 0xfee0),
        '\u{2018}' | '\u{2019}' | '\u{2032}' => Some('\''),
        '\u{201c}' | '\u{201d}' | '\u{300c}' | '\u{300d}' => Some('"'),
        '\u{2010}'..='\u{2015}' | '\u{2212}' => Some('-'),
        '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{80}'..='\u{9f}' => None,
        '\u{2028}' | '\u{2029}' => Some('\n'),
        _ if letter.is_whitespace() => Some(' '),
        _ if code < 0x0600 => letter.to_lowercase().next(),
        _ => Some(letter),
    }
}

/// Joins loose jamo to a syllable: leading consonant and vowel, or open syllable and final consonant.
fn join(last: char, letter: char) -> Option<char> {
    let (last, code) = (u32::from(last), u32::from(letter));
    if LEADS.contains(&last) && VOWELS.contains(&code) {
        let lead = last - LEADS.start();
        let vowel = code - VOWELS.start();
        return char::from_u32(HANGUL_FIRST + lead * PER_LEAD + vowel * PER_VOWEL);
    }
    let open = (HANGUL_FIRST..=HANGUL_LAST).contains(&last)
        && (last - HANGUL_FIRST).is_multiple_of(PER_VOWEL);
    if open && TAILS.contains(&code) {
        return char::from_u32(last + 1 + code - TAILS.start());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{GAP, fold, without_final};

    fn folded(text: &str) -> String {
        let mut buffer = vec![GAP];
        for letter in text.chars() {
            fold(letter, buffer.last().copied(), &mut buffer);
        }
        buffer.into_iter().skip(1).collect()
    }

    #[test]
    fn one_form_for_many_dresses() {
        for (written, expected) in [
            ("Prove THAT", "prove that"),
            ("ＡＢＣ　１", "abc 0"),
            ("\u{1112}\u{1161}\u{11ab}\u{1100}\u{1173}\u{11af}", "한글"),
            ("한글", "한글"),
            ("“quoted” — it’s", "\"quoted\" - it's"),
            ("a \t b \r\n\r\n  c\r\nd", "a b\u{1e}c\nd"),
            ("no\u{200b}thing", "nothing"),
            ("12,345 + 7", "00,000 + 0"),
            ("!!!!!!!! ㅋㅋㅋㅋㅋㅋ", "!!! ㅋㅋㅋ"),
            ("ÉCOLE Σ", "école σ"),
        ] {
            assert_eq!(folded(written), expected, "{written:?}");
        }
    }

    #[test]
    fn a_stem_without_its_final_consonant() {
        for (letter, open) in [('한', '하'), ('할', '하'), ('하', '하'), ('ㅋ', 'ㅋ'), ('a', 'a')]
        {
            assert_eq!(without_final(letter), open);
        }
    }
}
