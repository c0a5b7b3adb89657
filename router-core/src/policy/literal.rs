//! Searches a text for the literal words of rules, without patterns and at bounded cost.
//!
//! ASCII letters match in either case. A word that begins or ends with an ASCII letter or digit does not match inside a longer
//! ASCII word (`sum` is not in `summary`); other scripts attach particles, so `번역` is found in `번역해줘`.

use memchr::memmem::Finder;

use crate::chat::Message;

/// Bytes that are searched at the start of a text, and again at its end.
pub(super) const SEARCHED: usize = 16_384;

/// The most parts of a message that are searched.
const MOST_PARTS: usize = 16;

/// A literal word of a rule.
#[derive(Debug, Clone)]
pub struct Literal {
    finder: Finder<'static>,
}

impl PartialEq for Literal {
    fn eq(&self, other: &Self) -> bool {
        self.folded() == other.folded()
    }
}

impl Eq for Literal {}

impl Literal {
    /// A word, in any letter case.
    pub fn new(word: &str) -> Self {
        let folded = word.to_ascii_lowercase();
        Self { finder: Finder::new(folded.as_bytes()).into_owned() }
    }

    /// True if every text that has `other` has this one too.
    pub(crate) fn is_in(&self, other: &Self) -> bool {
        self.found(other.folded())
    }

    fn folded(&self) -> &[u8] {
        self.finder.needle()
    }

    /// True if a folded text contains it.
    fn found(&self, text: &[u8]) -> bool {
        let length = self.folded().len();
        self.finder.find_iter(text).any(|at| {
            let before = at.checked_sub(1);
            let inside = |edge: Option<usize>, next: Option<usize>| {
                let is_word = |at: usize| text.get(at).is_some_and(u8::is_ascii_alphanumeric);
                edge.is_some_and(is_word) && next.is_some_and(is_word)
            };
            !inside(Some(at), before) && !inside((at + length).checked_sub(1), Some(at + length))
        })
    }
}

/// A text in which words are searched.
#[derive(Debug, Default)]
pub(super) struct Searched(Vec<String>);

impl Searched {
    /// The start and the end of a message's texts.
    pub(super) fn message(message: &Message<'_>) -> Self {
        let mut searched = Self::default();
        message.texts().take(MOST_PARTS).for_each(|text| searched.add(text));
        searched
    }

    /// The start and the end of a text.
    pub(super) fn text(text: &str) -> Self {
        let mut searched = Self::default();
        searched.add(text);
        searched
    }

    fn add(&mut self, text: &str) {
        if text.len() <= 2 * SEARCHED {
            self.0.push(text.to_ascii_lowercase());
            return;
        }
        let boundary = |from: usize| (0..4).map(move |back| from - back);
        let head = boundary(SEARCHED).find_map(|end| text.get(..end));
        let tail = boundary(text.len() - SEARCHED).find_map(|start| text.get(start..));
        self.0.extend(head.into_iter().chain(tail).map(str::to_ascii_lowercase));
    }

    /// True if the text contains one of the words.
    pub(super) fn has_any(&self, words: &[Literal]) -> bool {
        words.iter().any(|word| self.0.iter().any(|text| word.found(text.as_bytes())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(text: &str, word: &str) -> bool {
        Searched::text(text).has_any(&[Literal::new(word)])
    }

    #[test]
    fn words_match_whole_in_any_case_and_with_particles() {
        for (text, word) in [
            ("Please TRANSLATE this", "translate"),
            ("sum, please", "Sum"),
            ("summary of the sum", "sum"),
            ("이 글을 번역해줘", "번역"),
            ("영어로translate해줘", "translate"),
            ("c++ code", "c++"),
        ] {
            assert!(has(text, word), "{text}: {word}");
        }
        for (text, word) in [("summary", "sum"), ("a_resume", "sum"), ("번 역", "번역"), ("", "a")]
        {
            assert!(!has(text, word), "{text}: {word}");
        }
        assert!(Literal::new("sum").is_in(&Literal::new("the sum of")));
        assert!(!Literal::new("sum").is_in(&Literal::new("summary")));
    }

    #[test]
    fn both_ends_of_a_long_text_are_searched_and_its_middle_is_not() {
        let long = "가".repeat(SEARCHED);
        assert!(has(&format!("start {long}"), "start") && has(&format!("{long} end"), "end"));
        assert!(!has(&format!("{long} middle {long}"), "middle"));
    }
}
