//! The influence of earlier turns: a follow-up has the task of its conversation.
//!
//! "And the second one?" has no task of its own: after a proof it needs reasoning, after small talk
//! it does not. The shorter a turn, the more it inherits from the turn before it, and a turn that
//! refers back ("그럼 두 번째는?") inherits more. A turn that only closes or thanks inherits nothing:
//! "thanks!" after a proof is chat. All of this is computed from the request, which contains its
//! own history.
//!
//! Not done here: scores (`linear.rs`), and other signals (`classifier.rs`).

use crate::chat::ChatRequest;
use crate::chat::Message;
use crate::chat::Role;

use super::letters::GAP;
use super::letters::fold;
use super::letters::is_word;

/// User turns before the last one that are looked at.
pub(super) const EARLIER: usize = 3;

/// The last message of the user; `None` if there is none.
pub(super) fn last_user<'r, 'a>(request: &'r ChatRequest<'a>) -> Option<&'r Message<'a>> {
    user_turns(request).next()
}

/// The user's messages, last first.
pub(super) fn user_turns<'r, 'a>(
    request: &'r ChatRequest<'a>,
) -> impl Iterator<Item = &'r Message<'a>> {
    request.messages().iter().rev().filter(|message| message.role == Role::User)
}

/// True if the model is to go on from what a tool returned.
pub(super) fn ends_with_tool(request: &ChatRequest<'_>) -> bool {
    request.messages().last().is_some_and(|last| matches!(last.role, Role::Tool | Role::Function))
}

/// The dependence of a turn on the turn before it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Lean {
    /// The share of the log-odds of the turn before that it takes over: 0 to 1.
    pub(super) share: f32,
    /// Does it take up the question before it again ("why?", "what if", "the question above"), so that its own words say
    /// little?
    pub(super) reopens: bool,
}

/// The dependence of a turn on the turn before it.
pub(super) fn lean(turn: &Message<'_>) -> Lean {
    // A letter has at most four bytes: a long turn is not even counted.
    let bytes: usize = turn.texts().map(str::len).sum();
    if bytes > 4 * LONG || turn.texts().map(|text| text.chars().count()).sum::<usize>() > LONG {
        return Lean::default();
    }
    let mut letters: Vec<char> = Vec::with_capacity(LONG);
    let mut last = None;
    for letter in turn.texts().flat_map(str::chars) {
        last = fold(letter, last, &mut letters);
    }
    if closes(&letters) {
        return Lean::default();
    }
    let by_length = match letters.len() {
        letters if letters <= SHORT => 0.5,
        letters if letters <= MEDIUM => 0.3,
        _ => 0.15,
    };
    let reopens = letters.len() <= MEDIUM && reopens(&letters);
    let back = reopens || points_back(&letters);
    Lean { share: if back { by_length + 0.3 } else { by_length }, reopens }
}

/// Letters of a turn that can hardly stand alone, that may, and that mostly does.
const SHORT: usize = 40;
const MEDIUM: usize = 120;
const LONG: usize = 300;

/// Whole turns that end or greet, folded and without signs.
const CLOSINGS: [&str; 40] = [
    "thanks",
    "thank you",
    "thx",
    "ty",
    "thanks a lot",
    "many thanks",
    "thank you so much",
    "great thanks",
    "perfect thanks",
    "ok thanks",
    "okay thanks",
    "got it",
    "got it thanks",
    "ok",
    "okay",
    "great",
    "perfect",
    "cool",
    "nice",
    "awesome",
    "bye",
    "goodbye",
    "good night",
    "see you",
    "hello",
    "hi",
    "고마워",
    "고마워요",
    "고맙습니다",
    "감사합니다",
    "감사해요",
    "감사",
    "알겠어",
    "알겠습니다",
    "네",
    "넵",
    "응",
    "좋아",
    "안녕",
    "잘 가",
];

/// Words that start a closing turn, whatever follows in a short one.
const CLOSING_STARTS: [&str; 6] = ["thanks", "thank you", "고마워", "고맙", "감사", "수고"];

/// Starts of turns that point back to what was said.
const POINTERS: [&str; 44] = [
    "and ",
    "but ",
    "so ",
    "then ",
    "what about",
    "how about",
    "what if",
    "why",
    "how so",
    "how come",
    "also",
    "again",
    "now ",
    "same ",
    "instead",
    "the other",
    "the second",
    "the first",
    "the last",
    "the next",
    "is it",
    "is that",
    "are they",
    "does it",
    "does that",
    "can you",
    "could you",
    "go on",
    "continue",
    "next",
    "그럼",
    "그러면",
    "그런데",
    "근데",
    "그리고",
    "그건",
    "그게",
    "그걸",
    "이번엔",
    "만약",
    "왜",
    "어째서",
    "다시",
    "두 번째",
];

/// Starts of turns that take up the question before them again.
const REOPENING: [&str; 40] = [
    "why",
    "what if",
    "what happens if",
    "what would",
    "how so",
    "how come",
    "how did you get",
    "how does that",
    "how does it change",
    "are you sure",
    "is it still",
    "is that still",
    "does it still",
    "does that still",
    "does it also",
    "does that also",
    "but isn't",
    "but is it",
    "but why",
    "check it",
    "check your",
    "check again",
    "double-check",
    "explain how you",
    "explain the step",
    "explain your",
    "suppose",
    "then which",
    "then how",
    "왜",
    "어째서",
    "만약",
    "확실",
    "정말 맞",
    "다시 확인",
    "다시 풀",
    "다시 계산",
    "그러면 ",
    "어떻게 그렇게",
    "검산",
];

/// Words that name the question before, wherever they stand.
const NAMED: [&str; 14] = [
    "question above",
    "problem above",
    "above question",
    "above problem",
    "previous question",
    "previous problem",
    "same problem",
    "the last step",
    "위의 질문",
    "위 질문",
    "위의 문제",
    "위 문제",
    "앞의 문제",
    "마지막 단계",
];

fn reopens(letters: &[char]) -> bool {
    let starts = |start: &&str| starts_with(letters, start);
    let named = |name: &&str| {
        (0..letters.len()).any(|at| starts_with(letters.get(at..).unwrap_or_default(), name))
    };
    REOPENING.iter().any(starts) || NAMED.iter().any(named)
}

fn starts_with(letters: &[char], start: &str) -> bool {
    let mut rest = letters.iter();
    start.chars().all(|letter| rest.next() == Some(&letter))
}

fn points_back(letters: &[char]) -> bool {
    POINTERS.iter().any(|pointer| starts_with(letters, pointer))
}

fn closes(letters: &[char]) -> bool {
    if letters.len() > SHORT || letters.contains(&'?') {
        return false;
    }
    if CLOSING_STARTS.iter().any(|start| starts_with(letters, start)) {
        return true;
    }
    let mut words = letters.iter().copied().filter(|&letter| is_word(letter) || letter == ' ');
    let said: Vec<char> = words.by_ref().filter(|&letter| letter != GAP).collect();
    CLOSINGS.iter().any(|closing| starts_with(&said, closing) && only_blank_after(&said, closing))
}

fn only_blank_after(said: &[char], closing: &str) -> bool {
    said.iter().skip(closing.chars().count()).all(|&letter| letter == ' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaning(text: &str) -> f32 {
        let body = serde_json::json!({"messages": [{"role": "user", "content": text}]}).to_string();
        let request = ChatRequest::parse(body.as_bytes()).unwrap();
        lean(last_user(&request).unwrap()).share
    }

    #[test]
    fn a_follow_up_leans_and_a_closing_does_not() {
        for text in ["and the second one?", "그럼 두 번째는?", "why?", "왜 그런데?"] {
            assert!(leaning(text) > 0.7, "{text}");
        }
        for text in
            ["Thanks!", "thank you so much, that helps", "고마워!", "감사합니다 :)", "OK.", "넵"]
        {
            assert!(leaning(text) == 0.0, "{text}");
        }
        assert!(leaning("make it shorter") > leaning(&"a new question ".repeat(10)));
        for long in ["a whole new text ", "a  page,  spaced  wide  ", "새로운 긴 글 "] {
            assert!(leaning(&long.repeat(100)) == 0.0, "{long}");
        }
        let reopening = |text: &str| {
            let letters: Vec<char> = text.chars().collect();
            reopens(&letters)
        };
        for text in [
            "why?",
            "are you sure?",
            "now answer the question above",
            "위의 질문에 다시 답해줘",
            "왜?",
        ] {
            assert!(reopening(text), "{text}");
        }
        for text in ["make it shorter", "and in french?", "프랑스어로는?", "thanks"] {
            assert!(!reopening(text), "{text}");
        }
        assert!(leaning("thanks, but why is it odd?") > 0.0, "a question is not a closing");
    }
}
