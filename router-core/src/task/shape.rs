//! The shape of a question, independent of its words: length, scripts, numbers, symbols and lines.
//!
//! Each feature is a kind with a small grade (mostly a power of two), so that a linear model can
//! express curves: "medium long" may weigh more than both "short" and "long". A few features
//! combine two kinds where one alone misleads: a length means more in Hangul, which says more with
//! fewer letters, than in Latin.
//!
//! Not done here: words. The weights are in the model.

use super::words::Word;

/// The languages of a turn, by its letters.
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

/// The counts over the words of a question.
#[derive(Debug, Default)]
pub(super) struct Counts {
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
    ticks: usize,
    last: Word,
}

impl Counts {
    /// Counts a stretch of neighbours.
    pub(super) fn stretch(&mut self, letters: &[char], words: &[Word]) {
        let (Some(first), Some(last)) = (words.first(), words.last()) else { return };
        self.lines += 1;
        self.letters += last.end() - first.start() + usize::from(self.lines > 1);
        for &word in words {
            self.take(letters, word);
        }
    }

    fn take(&mut self, letters: &[char], word: Word) {
        if word.is_word() {
            let [digits, hangul, other] = [word.digits, word.hangul, word.other].map(usize::from);
            self.words += 1;
            self.digits += digits;
            self.numbers += usize::from(digits > 0);
            self.hangul += hangul;
            self.other += other;
            self.latin += word.len() - (digits + hangul + other).min(word.len());
            if other > 0 && matches!(letters.get(word.start()), Some('①'..='⑩')) {
                self.options += 1;
            }
        } else {
            self.sign(letters, word);
        }
        self.ticks = if word.sign == b'`' { self.ticks + 1 } else { 0 };
        self.fences += usize::from(self.ticks == 3);
        self.last = word;
    }

    fn sign(&mut self, letters: &[char], word: Word) {
        match word.sign {
            b'?' => self.questions += 1,
            b',' => self.commas += 1,
            b'"' => self.quotes += 1,
            b'=' => {
                self.equals += 1;
                self.maths += 1;
            }
            b'+' | b'<' | b'>' | b'^' | b'*' | b'%' => self.maths += 1,
            b')' => {
                self.brackets += 1;
                // `a)` and `1)` number the options of a question.
                let adjoins = self.last.end() == word.start();
                let numbers = adjoins && self.last.is_word() && self.last.hangul == 0;
                self.options += usize::from(numbers);
            }
            b'{' | b'}' | b';' | b'(' | b'[' | b']' | b'_' => self.brackets += 1,
            b'\\' | b'$' => self.formulas += 1,
            b'.' | b'\'' | b'-' | b':' | b'!' | b'/' | b'`' => {}
            _ if word.ends_line() => self.lines += 1,
            _ => match letters.get(word.start()) {
                Some('≤' | '≥' | '×' | '÷' | '√' | '∑' | '∫' | 'π' | '²' | '³') => {
                    self.maths += 1;
                }
                Some(_) | None => self.other += 1,
            },
        }
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

    /// The grade of the last word: what kind of sign ends the question.
    fn ending(&self) -> u32 {
        match self.last.sign {
            b'?' => 1,
            b'.' => 2,
            b':' => 3,
            0 if self.last.hangul > 0 => 4,
            0 if usize::from(self.last.digits) == self.last.len() && self.last.len() > 0 => 5,
            0 => 6,
            _ => 7,
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

/// The sentences of prose that come first and last: how long each is, and whether they are one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asks {
    /// Letters of the first.
    pub(super) first: usize,
    /// Letters of the last.
    pub(super) last: usize,
    /// True if both are one sentence.
    pub(super) one: bool,
}

/// Finds the marks of a turn and hands each to `put`; returns its script.
pub(super) fn marks(counts: &Counts, asks: Asks, mut put: impl FnMut(Mark)) -> Script {
    let script = counts.script();
    let tongue = match script {
        Script::Latin => 0,
        Script::Mixed => 1,
        Script::Hangul => 2,
    };
    let whole = counts.letters;
    let length = log2(counts.letters);
    let ends = counts.ending();
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
        (Kind::LastAsk, log2(asks.last) * 8 + tongue),
        (Kind::FirstAsk, log2(asks.first) * 8 + tongue),
        (Kind::NumbersAndLength, numbers.min(4) * 16 + length.min(15)),
        (Kind::QuestionAndLength, u32::from(ends == 1) * 16 + length.min(15)),
        (Kind::OneAsk, u32::from(asks.one)),
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
    use crate::task::words::words;

    fn counted(text: &str) -> Counts {
        let letters: Vec<char> = text.chars().collect();
        let mut found = Vec::new();
        words(&letters, &mut found);
        let mut counts = Counts::default();
        counts.stretch(&letters, &found);
        counts
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
            assert_eq!(counted(text).ending(), grade, "{text:?}");
        }
    }
}
