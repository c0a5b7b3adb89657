//! Recognizes helper calls of chat front ends: titles, tags, follow-up questions, search queries, safety labels, memory.
//!
//! Such a call quotes a user's question and asks for something short about it, which is chat whatever the question needs.
//! Two things must come together: a phrase that names such a product near an edge of the turn, without a word of code
//! beside it, and a quoted turn ("User: ..") or a demand for nothing but the result.
//!
//! Does not weigh the finding (`classifier.rs`).

use std::sync::LazyLock;

use memchr::memmem::{Finder, find};

use crate::chat::Message;

/// Bytes of the head in which a phrase is looked for, of its first paragraph, and of the tail.
const HEAD: usize = 420;
const FIRST: usize = 300;
const TAIL: usize = 260;
/// Bytes in which a quoted turn is looked for.
const QUOTED: usize = 4_096;
/// A shorter turn quotes nothing.
const SHORTEST: usize = 40;

/// Phrases that name what helper calls make.
static PRODUCTS: LazyLock<Phrases> = LazyLock::new(|| {
    Phrases::of(
        "chat title|title for|word title|short title|concise title|a title of|create a title|generate a title|\
    write a title|name this conversation|name this chat|name the conversation|conversation a name|title summari|headline|\
    sidebar|subject line for|follow-up question|follow up question|questions the user|question the user|user could ask|\
    user might|want to know next|ask next|standalone question|standalone version|self-contained|search quer|search string|\
    search terms|web search|for retrieval|tags categori|tags for|tags to|of tags|labels for|keywords|safe or unsafe|\
    'safe' or|\"allow\" or|allow or block|content policy|usage policy|safety filter|safety assessment|moderat|toxic|harmful|\
    prompt injection|facts about the user|about the user|worth remembering|personal details|long-term memory|\
    summarize the conversation|summarise the conversation|lines of conversation|conversation so far|dialogue so far|\
    chat history|detect the language|language of the text|language of the message|sentiment|which intent|intent of|\
    do not answer|without answering|reply chip|suggested repl|quick repl|answer with one of the|autocomplet|\
    제목을|제목으로|제목은|이름을 붙|이름을 지|사이드바|태그|라벨|키워드|핵심어|후속 질문|이어서 물|다음에 궁금|물을 만한|검색어|\
    검색 질의|검색에 쓸|독립된 질문|독립적인 질문|안전한지|안전 필터|유해|이용 정책|콘텐츠 정책|기억할|사용자에 대한|사용자 정보|\
    대화를 요약|지금까지의 대화|대화 내용을|언어를 감지|언어 코드|감정을|의도를|의도는|답하지 말|답하지는|답장 버튼|답장을 제안|분류하세요",
    )
});

/// Words of code: who asks for a program that makes titles does not ask for a title.
static CODE: LazyLock<Phrases> = LazyLock::new(|| {
    Phrases::of(
        "function|python|java|code|implement|program|sql|script|regex|algorithm|class |함수|코드|프로그램|구현",
    )
});

/// Demands for nothing but the result.
static ONLY: LazyLock<Phrases> = LazyLock::new(|| {
    Phrases::of(
        "output nothing|and nothing more|and nothing else| only.|only the|respond with|reply with|answer with|one word|\
    single word|one per line|json array|출력하세요|반환하세요|만 출력|만 답|한 줄에 하나",
    )
});

/// Who is quoted, at the start of a line.
static ROLES: LazyLock<Vec<&[u8]>> = LazyLock::new(|| {
    let roles = "user|human|person|customer|input|message|query|q|text|turn|prompt|question|conversation|original question|\
    사용자|사람|고객|입력|메시지|질의|질문|글|발화|대화|내용";
    roles.split('|').map(str::as_bytes).collect()
});

/// What opens a quotation.
static OPENINGS: LazyLock<Phrases> =
    LazyLock::new(|| Phrases::of("<chat_history>|<<<|\"\"\"|<conversation>|<begin|<text>"));

/// Phrases to search for. Preparing a search costs more than a search in a short text, so it is done once.
struct Phrases(Vec<Finder<'static>>);

impl Phrases {
    /// Phrases between bars.
    fn of(list: &'static str) -> Self {
        Self(list.split('|').map(Finder::new).collect())
    }

    fn any_in(&self, text: &[u8]) -> bool {
        self.0.iter().any(|phrase| phrase.find(text).is_some())
    }
}

/// Is a turn a helper call?
pub(super) fn is_helper_call(turn: &Message<'_>) -> bool {
    turn.texts().any(of_text)
}

/// Lower-case copies of the edges of a text, on the stack.
struct Edges {
    head: [u8; HEAD],
    head_ends: usize,
    tail: [u8; TAIL],
    tail_starts: usize,
}

impl Edges {
    fn of(text: &[u8]) -> Self {
        let mut edges = Self {
            head: [0; HEAD],
            head_ends: text.len().min(HEAD),
            tail: [0; TAIL],
            tail_starts: TAIL - text.len().min(TAIL),
        };
        for (place, byte) in edges.head.iter_mut().zip(text) {
            *place = byte.to_ascii_lowercase();
        }
        for (place, byte) in edges.tail.iter_mut().rev().zip(text.iter().rev()) {
            *place = byte.to_ascii_lowercase();
        }
        edges
    }

    fn head(&self) -> &[u8] {
        self.head.get(..self.head_ends).unwrap_or_default()
    }

    /// The first paragraph.
    fn first(&self) -> &[u8] {
        let head = self.head();
        let end = find(head, b"\n\n").unwrap_or(head.len()).min(FIRST);
        head.get(..end).unwrap_or_default()
    }

    /// The last paragraph.
    fn last(&self) -> &[u8] {
        let tail = self.tail.get(self.tail_starts..).unwrap_or_default();
        let start = memchr::memmem::rfind(tail, b"\n\n").map_or(0, |at| at + 2);
        tail.get(start..).unwrap_or_default()
    }
}

fn of_text(text: &str) -> bool {
    let text = text.as_bytes();
    if text.len() < SHORTEST {
        return false;
    }
    let edges = Edges::of(text);
    let (head, first, last) = (edges.head(), edges.first(), edges.last());
    let beside = text.len() > first.len() + 10;
    let quotes = quotes(text);
    let only = |part: &[u8]| beside && ONLY.any_in(part);
    // Most turns end here: what follows looks for many phrases.
    if !(quotes || only(first) || only(last)) {
        return false;
    }
    let line = last.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let at_start = PRODUCTS.any_in(if quotes { head } else { first }) && !CODE.any_in(first);
    let at_end = PRODUCTS.any_in(last) && !CODE.any_in(line);
    (at_start && (quotes || only(first))) || (at_end && (quotes || only(last)))
}

/// Does a line start with a role and a colon, or does something open a quotation?
fn quotes(text: &[u8]) -> bool {
    let text = text.get(..QUOTED).unwrap_or(text);
    let lines = text.split(|&byte| byte == b'\n').any(names_role);
    lines || OPENINGS.any_in(text)
}

fn names_role(line: &[u8]) -> bool {
    let sign = |byte: &u8| byte.is_ascii() && !byte.is_ascii_alphanumeric();
    let start = line.iter().take(3).take_while(|byte| sign(byte)).count();
    let line = line.get(start..).unwrap_or_default();
    // Most lines begin with no role and end here.
    if !line.first().is_some_and(|byte| byte.is_ascii_alphabetic() || !byte.is_ascii()) {
        return false;
    }
    ROLES.iter().any(|role| {
        let same = line.get(..role.len()).is_some_and(|found| found.eq_ignore_ascii_case(role));
        let mut rest = line.iter().skip(role.len()).take(14);
        same && rest.any(|byte| matches!(byte, b':' | b'='))
    })
}

#[cfg(test)]
mod tests {
    use super::of_text;

    #[test]
    fn helper_calls_are_recognized() {
        for text in [
            "Generate a title for this chat.\n\nUser: Prove that 7 is prime.\nAssistant: Sure.",
            "### Task:\nSuggest 3 follow-up questions.\n### Chat History:\n<chat_history>\nUSER: x\n</chat_history>",
            "Rewrite the question as a search query and output nothing else.\n\nWhy is my loop slow?",
            "User: Prove that 7 is prime.\nAssistant: Sure.\n\nWhich tags to add? Is it safe or unsafe?",
            "이 대화의 제목을 지어 주세요.\n\n사용자: 7이 소수임을 증명해줘",
            "검색어로 바꾸고 그것만 출력하세요.\n\n질문: 왜 느려?",
        ] {
            assert!(of_text(text), "{text}");
        }
    }

    #[test]
    fn questions_about_such_things_are_not() {
        for text in [
            "Write a function that classifies the sentiment of a text.\n\nInput: a string\nOutput: a label",
            "How do I choose a title for my novel about the sea and two sisters?",
            "Question: How many primes lie below 50?\nAnswer:",
            "Implement a search query parser in Rust. Return only the code.",
            "7이 소수임을 증명해줘",
            "hi",
            "",
        ] {
            assert!(!of_text(text), "{text}");
        }
    }
}
