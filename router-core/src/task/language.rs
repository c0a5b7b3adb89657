//! Is a question written in a language that the scorer did not learn, and what can be said of it all the same?
//!
//! English and Korean are known. Any other script, and a Latin text with more function words of another language than
//! English ones, is another language: learned weights mean nothing there. Its score comes from what is the same
//! everywhere (numbers, formulas, code) and from some verbs of the large languages, and it is never a sure one.
//!
//! Does not decide what happens to such requests (`classifier.rs`).

use std::borrow::Cow;
use std::sync::LazyLock;

use super::benefit::features;
use super::kind::Reason;
use super::letters::is_hangul;
use super::locate::Located;
use super::words::BASIS;
use super::words::Word;
use super::words::step_letter;

/// Function words that are English, and in no other large language.
const ENGLISH: &str = "the of and to is are what how why who when where which does can could would should will i you \
    my your it this that for with be have has if from please translate write tell give make explain show into not by at";

/// Function words of German, French, Spanish, Portuguese, Italian, Dutch, Polish, Swedish, Turkish, Indonesian and
/// Vietnamese that are no English words.
const OTHERS: &str = "der das und ist nicht ein eine einen einem einer dem den vom zu mit für auf wie warum welche \
    welcher welches wenn dass sind werden wird kann ich wir sie bitte zwei zwischen alle jede gibt über nach \
    le la les est une et pour dans qui sur avec pourquoi comment quel quelle combien je vous nous il elle sont deux soit \
    aux cette ces du \
    los las del por para como qué que cuál cuántos está son es uno dos cada entre cómo \
    os uma não são você quantos dois duas ao pelo em um dos \
    lo gli di che è per non sono perché quanti due della delle \
    het een van niet dat zijn wordt hoe waarom voor \
    jest się nie że jak dlaczego oraz przez \
    och att det är som för hur varför \
    ve bir bu için nasıl neden kaç ile \
    yang dan untuk dengan adalah berapa dari mengapa \
    là và của các không một cho";

/// Parts of words that ask for something to be worked out.
const WORK: [&str; 66] = [
    "beweis",
    "berechne",
    "bestimme",
    "löse",
    "herleit",
    "leite ",
    "zeige",
    "warum",
    "wie viel",
    "implementier",
    "programm",
    "funktion",
    "démontr",
    "prouve",
    "montre",
    "calcul",
    "résou",
    "pourquoi",
    "combien",
    "demuestr",
    "demostra",
    "resuelv",
    "por qué",
    "cuánt",
    "prove que",
    "mostre que",
    "resolva",
    "quantos",
    "dimostra",
    "calcola",
    "risolv",
    "perché",
    "bereken",
    "bewijs",
    "waarom",
    "oblicz",
    "udowodn",
    "dlaczego",
    "beräkna",
    "bevisa",
    "hesapla",
    "kanıtla",
    "hitung",
    "buktikan",
    "chứng minh",
    "tính ",
    "証明",
    "計算",
    "求め",
    "解け",
    "解い",
    "なぜ",
    "いくつ",
    "何通り",
    "実装",
    "プログラム",
    "证明",
    "證明",
    "计算",
    "為什麼",
    "为什么",
    "多少",
    "докаж",
    "вычисл",
    "почему",
    "сколько",
];

/// Parts of words that ask for text, a fact or small talk.
const TALK: [&str; 44] = [
    "übersetz",
    "zusammenfass",
    "gedicht",
    "danke",
    "hallo",
    "wer ist",
    "wer war",
    "wann ",
    "traduis",
    "traduire",
    "résum",
    "poème",
    "merci",
    "bonjour",
    "qui est",
    "quand ",
    "traduce",
    "traduz",
    "resum",
    "poema",
    "gracias",
    "hola",
    "obrigad",
    "quién",
    "quem ",
    "traduci",
    "riassum",
    "grazie",
    "ciao",
    "翻訳",
    "要約",
    "ありがとう",
    "こんにちは",
    "誰",
    "いつ",
    "翻译",
    "翻譯",
    "总结",
    "谢谢",
    "你好",
    "перевед",
    "спасибо",
    "привет",
    "кто ",
];

/// Words of a question whose language is looked at.
const LOOKED_AT: usize = 32;
/// Places of the table; a power of two, well above the number of words.
const PLACES: usize = 1024;

/// The hash of a word, and whether it is English.
type Entry = Option<(u32, bool)>;

static TABLE: LazyLock<[Entry; PLACES]> = LazyLock::new(|| {
    let mut table = [None; PLACES];
    for (words, english) in [(ENGLISH, true), (OTHERS, false)] {
        for word in words.split_ascii_whitespace() {
            let hash = word.chars().fold(BASIS, step_letter);
            let free = places(hash).find(|&at| matches!(table.get(at), Some(None)));
            if let Some(place) = free.and_then(|at| table.get_mut(at)) {
                *place = Some((hash, english));
            }
        }
    }
    table
});

fn places(hash: u32) -> impl Iterator<Item = usize> {
    let first = usize::try_from(hash.wrapping_mul(0x9e37_79b1) >> 22).unwrap_or_default();
    (first..first + PLACES).map(|at| at % PLACES)
}

/// Is a word English, or of another language? `None` for most words.
fn known(hash: u32) -> Option<bool> {
    let mut entries = places(hash).map_while(|at| TABLE.get(at).copied().flatten());
    entries.find(|(known, _)| *known == hash).map(|(_, english)| english)
}

/// The words of the question.
fn asked<'w>(turn: &'w Located<'_>) -> impl Iterator<Item = Word> + 'w {
    let Located { text, question } = turn;
    let segments = text.segments.iter().enumerate().filter(move |(at, _)| question.has(*at));
    segments.flat_map(move |(_, segment)| segment.words(text.words).iter().copied())
}

/// Is the question in a language other than English and Korean?
pub(super) fn is_other(turn: &Located<'_>) -> bool {
    let letters = turn.text.letters;
    let (mut english, mut other, mut foreign, mut home) = (0_usize, 0_usize, 0_usize, 0_usize);
    for word in asked(turn).filter(|word| word.is_word()).take(LOOKED_AT) {
        if word.hangul > 0 {
            return false;
        }
        if word.other > 0 {
            let whole = letters.get(word.start()..word.end()).unwrap_or_default();
            let beyond = whole.iter().filter(|&&letter| is_foreign(letter)).count();
            // One Greek letter is a variable.
            foreign += if whole.len() > 1 { beyond } else { 0 };
            home += whole.len() - beyond;
        } else {
            home += word.len() - usize::from(word.digits).min(word.len());
        }
        match known(word.hash) {
            Some(true) => english += 1,
            Some(false) => other += 1,
            None => {}
        }
    }
    foreign > home * 2 || (foreign > home && english == 0) || (other > 1 && other > english)
}

/// Is it a letter of another script than Latin and Hangul?
fn is_foreign(letter: char) -> bool {
    u32::from(letter) > 0x24f && letter.is_alphabetic() && !is_hangul(letter)
}

/// The evidence in a question in another language, in log-odds.
pub(super) fn parts(turn: &Located<'_>) -> [(&'static str, f32); 7] {
    let [digits, numbers, _, operators, formulas, variables, ..] = features(turn);
    let spans = turn.spans();
    let has = |parts: &[&str]| {
        let stretches = spans.iter().filter_map(|span| turn.text.letters.get(span.start..span.end));
        let found = |letters: &[char]| parts.iter().filter(|part| contains(letters, part)).count();
        stretches.map(found).sum::<usize>()
    };
    let (work, talk) = (has(&WORK), has(&TALK));
    let fenced = turn.text.segments.iter().any(|segment| segment.fenced);
    let count = |count: usize| if count > 1 { 1.5 } else { f32::from(u8::from(count > 0)) };
    [
        ("another language", BIAS),
        ("asks to work something out", 2.0 * count(work)),
        ("asks for text or a fact", -2.0 * count(talk)),
        ("numbers", 0.75 * (digits + numbers)),
        ("arithmetic operators", 1.5 * operators),
        ("formulas", 1.25 * (formulas + variables)),
        ("code", if fenced { 1.0 } else { 0.0 }),
    ]
}

/// The log-odds of a question in another language of which nothing is seen.
const BIAS: f32 = -0.75;
/// No such question is surer than this, in log-odds.
const SUREST: f32 = 1.75;

/// The log-odds of a question in another language.
pub(super) fn log_odds(turn: &Located<'_>) -> f32 {
    let sum: f32 = parts(turn).iter().map(|(_, weight)| weight).sum();
    sum.clamp(-SUREST, SUREST)
}

/// The parts that say anything, as reasons.
pub(super) fn reasons(turn: &Located<'_>) -> Vec<Reason> {
    let seen = parts(turn).into_iter().filter(|(_, weight)| *weight != 0.0);
    let mut reasons: Vec<Reason> =
        seen.map(|(name, weight)| Reason { name: Cow::Borrowed(name), weight }).collect();
    reasons.sort_by(|a, b| b.weight.abs().total_cmp(&a.weight.abs()));
    reasons
}

fn contains(letters: &[char], part: &str) -> bool {
    let Some(first) = part.chars().next() else { return false };
    let mut starts = letters.iter().enumerate().filter(|(_, letter)| **letter == first);
    starts.any(|(at, _)| {
        let mut rest = letters.iter().skip(at);
        part.chars().all(|letter| rest.next() == Some(&letter))
    })
}

#[cfg(test)]
mod tests {
    use crate::chat::ChatRequest;
    use crate::task::Assessment;
    use crate::task::LinearScorer;
    use crate::task::Scorer;

    fn assessed(text: &str) -> Assessment {
        let body = serde_json::json!({"messages": [{"role": "user", "content": text}]}).to_string();
        let request = ChatRequest::parse(body.as_bytes()).unwrap();
        LinearScorer::shipped().unwrap().assess(&request.messages()[0])
    }

    #[test]
    fn proofs_in_other_languages_are_reasoning_and_small_talk_is_not() {
        for text in [
            "Beweise, dass die Summe zweier ungerader Zahlen gerade ist.",
            "Warum ist die Wurzel aus 2 irrational? Bitte mit Beweis.",
            "2つの奇数の和が偶数であることを証明してください。",
            "证明两个奇数的和是偶数。",
            "Démontre que la somme de deux nombres impairs est paire.",
            "Demuestra que la suma de dos números impares es par.",
            "Докажи, что сумма двух нечётных чисел чётна.",
        ] {
            let found = assessed(text);
            assert!(found.other_language, "{text}");
            assert!((0.5..0.9).contains(&found.score.value()), "{text}: {:?}", found.score);
        }
        for text in [
            "Danke, das ist sehr nett von dir und hat mir geholfen!",
            "ありがとうございます。",
            "Traduis cette phrase pour moi, merci: il fait beau dans la ville.",
            "Привет, спасибо!",
        ] {
            let found = assessed(text);
            assert!(found.other_language && found.score.value() < 0.5, "{text}: {:?}", found.score);
        }
    }

    #[test]
    fn english_korean_code_and_formulas_are_known() {
        for text in [
            "Prove that the sum of two odd numbers is even.",
            "두 홀수의 합이 짝수임을 증명해 줘",
            "Translate into English: 今日はいい天気です",
            "다음을 한국어로 번역해줘: Beweise, dass die Summe gerade ist und nicht ungerade",
            "x^2 + 3x + 2 = 0",
            "θ = α + β",
            "fn main() { let el = 1; }",
            "Who was Leonardo da Vinci?",
            "Le Monde or La Repubblica, which is older?",
            "hi",
            "",
        ] {
            assert!(!assessed(text).other_language, "{text}");
        }
    }
}
