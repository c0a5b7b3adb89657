//! The shape of a turn, independent of its words: length, scripts, numbers, symbols and lines.
//!
//! Each feature is a kind with a small grade (mostly a power of two), so that a linear model can
//! express curves: "medium long" may weigh more than both "short" and "long". A few features
//! combine two kinds where one alone misleads: a length means more in Hangul, which says more with
//! fewer letters, than in Latin.
//!
//! Not done here: words. The weights are in the model.

use super::asks::Span;
use super::letters::is_hangul;
use super::letters::is_word;
use super::sample::Sample;

/// Which languages a turn is written in, by its letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Script {
    /// No Hangul.
    Latin,
    /// Mostly Latin letters with some Hangul: pasted English or code under a Korean ask.
    Mixed,
    /// Hangul.
    Hangul,
}

/// A mark of shape: its kind and its grade.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    /// The kind.
    pub(super) kind: Kind,
    /// The grade; what it counts depends on the kind.
    pub(super) grade: u32,
}

/// The kinds of marks. The numbers are hashed: never give one to another kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Length = 0,
    LengthAndScript = 1,
    Script = 2,
    Lines = 3,
    Digits = 4,
    Numbers = 5,
    Maths = 6,
    Brackets = 7,
    Questions = 8,
    Ending = 9,
    Commas = 10,
    Quotes = 11,
    Formulas = 12,
    Equations = 13,
    Options = 14,
    Fences = 15,
    OtherScripts = 16,
    Words = 17,
    LastAsk = 18,
    FirstAsk = 19,
    NumbersAndLength = 20,
    QuestionAndLength = 21,
    OneAsk = 22,
    NumbersAndQuestions = 23,
}

impl Kind {
    /// The name used in reasons.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Length => "length",
            Self::LengthAndScript => "length for its script",
            Self::Script => "script",
            Self::Lines => "lines",
            Self::Digits => "share of digits",
            Self::Numbers => "numbers",
            Self::Maths => "mathematical signs",
            Self::Brackets => "brackets and braces",
            Self::Questions => "question marks",
            Self::Ending => "how it ends",
            Self::Commas => "commas",
            Self::Quotes => "quotation marks",
            Self::Formulas => "formula marks",
            Self::Equations => "equals signs",
            Self::Options => "answer options",
            Self::Fences => "code fences",
            Self::OtherScripts => "other signs",
            Self::Words => "words",
            Self::LastAsk => "length of the last sentence",
            Self::FirstAsk => "length of the first sentence",
            Self::NumbersAndLength => "numbers for its length",
            Self::QuestionAndLength => "question for its length",
            Self::OneAsk => "one sentence or several",
            Self::NumbersAndQuestions => "numbers and questions",
        }
    }
}

/// What is counted in one pass over the letters.
#[derive(Debug, Default)]
struct Counts {
    letters: usize,
    hangul: usize,
    latin: usize,
    digits: usize,
    numbers: usize,
    maths: usize,
    brackets: usize,
    lines: usize,
    questions: usize,
    commas: usize,
    quotes: usize,
    formulas: usize,
    equals: usize,
    options: usize,
    fences: usize,
    other: usize,
    words: usize,
}

impl Counts {
    fn of(letters: &[char]) -> Self {
        let mut counts = Self { letters: letters.len(), lines: 1, ..Self::default() };
        let mut inside = false;
        for (at, &letter) in letters.iter().enumerate() {
            // Most letters are these: they are counted without looking at what else they might be.
            let word = if letter.is_ascii_lowercase() {
                counts.latin += 1;
                true
            } else if letter == ' ' {
                false
            } else if !letter.is_ascii() && is_hangul(letter) {
                counts.hangul += 1;
                true
            } else {
                let before = |back| at.checked_sub(back).and_then(|at| letters.get(at)).copied();
                counts.take(letter, [before(2), before(1)]);
                is_word(letter)
            };
            counts.words += usize::from(word && !inside);
            inside = word;
        }
        counts
    }

    fn take(&mut self, letter: char, before: [Option<char>; 2]) {
        let [earlier, last] = before.map(|letter| letter.unwrap_or(' '));
        match letter {
            '0' => {
                self.digits += 1;
                self.numbers += usize::from(last != '0');
            }
            '\n' => self.lines += 1,
            '?' => self.questions += 1,
            ',' => self.commas += 1,
            '"' => self.quotes += 1,
            '=' => {
                self.equals += 1;
                self.maths += 1;
            }
            '+' | '<' | '>' | '^' | '*' | '%' | '≤' | '≥' | '×' | '÷' | '√' | '∑' | '∫' | 'π'
            | '²' | '³' => self.maths += 1,
            '{' | '}' | ';' | '(' | ')' | '[' | ']' | '_' => self.brackets += 1,
            '\\' | '$' => self.formulas += 1,
            '①'..='⑩' => self.options += 1,
            '`' => self.fences += usize::from(last == '`' && earlier == '`'),
            ' ' | '.' | '\'' | '-' | ':' | '!' | '/' => {}
            _ => self.other += 1,
        }
        // `a)` and `1)` number the options of a question.
        let numbered = letter == ')' && (last.is_ascii_lowercase() || last == '0');
        self.options += usize::from(numbered);
    }

    fn script(&self) -> Script {
        if self.hangul == 0 {
            Script::Latin
        } else if self.hangul * 4 < self.latin {
            Script::Mixed
        } else {
            Script::Hangul
        }
    }
}

/// Grade by powers of two: 0, 1, 2 to 3, 4 to 7 and so on.
fn log2(count: usize) -> u32 {
    usize::BITS - count.leading_zeros()
}

/// Grade of a share, by powers of two of its fortieth parts.
fn share(part: usize, whole: usize) -> u32 {
    if part == 0 { 0 } else { 1 + log2((part * 40 / whole.max(1)).min(40)) }
}

/// The grade of the last letter: what kind of sign ends the turn.
fn ending(letters: &[char]) -> u32 {
    match letters.iter().rev().find(|letter| !matches!(letter, ' ' | '\n')) {
        Some('?') => 1,
        Some('.') => 2,
        Some(':') => 3,
        Some(&letter) if is_hangul(letter) => 4,
        Some('0') => 5,
        Some(&letter) if !is_word(letter) => 7,
        Some(_) | None => 6,
    }
}

/// Finds the marks of a turn and hands each to `put`; returns its script.
pub(super) fn marks(sample: &Sample, asks: (Span, Span), mut put: impl FnMut(Mark)) -> Script {
    let letters = sample.letters();
    let counts = Counts::of(letters);
    let script = counts.script();
    let tongue = match script {
        Script::Latin => 0,
        Script::Mixed => 1,
        Script::Hangul => 2,
    };
    let whole = counts.letters;
    let length = log2(sample.length());
    let ends = ending(letters);
    let (first, last) = asks;
    let numbers = log2(counts.numbers);
    let questions = log2(counts.questions);
    let graded = [
        (Kind::Length, length),
        (Kind::LengthAndScript, length * 4 + tongue),
        (Kind::Script, tongue),
        (Kind::Lines, log2(counts.lines)),
        (Kind::Digits, share(counts.digits, whole)),
        (Kind::Numbers, numbers.min(6)),
        (Kind::Maths, share(counts.maths, whole)),
        (Kind::Brackets, share(counts.brackets, whole)),
        (Kind::Questions, questions),
        (Kind::Ending, ends + 8 * tongue),
        (Kind::Commas, share(counts.commas, whole)),
        (Kind::Quotes, log2(counts.quotes).min(4)),
        (Kind::Formulas, share(counts.formulas, whole)),
        (Kind::Equations, log2(counts.equals).min(4)),
        (Kind::Options, log2(counts.options).min(4)),
        (Kind::Fences, log2(counts.fences).min(4)),
        (Kind::OtherScripts, share(counts.other, whole)),
        (Kind::Words, log2(counts.words)),
        (Kind::LastAsk, log2(last.1 - last.0) * 8 + tongue),
        (Kind::FirstAsk, log2(first.1 - first.0) * 8 + tongue),
        (Kind::NumbersAndLength, numbers.min(4) * 16 + length.min(15)),
        (Kind::QuestionAndLength, u32::from(ends == 1) * 16 + length.min(15)),
        (Kind::OneAsk, u32::from(first.0 == last.0)),
        (Kind::NumbersAndQuestions, (numbers.min(3) * 4 + questions.min(3)) * 4 + tongue),
    ];
    for (kind, grade) in graded {
        put(Mark { kind, grade });
    }
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(text: &str) -> Counts {
        Counts::of(&text.chars().collect::<Vec<char>>())
    }

    #[test]
    fn scripts_numbers_and_options_are_told_apart() {
        assert_eq!(counted("prove it").script(), Script::Latin);
        assert_eq!(counted("증명해 줘").script(), Script::Hangul);
        assert_eq!(counted("fix fn main let mut struct enum impl 고쳐").script(), Script::Mixed);
        let counts = counted("x=000+0?\na) yes ①");
        assert_eq!((counts.numbers, counts.digits, counts.equals), (2, 4, 1));
        assert_eq!((counts.options, counts.lines, counts.questions), (2, 2, 1));
        assert_eq!(counted("```rs\n```").fences, 2);
    }

    #[test]
    fn grades_are_powers_of_two() {
        let grades = [(0, 0), (1, 1), (2, 2), (3, 2), (4, 3), (1_000, 10)];
        assert!(grades.iter().all(|&(count, grade)| log2(count) == grade));
        assert_eq!([share(0, 9), share(1, 1_000), share(1, 40), share(1, 1)], [0, 1, 2, 7]);
    }

    #[test]
    fn the_end_says_what_is_asked() {
        let ends = [("why? ", 1), ("done.", 2), ("this:", 3), ("해줘", 4), ("0", 5), ("ok", 6)];
        for (text, grade) in ends {
            assert_eq!(ending(&text.chars().collect::<Vec<char>>()), grade, "{text:?}");
        }
    }
}
