//! The words that all of the room speaks: Task, Score and Reason.

use std::borrow::Cow;
use std::fmt;

/// The kind of work that a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Task {
    /// Mathematics, logic, code, multi-step analysis, planning under constraints.
    Reasoning,
    /// Small talk, look-up, rewriting, translation, summary, extraction.
    Chat,
}

impl Task {
    /// Both, for tables and labels.
    pub const ALL: [Self; 2] = [Self::Reasoning, Self::Chat];

    /// The word used in config, headers and metric labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reasoning => "reasoning",
            Self::Chat => "chat",
        }
    }

    /// The task of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|task| task.as_str() == word)
    }
}

impl fmt::Display for Task {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// How probable it is that a request needs reasoning: 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Score(f32);

impl Score {
    /// The score, or `None` outside 0 to 1.
    pub fn try_new(value: f32) -> Option<Self> {
        (0.0..=1.0).contains(&value).then_some(Self(value))
    }

    /// The nearest score to any number; not-a-number gives one half, which says "do not know".
    pub fn nearest(value: f32) -> Self {
        Self(if value.is_nan() { 0.5 } else { value.clamp(0.0, 1.0) })
    }

    /// The probability.
    pub fn value(self) -> f32 {
        self.0
    }
}

/// What moved a score: a feature by name and how far it moved it, positive towards reasoning.
#[derive(Debug, Clone, PartialEq)]
pub struct Reason {
    /// The feature, readable.
    pub name: Cow<'static, str>,
    /// How far it moved the score, in log-odds.
    pub weight: f32,
}
