//! How many tokens a text has, nearly: counted by script, without a tokenizer.
//!
//! A tokenizer costs a hundred times more than everything else done to a request before it is sent, and its tables
//! weigh megabytes. What routing needs is a number that is right within some percent for the texts people send: bytes
//! divided by four are a third too many on English prose and a third too few on code.
//!
//! Not done here: exact counts, which the upstream's usage brings.

use crate::units::Tokens;

/// Tokens of a text, estimated.
///
/// **Source:** weights fitted by least squares to the o200k encoding's counts of 3,377 of this project's training rows
/// (Korean and English prose, code, tables, conversations); on those of 20 tokens and more the median error is 0 %, and
/// eight in ten are within 10 %.
///
/// ```
/// let tokens = router_core::task::estimate("The quick brown fox jumps over the lazy dog.").0;
/// assert!((8..=12).contains(&tokens));
/// ```
pub fn estimate(text: &str) -> Tokens {
    let mut hundredths: u64 = 0;
    let mut run = (Class::Other, 0_u64);
    for letter in text.chars() {
        let class = Class::of(letter);
        run = if run.0 == class { (class, run.1 + 1) } else { (class, 1) };
        hundredths += class.hundredths(run.1);
    }
    Tokens(hundredths.div_ceil(100))
}

/// What letters have in common that share or do not share tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Latin,
    Hangul,
    Digit,
    Space,
    NewLine,
    Sign,
    Accented,
    Ideograph,
    Other,
}

impl Class {
    fn of(letter: char) -> Self {
        match letter {
            'a'..='z' | 'A'..='Z' => Self::Latin,
            '0'..='9' => Self::Digit,
            ' ' => Self::Space,
            '\n' => Self::NewLine,
            _ if letter.is_ascii() => Self::Sign,
            '\u{ac00}'..='\u{d7a3}' => Self::Hangul,
            '\u{80}'..='\u{24f}' => Self::Accented,
            '\u{3040}'..='\u{30ff}' | '\u{4e00}'..='\u{9fff}' => Self::Ideograph,
            _ => Self::Other,
        }
    }

    /// What the letter at a place of a run adds, in hundredths of a token: the first one opens a token.
    fn hundredths(self, place: u64) -> u64 {
        match self {
            Self::Latin if place == 1 => 83,
            Self::Latin | Self::Space => 6,
            Self::Hangul if place == 1 => 117,
            Self::Hangul => 65,
            // Digits share tokens in threes.
            Self::Digit if place % 3 == 1 => 156,
            Self::Digit => 0,
            Self::NewLine => 76,
            Self::Sign => 49,
            Self::Accented => 68,
            Self::Ideograph => 74,
            Self::Other => 202,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::estimate;

    #[track_caller]
    fn check(text: &str, counted: u64) {
        let found = estimate(text).0;
        assert!(found.abs_diff(counted) <= 2 + counted / 6, "{text:?}: {found}, counted {counted}");
    }

    /// **Source:** counts by the o200k encoding.
    #[test]
    fn near_the_tokenizer_in_both_languages_and_in_code() {
        check("", 0);
        check("Hello, world!", 4);
        check("안녕하세요", 2);
        check("fn main() { println!(\"{}\", 1 + 2); }", 13);
        check(
            "The history of the printing press shows how ideas travel when copies are cheap.",
            15,
        );
        check("두 자연수의 최대공약수를 구하는 함수를 파이썬으로 작성해 주세요.", 21);
    }
}
