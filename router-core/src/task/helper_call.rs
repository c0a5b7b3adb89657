//! Recognizes helper calls of chat front ends: titles, tags, follow-up questions, search queries, safety labels, memory.
//!
//! Such a call quotes a user's question and asks for something short about it, which is chat whatever the question needs.
//! Two conditions must hold: a phrase near an edge of the turn names such a product and no word of code stands next to it;
//! and the turn quotes another one ("User: ..") or asks for the result alone.
//!
//! Does not weigh the finding (`classifier.rs`).

use std::sync::LazyLock;

use memchr::memmem::find;

use crate::chat::Message;

/// Bytes of the head in which a phrase is looked for, of its first paragraph, and of the tail.
const HEAD: usize = 420;
const FIRST: usize = 300;
const TAIL: usize = 260;
/// Bytes of a system prompt in which its duty is looked for.
const DUTY: usize = 200;
/// Bytes in which a quoted turn is looked for.
const QUOTED: usize = 4_096;
/// A shorter turn quotes nothing.
const SHORTEST: usize = 40;

/// Phrases that name what helper calls make.
static PRODUCTS: LazyLock<Phrases> = LazyLock::new(|| {
    Phrases::of(
        "title for|title of|title with|title that|word title|words title|short title|concise title|a title|\
    titles for|title summari|heading for|heading with|word heading|headline|sidebar|subject line|a subject of|\
    name this conversation|name this chat|name the conversation|conversation a name|name for this c|name for the c|\
    label for|labels for|lower-case labels|follow-up question|follow up question|follow-ups|questions the user|\
    question the user|prompts the user|user could ask|user might|user may ask|user is likely|likely to send|\
    likely to ask|want to know next|ask next|asked next|next question|quick repl|reply chip|suggested repl|\
    suggest repl|reply options|conversation starter|standalone question|standalone quer|standalone version|\
    stand-alone|self-contained|condense the|rephrase the|rephrase this|paraphrases of|reformulat|rewrite the user|\
    rewrite the last|rewrite the quer|rewrite the question|rewrite the follow|rewrite the message|rewrite the prompt|\
    improve the prompt|improve this prompt|wording of this prompt|versions of the|variations of the|without the chat|\
    without the conversation|without the history|search quer|search string|search terms|search phrase|web search|\
    web lookup|needs a search|search is needed|search the web|for retrieval|retrieve relevant doc|vector database|\
    data source fits|tags categori|tags for|tags to|tags that|of tags|topic tags|keywords|key phrases|main topics|\
    list the topics|topic of the|topics of the|which topic|classify the|classify this|categorize the|categorise the|\
    category of the|which category|categories:|to exactly one of|into exactly one of|one of these categories|assign the|assign one|belongs to one|which intent|\
    intent of|user intent|user's intent|which department|which queue|route the|safe or unsafe|'safe' or|unsafe content|\
    \"allow\" or|allow or block|content policy|usage policy|safety policy|safety filter|safety assessment|\
    safety category|violates the|violates our|violate the|violate our|moderat|toxic|harmful|offensive|prompt injection|jailbreak|override the system|\
    system's instructions|ignore its instructions|ignore previous|personal data in|contains pii|facts about the user|\
    about the user|worth remembering|remember about|personal details|user's profile|user profile|lasting preferences|\
    preferences or|user's preferences|long-term memory|memories|facts and preferences|summarize the conversation|\
    summarise the conversation|summarize the chat|summarise the chat|summarize our|summary of the conversation|\
    summary of the chat|summary of this conversation|previous summary|running summary|current summary|lines of conversation|\
    conversation so far|dialogue so far|chat so far|discussion briefly|compress the|new exchange|chat history|\
    what is this conversation|conversation about|detect the language|language of the text|language of the message|language is this|which language is|what language is|\
    language code|two-letter|iso code|sentiment|emotion of|mood of|tone of the|how upset|how angry|how satisfied|\
    one emoji|fitting emoji|single emoji|do not answer|don't answer|without answering|not to answer|answer with one of the|\
    autocomplet|relevant to the question|return the choice|binary score|grade the|is the question about|is the message below about|\
    제목을|제목으로|제목은|제목 하나|제목만|단어 제목|이름을 붙|이름을 지|이름을 정|\
    사이드바|표제|태그|라벨|키워드|핵심어|주제를 나타|주제어|후속 질문|이어서 물|\
    이어질 질문|다음에 궁금|다음 질문을 제안|추천 질문|물을 만한|물어볼 만한|\
    보낼 만한|검색어|검색 질의|검색에 쓸|검색이 필요|독립된 질문|독립적인 질문|\
    독립형 질문|없이도 이해|바꿔 쓰|다시 쓰|다듬어|질문을 다시|안전한지|안전 필터|\
    안전성|유해|위반|이용 정책|콘텐츠 정책|부적절|지시를 무시|기억할|사용자에 대한|\
    사용자에 대해|사용자 정보|프로필|개인 정보|선호|대화를 요약|지금까지의 대화|\
    대화 내용을|대화를 나중|언어를 감지|언어 코드|어떤 언어|무슨 언어|감정을|\
    감정은|어조|화가 났|의도를|의도는|분류하|나누고|분류해|유형을 고|부서로|\
    답하지 말|답하지는|답변은 하지|대답하지 말|답장 버튼|답장을 제안|빠른 답장|\
    요약해 이어|이모지 하나|관련이 있으면|관련 여부",
    )
});

/// Words of code: who asks for a program that makes titles does not ask for a title.
static CODE: LazyLock<Phrases> = LazyLock::new(|| {
    Phrases::of(
        "function|python|java|source code|this code|the code|code that|code for|implement|program|sql|script|regex|algorithm|class |\
    ```|함수|코드를|코드로|프로그램|구현",
    )
});

/// Demands for nothing but the result.
static ONLY: LazyLock<Phrases> = LazyLock::new(|| {
    Phrases::of(
        "output nothing|and nothing more|and nothing else|nothing else| only.| only,|number only|label only|title only|\
    code only|name only|only the|respond with|reply with|answer with|return a|return the|print the|output 1|\
    output the|output format|one word|single word|one per line|per line|json|yes or no|true or false|no more than|(max|max.|\
    at most|or less|or fewer|up to five|in three words|in a few words|-word|four to five|3-5 word|two sentences|\
    without any lead-in|lead-in|no quotation|no quotes|no punctuation|without quot|comma separated|comma-separated|\
    one of:|one of the|reply {|return {|do not answer|don't answer|출력하세요|출력하시오|출력해|\
    출력.|반환하|만 출력|만 답|만 쓰|만 적|만 고르|한 줄에|하나로|중 하나|가운데 하나|\
    이내로|이내의|단어로|자 이내|두 문장|형태로|형식으로|쉼표로|예 또는|따옴표",
    )
});

/// Names of the speaker of a quotation, at the start of a line.
static ROLES: LazyLock<Vec<&[u8]>> = LazyLock::new(|| {
    let roles = "user|human|person|customer|client|input|message|query|q|text|turn|prompt|question|conversation|dialogue|original question|\
    latest message|new message|last message|follow up|the text|사용자|사람|고객|손님|입력|메시지|새 메시지|마지막|질의|질문|글|발화|대화|내용|텍스트";
    roles.split('|').map(str::as_bytes).collect()
});

/// Signs that open a quotation.
static OPENINGS: LazyLock<Phrases> = LazyLock::new(|| {
    Phrases::of(
        "<chat_history>|<<<|\"\"\"|<conversation>|<begin|<text>|<message>|<dialog|\n---\n|\n\"",
    )
});

/// Words for the conversation, on which such a call works if it follows it.
static CONVERSATION: LazyLock<Phrases> =
    LazyLock::new(|| Phrases::of("conversation|discussion|this chat|our chat|대화"));

/// Instructions of a system prompt that makes each turn a helper call.
static DUTIES: LazyLock<Phrases> = LazyLock::new(|| {
    Phrases::of(
        "generate a title|generate a short title|generate titles|short title based|title based on|title generator|title for the|\
    names conversations|name conversations|suggest follow-up|follow-up questions for|rewrite the user|rewrites the user|\
    rephrase the user|query rewrit|rewrite quer|rewrites quer|standalone question|generate tags|tag conversations|\
    classify the user|classify each|classify messages|classifies messages|intent classif|content moderator|moderation model|\
    safety classif|safe or unsafe|extract facts|extract memories|memory extract|summarize the conversation|\
    summarise the conversation|conversation summar|제목을 생성|제목을 짓|제목을 만|후속 질문을 제안|후속 질문을 생성|\
    검색어로 바꾸|검색 질의로|독립된 질문으로|태그를 생성|분류기|의도를 분류|안전한지 판단|기억할 만한|사실을 추출|대화를 요약",
    )
});

/// Phrases to search for in one pass: where three bytes begin none of them, nothing is compared.
struct Phrases {
    /// The phrases by their first byte.
    all: Vec<Vec<&'static [u8]>>,
    /// One bit for the hash of the first three bytes of each.
    starts: [u64; 256],
}

/// The word and the bit of the hash of three bytes, the lower ones of a number.
#[inline]
fn place(three: u32) -> (u8, u64) {
    let [_, _, bit, word] = (three & 0xff_ffff).wrapping_mul(0x9e37_79b1).to_le_bytes();
    (word, 1 << (bit & 63))
}

impl Phrases {
    /// Phrases between bars, of three bytes or more.
    fn of(list: &'static str) -> Self {
        let mut all = vec![Vec::new(); 256];
        let mut starts = [0; 256];
        for phrase in list.split('|').map(str::as_bytes) {
            let Some([first, second, third]) = phrase.first_chunk() else { continue };
            let (word, bit) = place(u32::from_le_bytes([*first, *second, *third, 0]));
            if let Some(word) = starts.get_mut(usize::from(word)) {
                *word |= bit;
            }
            if let Some(alike) = all.get_mut(usize::from(*first)) {
                alike.push(phrase);
            }
        }
        Self { all, starts }
    }

    fn any_in(&self, text: &[u8]) -> bool {
        let starts = |three| {
            let (word, bit) = place(three);
            self.starts.get(usize::from(word)).is_some_and(|word| word & bit != 0)
        };
        // Four bytes are one number: they are read at once.
        let windows = text.windows(4).filter_map(<[u8]>::first_chunk);
        let inside = windows.enumerate().any(|(at, window)| {
            starts(u32::from_le_bytes(*window)) && self.begin(text.get(at..).unwrap_or_default())
        });
        inside || text.last_chunk::<3>().is_some_and(|last| self.begin(last))
    }

    /// Does `text` begin with a phrase?
    fn begin(&self, text: &[u8]) -> bool {
        let alike = text.first().and_then(|first| self.all.get(usize::from(*first)));
        alike.is_some_and(|alike| alike.iter().any(|phrase| text.starts_with(phrase)))
    }
}

/// Is a turn a helper call?
pub(super) fn is_helper_call(turn: &Message<'_>) -> bool {
    turn.texts().any(of_text)
}

/// Does a system prompt make every turn a helper call? Its first words say so.
pub(super) fn asks_for_helper_calls(system: &Message<'_>) -> bool {
    system.texts().take(1).any(|text| {
        let mut lower = [0; DUTY];
        for (place, byte) in lower.iter_mut().zip(text.as_bytes()) {
            *place = byte.to_ascii_lowercase();
        }
        let duty = lower.get(..text.len().min(DUTY)).unwrap_or_default();
        DUTIES.any_in(duty) && !CODE.any_in(duty)
    })
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
        let end = text.get(text.len().saturating_sub(TAIL)..).unwrap_or_default();
        for (place, byte) in edges.tail.iter_mut().skip(edges.tail_starts).zip(end) {
            *place = byte.to_ascii_lowercase();
        }
        edges
    }

    fn head(&self) -> &[u8] {
        self.head.get(..self.head_ends).unwrap_or_default()
    }

    /// The first paragraph, up to the first quoted turn in it.
    fn first(&self) -> &[u8] {
        let head = self.head();
        let end = find(head, b"\n\n").unwrap_or(head.len()).min(FIRST);
        let first = head.get(..end).unwrap_or_default();
        let ends = memchr::memchr_iter(b'\n', first);
        let quoted = ends.skip(1).find(|&at| first.get(at + 1..).is_some_and(names_role));
        first.get(..quoted.unwrap_or(first.len())).unwrap_or_default()
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
    let only = |part: &[u8]| ONLY.any_in(part) && (beside || CONVERSATION.any_in(part));
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
    let line = |at: usize| {
        let rest = text.get(at..).unwrap_or_default();
        let line = rest.get(..LONGEST_ROLE).unwrap_or(rest);
        line.split(|&byte| byte == b'\n').next().unwrap_or_default()
    };
    // Each opening starts with one of these signs; most of a text has none of them.
    names_role(line(0))
        || memchr::memchr3_iter(b'\n', b'<', b'"', text).any(|at| {
            let rest = text.get(at..).unwrap_or_default();
            OPENINGS.begin(rest) || (rest.starts_with(b"\n") && names_role(line(at + 1)))
        })
}

/// Bytes of a line in which a role and its colon stand.
const LONGEST_ROLE: usize = 64;

fn names_role(line: &[u8]) -> bool {
    let sign = |byte: &u8| byte.is_ascii() && !byte.is_ascii_alphanumeric();
    let start = line.iter().take(3).take_while(|byte| sign(byte)).count();
    let line = line.get(start..).unwrap_or_default();
    // Most lines begin with no role and end here.
    let first = line.first().map(u8::to_ascii_lowercase);
    if !first.is_some_and(|byte| byte.is_ascii_alphabetic() || !byte.is_ascii()) {
        return false;
    }
    ROLES.iter().filter(|role| role.first().copied() == first).any(|role| {
        let same = line.get(..role.len()).is_some_and(|found| found.eq_ignore_ascii_case(role));
        let mut rest = line.iter().skip(role.len()).take(14);
        same && rest.any(|byte| matches!(byte, b':' | b'='))
    })
}

#[cfg(test)]
mod tests {
    use super::{OPENINGS, Phrases, of_text};

    #[test]
    fn a_phrase_is_found_wherever_it_stands() {
        let phrases = Phrases::of("sql|title for|태그");
        for (text, found) in [
            ("sql", true),
            ("in sql", true),
            ("sql!", true),
            ("a title for", true),
            ("title fo", false),
            ("새 태그", true),
            ("sq", false),
            ("", false),
        ] {
            assert_eq!(phrases.any_in(text.as_bytes()), found, "{text}");
        }
    }

    #[test]
    fn openings_start_with_the_signs_that_are_looked_for() {
        for opening in OPENINGS.all.iter().flatten() {
            assert!(matches!(opening[0], b'\n' | b'<' | b'"'), "{opening:?}");
        }
    }

    #[test]
    fn helper_calls_are_recognized() {
        for text in [
            "Generate a title for this chat.\n\nUser: Prove that 7 is prime.\nAssistant: Sure.",
            "### Task:\nSuggest 3 follow-up questions.\n### Chat History:\n<chat_history>\nUSER: x\n</chat_history>",
            "Rewrite the question as a search query and output nothing else.\n\nWhy is my loop slow?",
            "User: Prove that 7 is prime.\nAssistant: Sure.\n\nWhich tags to add? Is it safe or unsafe?",
            "이 대화의 제목을 지어 주세요.\n\n사용자: 7이 소수임을 증명해줘",
            "검색어로 바꾸고 그것만 출력하세요.\n\n질문: 왜 느려?",
            "Please generate a four to five word title summarizing our conversation without any lead-in or quotation marks.",
            "Assign the message to exactly one of: billing, delivery, other. Print the label.\n\n\"Why is 7 prime?\"",
            "Which language is this written in? Reply with the two-letter code.\n\nIs 7 prime?",
            "다음 글은 어떤 언어로 쓰였나요? 두 글자 코드만 답하세요.\n\n7이 소수야?",
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
            "Reply in the language of the question.\n\nQuestion: Why is 7 prime?",
            "7이 소수임을 증명해줘",
            "hi",
            "",
        ] {
            assert!(!of_text(text), "{text}");
        }
    }
}
