//! Recognizes asides: sentences of greeting, thanks and courtesy, and wishes for the form of an answer. They say nothing
//! of the task.
//!
//! A sentence is an aside if it has a word of courtesy or form and hardly a word beyond those that go with them. Only the
//! first and the last sentences of a turn are looked at.
//!
//! Does not decide what the question is (`locate.rs`).

use std::sync::LazyLock;

use super::relevance::Text;
use super::segment::Segment;
use super::words::BASIS;
use super::words::Word;
use super::words::step_letter;

/// Words one of which an aside has. `*` ends the start of a Korean word.
const CORE: &str = "thanks thank grateful appreciate appreciated hello hi hey greetings cheers sorry apologies bother \
    bothering trouble kindly morning afternoon evening hope rush advance \
    answer reply respond format markdown bullet bullets briefly concise concisely emoji emojis sentence sentences english \
    korean tone preamble \
    안녕* 감사* 고마* 고맙* 죄송* 미안* 번거* 수고* 부탁* 실례* 바쁘* 천천* 반가* 반갑* 도와* 왔* 급해* \
    답변* 대답* 한국어* 영어* 존댓말* 반말* 간단히 간결* 짧게 마크다운* 표로 글머리* 이모지* 말투* 형식*";

/// Words that go with them.
const WITH: &str = "i you we it this that s m ve d ll t re isn don so very ever much too a an the for to of is are am do be \
    been have has had your my me us and with would could can will if well all everyone there team again back another one \
    two three question questions help time moment following below day weekend great nice good really million lot any take \
    please just quick quickly wishes best regards kind here got get in advance don't no not long while at on by \
    days night hours ages today yesterday stuck tired trying working staring sitting late new coffee \
    use only keep short brief as list simple under max output without final first then exactly simply words paragraph \
    paragraphs points \
    정말* 너무* 미리 깊이 항상 늘 매번 여러분* 혹시 시간* 되신* 되시* 아래* 내용* 주실* 주셔* 주시* 주세* 주신* 주면 답* 좋은 하루* \
    오늘* 드려* 드립* 드리* 있을까* 질문* 하나* 조금 잠시* 잠깐* 와중* 해드* 해주* 해줘 해줄* 또 제가 저는 저기* 좀 그럼 네 넵 수 \
    한 두 세 문장* 이내* 써* 사용* 말고 없이 꼭 ㅎㅎ* ㅠㅠ* 됩니다 돼요 됩니까 큰 도움이 될 것 같아요 같습니다 많이 늦은 이렇게 자꾸 \
    때마다 처음* 인사*";

/// Words that ask for something else.
const NEVER: &str =
    "how what why who which when where prove translate write explain find calculate";

/// The most words of an aside.
const LONGEST: usize = 24;
/// The number of sentences that are looked at, at each end of a turn.
const EDGE: usize = 4;
/// One word in so many may be unknown.
const UNKNOWN: usize = 8;
/// The most syllables of the start of a Korean word.
const SYLLABLES: usize = 4;

/// What a word says of its sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Says {
    Courtesy,
    Nothing,
    More,
}

/// The first state of the hash of the start of a Korean word.
const START: u32 = BASIS ^ 0x4d;

static ALL: LazyLock<Vec<(u32, Says)>> = LazyLock::new(|| {
    let lists = [(NEVER, Says::More), (CORE, Says::Courtesy), (WITH, Says::Nothing)];
    let words = lists.iter().flat_map(|(list, says)| {
        list.split_ascii_whitespace().map(move |word| {
            let (basis, word) = word.strip_suffix('*').map_or((BASIS, word), |word| (START, word));
            (word.chars().fold(basis, step_letter), *says)
        })
    });
    let mut all: Vec<(u32, Says)> = words.collect();
    // Stable: of two meanings the first list's stays.
    all.sort_by_key(|(hash, _)| *hash);
    all.dedup_by_key(|(hash, _)| *hash);
    all
});

/// Builds the table of words, so that no score has to.
pub(super) fn prepare() {
    LazyLock::force(&ALL);
}

fn find(all: &[(u32, Says)], hash: u32) -> Option<Says> {
    let at = all.binary_search_by_key(&hash, |(hash, _)| *hash).ok()?;
    all.get(at).map(|(_, says)| *says)
}

fn says(all: &[(u32, Says)], letters: &[char], word: Word) -> Option<Says> {
    if let Some(found) = find(all, word.hash) {
        return Some(found);
    }
    if word.hangul == 0 {
        return None;
    }
    let mut hash = START;
    letters.get(word.start()..word.end())?.iter().take(SYLLABLES).find_map(|&letter| {
        hash = step_letter(hash, letter);
        find(all, hash)
    })
}

fn is_aside(all: &[(u32, Says)], text: Text<'_>, segment: &Segment) -> bool {
    if segment.fenced || segment.labels || segment.block || segment.digits > 0 {
        return false;
    }
    let (mut words, mut unknown, mut courtesy) = (0, 0, false);
    let most = segment.to.saturating_sub(segment.from) / UNKNOWN;
    for &word in segment.words(text.words).iter().filter(|word| word.is_word()) {
        words += 1;
        match says(all, text.letters, word) {
            Some(Says::More) => return false,
            Some(Says::Courtesy) => courtesy = true,
            Some(Says::Nothing) => {}
            None => unknown += 1,
        }
        if unknown > most || words > LONGEST {
            return false;
        }
    }
    courtesy
}

/// The asides among the segments of a turn, one bit each.
pub(super) fn asides(text: Text<'_>) -> u64 {
    let all = ALL.as_slice();
    let segments = text.segments;
    let edge = |at: usize| at < EDGE || at + EDGE >= segments.len();
    let found = segments
        .iter()
        .enumerate()
        .filter(|(at, segment)| edge(*at) && is_aside(all, text, segment));
    found.fold(0, |mask, (at, _)| mask | 1 << at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::letters::fold;
    use crate::task::segments::segments;
    use crate::task::words::words;

    fn kept(text: &str) -> Vec<String> {
        let mut letters = Vec::new();
        for letter in text.chars() {
            fold(letter, letters.last().copied(), &mut letters);
        }
        let (mut split, mut found) = (Vec::new(), Vec::new());
        words(&letters, &mut split);
        segments(&letters, &split, &mut found);
        let text = Text { letters: &letters, words: &split, segments: &found };
        let mask = asides(text);
        let all = found.iter().enumerate().filter(|(at, _)| mask >> at & 1 == 0);
        all.map(|(_, one)| letters[one.span.start..one.span.end].iter().collect()).collect()
    }

    #[test]
    fn courtesy_and_wishes_for_form_are_asides_and_questions_are_not() {
        for (text, rest) in [
            ("Hi there! Is 7 prime? Thanks in advance!", vec!["is 0 prime?"]),
            (
                "If you have a moment, would you kindly help me with the following? Prove it.",
                vec!["prove it."],
            ),
            ("왜 하늘은 파란가? 미리 감사드립니다.", vec!["왜 하늘은 파란가?"]),
            ("안녕하세요. 이유를 설명해줘. 영어로 대답해줘.", vec!["이유를 설명해줘."]),
            ("Answer in one sentence. Why is it so?", vec!["why is it so?"]),
            ("How do I reply in English?", vec!["how do i reply in english?"]),
            ("영어로 번역해줘.", vec!["영어로 번역해줘."]),
        ] {
            assert_eq!(kept(text), rest, "{text}");
        }
    }
}
