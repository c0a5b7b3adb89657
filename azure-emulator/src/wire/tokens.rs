//! Estimates the tokens of a text.
//!
//! No tokenizer: the emulator's counts only have to be plausible, stable and cheap. A token is
//! about 4 Latin letters, 1.6 Hangul syllables or 1.4 other wide letters. Counts are kept in
//! thousandths, so that a prefix of a text always counts as a prefix of its sum (the prompt cache
//! needs that).

/// Added for each message of a chat: its role and its separators.
pub const PER_MESSAGE: u64 = 3;

/// Added once a prompt: the opening of the answer.
pub const PRIMING: u64 = 3;

/// An image part, whatever its size. **Source:** a 1,024 x 1,024 image at high detail for gpt-4o.
pub const PER_IMAGE: u64 = 765;

/// Thousandths of a token that one letter counts.
pub const fn thousandths(letter: char) -> u64 {
    match letter {
        '\0'..='\u{7f}' => 250,
        '\u{1100}'..='\u{11ff}' | '\u{3130}'..='\u{318f}' | '\u{ac00}'..='\u{d7a3}' => 625,
        '\u{2e80}'..='\u{ffff}' | '\u{20000}'..='\u{3ffff}' => 714,
        _ => 500,
    }
}

/// Tokens of `text`, rounded up.
pub fn count(text: &str) -> u64 {
    text.chars().map(thousandths).sum::<u64>().div_ceil(1_000)
}

/// True if `text` holds a Hangul letter.
pub fn has_hangul(text: &str) -> bool {
    text.chars().any(|letter| {
        matches!(letter, '\u{1100}'..='\u{11ff}' | '\u{3130}'..='\u{318f}' | '\u{ac00}'..='\u{d7a3}')
    })
}

/// Cuts a text into the pieces in which it is said; one piece counts as one token.
///
/// A piece is a word with the space before it, at most eight letters long.
pub fn pieces(text: &str) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut piece = String::new();
    for letter in text.chars() {
        let word_ends = letter.is_whitespace() && piece.chars().any(|seen| !seen.is_whitespace());
        if word_ends || piece.chars().count() >= 8 {
            pieces.push(std::mem::take(&mut piece));
        }
        piece.push(letter);
    }
    if !piece.is_empty() {
        pieces.push(piece);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts() {
        assert_eq!(count(""), 0);
        assert_eq!(count("abcdefgh"), 2);
        assert_eq!(count("안녕하세요 세계"), 5, "7 syllables and a space");
        assert!(has_hangul("ok 네") && !has_hangul("日本 ok"));
    }

    #[test]
    fn pieces_join_to_the_text() {
        for text in
            ["a b  c", " lead", "internationalisation of 서울특별시강남구역삼동", "", "x\n\ny "]
        {
            assert_eq!(pieces(text).concat(), text);
            assert!(pieces(text).iter().all(|piece| piece.chars().count() <= 8));
        }
        assert_eq!(pieces("one two three").len(), 3);
    }
}
