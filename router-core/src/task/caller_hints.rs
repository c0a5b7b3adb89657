//! Hints in the words of a turn that say how to answer, not what is asked: "think step by step".
//!
//! The scorer leaves such words out of the question; whether they count is for `[routing.signals]` to say.
//!
//! Does not read parameters of the request (`classifier.rs`).

use std::sync::LazyLock;

use memchr::memmem::Finder;

use crate::chat::Message;

/// Bytes from each end of a turn in which a hint is looked for.
const EDGE: usize = 400;
/// Bytes before "step by step" in which a verb must stand: a step-by-step guide is not a hint.
const BEFORE: usize = 48;
/// Bytes after a Korean word for steps in which "think" must stand.
const AFTER: usize = 24;

/// Does a turn ask to think step by step?
pub(super) fn asks_for_steps(turn: &Message<'_>) -> bool {
    turn.texts().any(|text| {
        let head = text.get(..floor(text, EDGE)).unwrap_or_default();
        let tail = text.get(floor(text, text.len().saturating_sub(EDGE))..);
        hints(head) || (text.len() > EDGE && tail.is_some_and(hints))
    })
}

/// Searches, each prepared once: that costs more than a search in a short text.
static STEP: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new("tep"));
static STAGE: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new("단계"));
static ORDERLY: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new("차근차근"));
static THINK: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new("생각"));

fn hints(text: &str) -> bool {
    let english = STEP.find_iter(text.as_bytes()).any(|at| {
        let (before, rest) = text.split_at_checked(at).unwrap_or_default();
        let rest = rest.get("tep".len()..).unwrap_or_default();
        let steps = rest.starts_with(" by step") || rest.starts_with("-by-step");
        steps && thinks(before)
    });
    english || korean(text)
}

/// Does a verb of thinking stand at the end of `text`?
fn thinks(text: &str) -> bool {
    let start = floor(text, text.len().saturating_sub(BEFORE));
    let near = text.get(start..).unwrap_or_default().to_ascii_lowercase();
    ["think", "reason", "work", "solve", "thought"].iter().any(|verb| near.contains(verb))
}

/// The last boundary of a character at `at` or before it.
fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or_default()
}

fn korean(text: &str) -> bool {
    let thinks = |at: usize| {
        let rest = text.get(at..floor(text, at + AFTER)).unwrap_or_default();
        rest.contains("생각")
    };
    !text.is_ascii()
        && THINK.find(text.as_bytes()).is_some()
        && (STAGE.find_iter(text.as_bytes()).any(thinks)
            || ORDERLY.find_iter(text.as_bytes()).any(thinks))
}

#[cfg(test)]
mod tests {
    use super::hints;

    #[test]
    fn a_hint_asks_to_think_and_a_guide_is_none() {
        for hint in [
            "How many are left? Let's think step by step.",
            "Explain your reasoning step-by-step.",
            "단계별로 생각해줘.",
            "차근차근 생각해 보고 답해줘",
        ] {
            assert!(hints(hint), "{hint}");
        }
        for text in
            ["Write a step-by-step guide to tea.", "단계별 안내문을 써줘", "a steppe by steps"]
        {
            assert!(!hints(text), "{text}");
        }
    }
}
