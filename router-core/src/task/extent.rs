//! The extent of the work that a question asks for: numbers, signs, concepts, options and lines, counted in one pass.
//!
//! Text around the question has counts of its own, because the lines of a puzzle may be taken for context.
//!
//! Does not weigh (`benefit.rs`).

use super::concepts::CONCEPTS;
use super::concepts::Concept;
use super::concepts::Concepts;
use super::locate::Located;
use super::relevance::Text;
use super::words::Word;

/// The counts of a turn.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Extent {
    /// Digits of the question, of its options and of what stands around them.
    pub(super) digits: usize,
    /// Words with digits.
    pub(super) numbers: usize,
    /// Arithmetic operators.
    pub(super) operators: usize,
    /// Marks of formulas.
    pub(super) formulas: usize,
    /// Letters that stand for something.
    pub(super) variables: usize,
    /// Letters of the question and of its options.
    pub(super) letters: usize,
    /// Letters of what stands around them.
    pub(super) letters_around: usize,
    /// Options of a multiple choice.
    pub(super) options: usize,
    /// Those that hold a number.
    pub(super) numeric_options: usize,
    /// Lines of the turn that hold a word or a sign.
    pub(super) lines: usize,
    /// Concepts of the question and of its options.
    pub(super) inside: Found,
    /// Concepts of what stands around them.
    pub(super) around: Found,
}

/// Words found of each concept.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Found([usize; CONCEPTS]);

impl Found {
    /// Words of a concept.
    pub(super) fn of(&self, concept: Concept) -> usize {
        self.0.get(concept as usize).copied().unwrap_or_default()
    }

    fn add(&mut self, concept: Option<Concept>) {
        if let Some(count) = concept.and_then(|concept| self.0.get_mut(concept as usize)) {
            *count += 1;
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a sample has some thousand letters")]
pub(super) fn as_float(count: usize) -> f32 {
    count as f32
}

/// A word of the question, and what stands before it.
#[derive(Debug, Clone, Copy)]
struct Seen {
    word: Word,
    /// The hash of the word before it on its line.
    before: u32,
    /// Is it one of the first two words of a segment?
    start: bool,
}

/// The state of a line.
#[derive(Debug, Default, Clone, Copy)]
struct Line {
    /// The hash of the last word.
    before: u32,
    /// The number of words so far.
    words: usize,
    /// Is an option open, and has it a number?
    option: Option<bool>,
}

impl Line {
    /// Does the word at `at` open an option: `A)`, `b.`, `(c)`, `①`?
    #[inline]
    fn opens_option(&self, text: &Text<'_>, at: usize, word: Word) -> bool {
        // This rejects most words early. A circled number counts as a letter of another script.
        let lettered = self.words <= 1 && word.len() == 1;
        (word.other > 0 || lettered) && self.opens_lettered_option(text, at, word)
    }

    fn opens_lettered_option(&self, text: &Text<'_>, at: usize, word: Word) -> bool {
        let letter = text.letters.get(word.start()).copied().unwrap_or_default();
        if matches!(letter, '①'..='⑩') {
            return true;
        }
        let next = text.words.get(at + 1).copied().unwrap_or_default();
        let closes = next.start() == word.end() && matches!(next.sign, b')' | b'.');
        // At the start of a line, or behind a bracket there.
        self.words <= 1 && word.len() == 1 && matches!(letter, 'a'..='h') && closes
    }
}

/// The segment at hand: its words, and whether it is part of the question.
#[derive(Debug, Default, Clone, Copy)]
struct Current {
    from: usize,
    to: usize,
    asked: bool,
}

impl Current {
    /// Behind the last segment.
    const NONE: Self = Self { from: usize::MAX, to: usize::MAX, asked: false };
}

impl Extent {
    /// Counts the words of a turn.
    pub(super) fn of(turn: &Located<'_>) -> Self {
        let mut extent = Self::default();
        extent.take_all(turn);
        extent
    }

    /// Counts the words of the question and of its options, wherever those stand, and those around them.
    fn take_all(&mut self, turn: &Located<'_>) {
        let Located { text, question } = turn;
        let concepts = Concepts::new();
        let mut segments = text.segments.iter().enumerate();
        let mut current = Current::default();
        let mut line = Line::default();
        for (at, &word) in text.words.iter().enumerate() {
            if word.ends_line() {
                self.close(&line);
                line = Line::default();
                continue;
            }
            while current.to <= at {
                current = segments.next().map_or(Current::NONE, |(number, segment)| Current {
                    from: segment.from,
                    to: segment.to,
                    asked: question.has(number),
                });
            }
            let inside = current.from <= at;
            let asked = inside && current.asked;
            if line.opens_option(text, at, word) {
                self.close(&line);
                line.option = Some(word.digits > 0);
                continue;
            }
            self.digits += usize::from(word.digits);
            let next = text.words.get(at + 1).copied().unwrap_or_default();
            let length = next.start().saturating_sub(word.start());
            if asked || line.option.is_some() {
                let start = inside && at < current.from + 2;
                let seen = Seen { word, before: line.before, start };
                self.take(text.letters, seen, concepts);
                line.option = line.option.map(|numeric| numeric || word.digits > 0);
                self.letters += length;
                // `$5` is a price, `$x$` a formula.
                self.formulas += usize::from(asked && word.sign == b'$' && next.digits == 0);
            } else {
                self.letters_around += length;
                let concept = Some(word).filter(|word| word.is_word());
                let concept = concept.and_then(|word| concepts.of(text.letters, line.before, word));
                self.around.add(concept);
            }
            line.before = word.hash;
            line.words += 1;
        }
        self.close(&line);
    }

    /// Counts a line that has ended, and its option.
    fn close(&mut self, line: &Line) {
        self.lines += usize::from(line.words > 0);
        if let Some(numeric) = line.option {
            self.options += 1;
            self.numeric_options += usize::from(numeric);
        }
    }

    fn take(&mut self, letters: &[char], seen: Seen, concepts: Concepts) {
        let Seen { word, before, start } = seen;
        if !word.is_word() {
            self.sign(letters, word);
            return;
        }
        self.numbers += usize::from(word.digits > 0);
        self.variables += usize::from(variable(letters, word));
        self.inside.add(match concepts.of(letters, before, word) {
            Some(Concept::LookUpFirst) => start.then_some(Concept::LookUp),
            concept => concept,
        });
    }

    fn sign(&mut self, letters: &[char], word: Word) {
        match word.sign {
            b'+' | b'*' | b'/' | b'=' | b'<' | b'>' | b'%' => self.operators += 1,
            b'^' | b'\\' => self.formulas += 1,
            1 => {
                let operators = matches!(
                    letters.get(word.start()),
                    Some(
                        '×' | '÷'
                            | '≤'
                            | '≥'
                            | '≠'
                            | '√'
                            | '∑'
                            | '∫'
                            | 'π'
                            | '±'
                            | '∠'
                            | '△'
                    )
                );
                self.operators += usize::from(operators);
            }
            _ => {}
        }
    }
}

/// Is a word a letter that stands for something, rather than an article or a pronoun?
fn variable(letters: &[char], word: Word) -> bool {
    let letter = letters.get(word.end() - 1);
    match word.len() - usize::from(word.digits).min(word.len()) {
        1 if word.digits == 0 => {
            letter.is_some_and(|letter| letter.is_ascii_lowercase() && !matches!(letter, 'a' | 'i'))
        }
        // `2x`, but not `2m`.
        1 => matches!(letter, Some('n' | 'x' | 'y' | 'z')),
        _ => false,
    }
}
