//! Words for answers that mean nothing: harmless, and in the caller's language.
//!
//! Every word is at most seven letters long, so that a word with its space is one piece and thus
//! one token.

use crate::dice::Dice;

const ENGLISH: [&str; 32] = [
    "the", "model", "answer", "is", "short", "and", "plain", "while", "each", "token", "costs",
    "a", "little", "time", "so", "this", "text", "goes", "on", "until", "its", "length", "has",
    "been", "reached", "with", "no", "other", "purpose", "than", "to", "fill",
];

const KOREAN: [&str; 24] = [
    "이",
    "답변은",
    "시험을",
    "위해",
    "만든",
    "글이며",
    "길이만",
    "정해져",
    "있고",
    "뜻은",
    "거의",
    "없습니다",
    "그래도",
    "토큰은",
    "하나씩",
    "차례로",
    "나오고",
    "속도도",
    "설정한",
    "대로",
    "흘러가며",
    "끝이",
    "나면",
    "멈춥니다",
];

/// Number of prose pieces.
pub fn prose(korean: bool, count: u64, dice: &mut Dice) -> Vec<String> {
    let words: &[&str] = if korean { &KOREAN } else { &ENGLISH };
    (0..count)
        .map(|index| {
            let word = dice.pick(words).copied().unwrap_or_default();
            if index == 0 { word.to_owned() } else { format!(" {word}") }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::tokens;

    #[test]
    fn one_word_is_one_token() {
        for korean in [false, true] {
            let prose = prose(korean, 500, &mut Dice::new(1, b""));
            assert_eq!(tokens::pieces(&prose.concat()).len(), 500);
            assert_eq!(tokens::has_hangul(&prose.concat()), korean);
        }
    }
}
