//! Words that tell how much a question has to be worked out: one list of concepts, in English and Korean.
//!
//! A word is found by its hash, as the words of a turn are hashed already. A Korean word carries its particles and
//! endings, so it is also looked up by its first syllables.
//!
//! Not done here: counting and weighing (`benefit.rs`).

use std::sync::LazyLock;

use super::words::BASIS;
use super::words::Word;
use super::words::step;
use super::words::step_letter;

/// The concept that a word stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Concept {
    /// A quantity or a computation is asked for.
    Quantity,
    /// A condition, a quantifier or a negation.
    Condition,
    /// A term of mathematics, logic or algorithms.
    Term,
    /// A fact is asked for: a name, a place, a meaning.
    LookUp,
    /// The same, if it stands at the start of a sentence: elsewhere it is a relative pronoun.
    LookUpFirst,
    /// A proof, an optimum or a number of ways is asked for.
    Work,
    /// Clues, premises and what follows from them.
    Deduction,
    /// People and things of the sums that schools teach first.
    Everyday,
    /// One of several statements is to be picked.
    Pick,
    /// A word of code, or of an ask for some.
    Code,
    /// A quantity or a unit of science, engineering or accounts.
    Science,
}

/// Number of concepts.
pub(super) const CONCEPTS: usize = 11;

/// The words of each concept. `*` ends the start of a Korean word; `+` stands between two words.
const WORDS: [(Concept, &str); CONCEPTS] = [
    (
        Concept::Quantity,
        "how+many how+much how+long how+far how+fast how+old how+often compute calculate evaluate determine find solve \
         simplify sum total average minimum maximum smallest largest least greatest remainder count number+of value+of \
         probability+of percent percentage ratio \
         몇* 구하* 구해* 계산* 얼마* 합은 합을 합이 총 최댓값* 최솟값* 최대* 최소* 개수* 값은 값을 값이 평균* 나머지* 풀어* 풀이* \
         풀면 확률* 비율* 횟수*",
    ),
    (
        Concept::Condition,
        "if each every exactly at+least at+most only must cannot not unless either neither without such+that given all none \
         any both constraint constraints condition conditions restriction restrictions satisfy satisfies satisfying implies \
         whenever otherwise except more+than less+than no+two distinct consecutive respectively \
         만약* 경우* 조건* 모두 모든 각각* 적어도 이상 이하 미만 초과 단 때 않* 아니* 없* 만족* 반드시 오직 서로 참이* 거짓* 제외*",
    ),
    (
        Concept::Term,
        "integer integers prime primes polynomial triangle triangles circle equation equations inequality sequence matrix \
         vector derivative integral modulo divisible divisor divisors permutation permutations combinations probability \
         theorem angle angles perimeter radius coordinates polygon rectangle diagonal roots factors digit digits \
         coefficient coefficients logarithm sin cos tan log graph vertices edges algorithm array subarray substring \
         complexity infinite limit expected uniformly frac sqrt cdot mathbb velocity acceleration \
         concentration intersect intersects arithmetic geometric binary \
         정수* 소수* 자연수* 실수* 다항식* 삼각형* 사각형* 함수* 방정식* 부등식* 수열* 행렬* 벡터* 미분* 적분* 극한* 약수* 배수* 순열* \
         조합* 각도* 둘레* 넓이* 부피* 반지름* 좌표* 직선* 곡선* 평면* 꼭짓점* 로그* 계수* 집합* 알고리즘* 배열* 그래프* 속도* \
         가속도* 등차* 등비* 도함수* 기울기* 교점*",
    ),
    (
        Concept::LookUp,
        "called named name names meaning means definition refers refer known+as term capital author born invented founded \
         discovered located stand+for stands+for synonym nickname \
         누구* 누가 언제* 어디* 뜻* 의미* 명칭* 이름* 용어* 일컫* 부르는 불리* 불렀* 가리키* 유래* 저자* 작가* 별명* 수도는 정의는",
    ),
    (Concept::LookUpFirst, "who whom whose where when"),
    (
        Concept::Work,
        "prove proof show+that derive deduce maximize minimize optimal optimize many+ways of+ways many+different many+distinct \
         many+possible infinitely shortest+path dynamic+programming \
         증명* 유도하* 유도해* 경우의 최적* 보이시오 보여라 일반항* 극대화* 극소화*",
    ),
    (
        Concept::Deduction,
        "clue clues puzzle premise premises follows conclude concluded inferred infer truth lies liar liars knight knights \
         logically consistent statement statements must+be \
         추론* 단서* 명제* 결론* 진술* 퍼즐* 거짓말* 참인* 참일*",
    ),
    (
        Concept::Everyday,
        "he she his her him dollars dollar cents buys buy bought sold earns money store friend friends brother sister mother \
         father apples oranges cookies candy candies books pencils eats ate weeks birthday school kids children party gave \
         gives pizza cake \
         사탕* 구슬* 연필* 사과* 친구* 과자* 색종이* 동생* 언니* 엄마* 나누어* 초콜릿* 공책* 샀습니다* 먹었* 가지고",
    ),
    (
        Concept::Pick,
        "which+of which+one following statement+is \
         것은 다음+중 옳은 옳지 틀린 알맞은 적절한 해당하는 해당하지 설명으로 거리가",
    ),
    (
        Concept::Code,
        "def return print int elif len const var void static import lambda null str char append self printf console println func \
         async await struct enum bool float boolean python java javascript sql function+to \
         코드* 파이썬* 자바* 구현*",
    ),
    (
        Concept::Science,
        "mole moles mol temperature pressure voltage current resistance capacitance inductance frequency wavelength energy mass \
         force torque magnetic electric reaction enzyme allele genotype chromosome kinetic thermodynamic entropy quantum \
         electron electrons spectrum molecule ph solution stress strain beam load present+value interest marginal elasticity \
         variance deviation correlation hypothesis regression utility equilibrium cost+function kw kva mpa gpa kn hz ml cm mm \
         kg ev nm kj ohm atm ℃ \
         전압* 전류* 저항* 용량* 질량* 압력* 온도* 하중* 응력* 농도* 에너지* 주파수* 효율* 유량* 이윤* 효용* 비용함수* 탄력성* \
         이자율* 이자* 감가상각* 원가* 표준편차* 분산* 표본* 신뢰구간* 수익률* 상속분* 유전* 반응식* 회로* 코일* 탄성계수* 역률* \
         기압* 중화*",
    ),
];

/// Places of the table; a power of two, well above the number of words.
const PLACES: usize = 2048;
/// The most places that are looked at for one word.
const TRIED: usize = 8;

/// A word's hash and its concept.
type Entry = Option<(u32, Concept)>;

/// All words by their hashes.
#[derive(Debug)]
struct Table {
    entries: [Entry; PLACES],
    /// One bit for each place that a word's hash points to, among eight times as many. Most words of a text are in no list,
    /// and one look here shows it.
    known: [u8; PLACES],
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let mut table = [None; PLACES];
    let mut known = [0; PLACES];
    for (concept, words) in WORDS {
        for word in words.split_ascii_whitespace() {
            let hash = hash_of(word);
            let (at, bit) = place(hash);
            if let Some(known) = known.get_mut(at) {
                *known |= bit;
            }
            if let Some(free) = places(hash).find(|&at| matches!(table.get(at), Some(None)))
                && let Some(place) = table.get_mut(free)
            {
                *place = Some((hash, concept));
            }
        }
    }
    Table { entries: table, known }
});

fn hash_of(word: &str) -> u32 {
    let letters = |basis: u32, word: &str| word.chars().fold(basis, step_letter);
    match (word.strip_suffix('*'), word.split_once('+')) {
        (Some(start), _) => letters(START, start),
        (None, Some((first, second))) => pair(letters(BASIS, first), letters(BASIS, second)),
        (None, None) => letters(BASIS, word),
    }
}

/// The first state of the hash of the start of a word.
const START: u32 = BASIS ^ 0x3d;
/// The most syllables of the start of a word.
const SYLLABLES: usize = 4;

fn pair(first: u32, second: u32) -> u32 {
    step(first.wrapping_mul(31), second)
}

/// The first place of a hash in the table, and its bit among those that are known there.
#[inline]
fn place(hash: u32) -> (usize, u8) {
    let spread = hash.wrapping_mul(0x9e37_79b1);
    (usize::try_from(spread >> 21).unwrap_or_default(), 1 << (spread >> 18 & 7))
}

fn places(hash: u32) -> impl Iterator<Item = usize> {
    let (first, _) = place(hash);
    (first..first + TRIED).map(|at| at % PLACES)
}

/// The table, looked up once for a turn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Concepts {
    table: &'static Table,
}

impl Concepts {
    pub(super) fn new() -> Self {
        Self { table: &TABLE }
    }

    #[inline]
    fn find(self, hash: u32) -> Option<Concept> {
        let (at, bit) = place(hash);
        if self.table.known.get(at).is_none_or(|known| known & bit == 0) {
            return None;
        }
        self.look_up(hash)
    }

    fn look_up(self, hash: u32) -> Option<Concept> {
        for at in places(hash) {
            match self.table.entries.get(at) {
                Some(Some((known, concept))) if *known == hash => return Some(*concept),
                Some(Some(_)) => {}
                Some(None) | None => return None,
            }
        }
        None
    }

    /// The concept of a word behind another one.
    #[inline]
    pub(super) fn of(self, letters: &[char], before: u32, word: Word) -> Option<Concept> {
        if let Some(found) = self.find(pair(before, word.hash)).or_else(|| self.find(word.hash)) {
            return Some(found);
        }
        if word.hangul == 0 {
            return None;
        }
        let whole = letters.get(word.start()..word.end()).unwrap_or_default();
        let mut hash = START;
        for &letter in whole.iter().take(SYLLABLES) {
            hash = step_letter(hash, letter);
            if let Some(found) = self.find(hash) {
                return Some(found);
            }
        }
        // `-면` is the Korean "if".
        let conditional = whole.len() > 1 && whole.last() == Some(&'면');
        conditional.then_some(Concept::Condition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::words::words;

    #[test]
    fn the_same_concepts_are_found_in_both_languages() {
        for (text, concept) in [
            ("how many", Concept::Quantity),
            ("몇개인가", Concept::Quantity),
            ("구하시오", Concept::Quantity),
            ("at least", Concept::Condition),
            ("놓으면", Concept::Condition),
            ("polynomial", Concept::Term),
            ("다항식의", Concept::Term),
            ("known as", Concept::LookUp),
            ("누구인가", Concept::LookUp),
            ("many ways", Concept::Work),
            ("증명하시오", Concept::Work),
            ("premises", Concept::Deduction),
            ("진술이", Concept::Deduction),
            ("candies", Concept::Everyday),
            ("사탕을", Concept::Everyday),
            ("which of", Concept::Pick),
            ("것은", Concept::Pick),
            ("python", Concept::Code),
            ("파이썬으로", Concept::Code),
            ("voltage", Concept::Science),
            ("전압은", Concept::Science),
            ("who", Concept::LookUpFirst),
        ] {
            let letters: Vec<char> = text.chars().collect();
            let mut found = Vec::new();
            words(&letters, &mut found);
            let last = *found.last().unwrap();
            let before = if found.len() > 1 { found[0].hash } else { 0 };
            assert_eq!(Concepts::new().of(&letters, before, last), Some(concept), "{text}");
        }
    }

    #[test]
    fn every_word_has_a_place() {
        let all = WORDS.iter().flat_map(|(_, words)| words.split_ascii_whitespace());
        for word in all {
            assert!(Concepts::new().find(hash_of(word)).is_some(), "{word}");
        }
    }
}
