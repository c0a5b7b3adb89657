//! The types of this module: task, score and reason, and the trait of a scorer.
//!
//! Not done here: computing a score (`linear.rs`), and its meaning (`classifier.rs`).

use std::borrow::Cow;
use std::fmt;
use std::fmt::Debug;

use crate::chat::ChatRequest;
use crate::chat::Message;
use crate::chat::Role;

use super::known_segments::SegmentCounts;

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

/// The probability that a request needs reasoning: 0 to 1.
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

    /// The score of log-odds: 0 gives one half, 2 about 0.88.
    pub fn from_log_odds(log_odds: f32) -> Self {
        Self::nearest(1.0 / (1.0 + (-log_odds).exp()))
    }

    /// The log-odds of the score, held within -9 and 9 so that they stay numbers to add to.
    pub fn log_odds(self) -> f32 {
        (self.0 / (1.0 - self.0)).ln().clamp(-9.0, 9.0)
    }

    /// The probability.
    pub fn value(self) -> f32 {
        self.0
    }
}

/// A feature that moved a score, with the change that it made, positive towards reasoning.
#[derive(Debug, Clone, PartialEq)]
pub struct Reason {
    /// The feature, readable.
    pub name: Cow<'static, str>,
    /// The change of the score, in log-odds.
    pub weight: f32,
}

/// The findings of a scorer in a turn, in one pass.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Assessment {
    /// The probability that the turn needs reasoning.
    pub score: Score,
    /// If it does: how probable it is that a reasoning model answers correctly where a chat model does not.
    pub gain: Score,
    /// Does the gain hold for turns that need no reasoning, too? True once it was fitted to recorded answers.
    pub gain_of_all: bool,
    /// Is the question in a language that the scorer did not learn?
    pub other_language: bool,
}

/// The rule for requests in other languages than English and Korean: `routing.other_languages`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OtherLanguages {
    /// A score from what is the same in all languages; in doubt they are reasoning.
    #[default]
    Score,
    /// All are chat.
    Chat,
    /// All are reasoning.
    Reasoning,
    /// The caller's hint; without one the score, which then leans to neither side.
    Caller,
}

impl OtherLanguages {
    /// The policy of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "score" => Some(Self::Score),
            "chat" => Some(Self::Chat),
            "reasoning" => Some(Self::Reasoning),
            "caller" => Some(Self::Caller),
            _ => None,
        }
    }
}

/// Tells how probable it is that a turn needs reasoning.
pub trait Scorer: Debug + Send + Sync {
    /// The score of one message, taken alone. It is a property of the message: scores of earlier turns are remembered.
    fn score_turn(&self, turn: &Message<'_>) -> Score;

    /// The features of the last user's turn that weighed most, heaviest first, at most `most` of them.
    fn reasons(&self, request: &ChatRequest<'_>, most: usize) -> Vec<Reason>;

    /// The score of one message and what reasoning would gain. By default the gain is one half of all turns.
    fn assess(&self, turn: &Message<'_>) -> Assessment {
        let score = self.score_turn(turn);
        Assessment { score, gain: Score(0.5), gain_of_all: false, other_language: false }
    }

    /// The same for a caller, named by its key: what a scorer remembers of one caller's texts must not be seen by others, not
    /// even by the time that a request takes. By default nothing is remembered.
    fn assess_for(&self, turn: &Message<'_>, _caller: Option<&str>) -> Assessment {
        self.assess(turn)
    }

    /// How many segments of turns were known and unknown so far; `None` from a scorer that remembers none.
    fn segment_counts(&self) -> Option<SegmentCounts> {
        None
    }

    /// The features of the last user's turn that weighed most in the gain, heaviest first; none from a scorer that does
    /// not tell gains apart.
    fn gain_reasons(&self, _request: &ChatRequest<'_>, _most: usize) -> Vec<Reason> {
        Vec::new()
    }

    /// The question located in the last user's turn, in the caller's words; `[..]` stands for what is left out. `None` from
    /// a scorer that locates none.
    fn question(&self, _request: &ChatRequest<'_>) -> Option<String> {
        None
    }

    /// The score of the last user's turn, taken alone; 0 if no user has spoken.
    fn score(&self, request: &ChatRequest<'_>) -> Score {
        let last = request.messages().iter().rev().find(|message| message.role == Role::User);
        last.map_or(Score(0.0), |turn| self.score_turn(turn))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_odds_and_scores_are_two_forms_of_one_thing() {
        for value in [0.001, 0.3, 0.5, 0.999] {
            let score = Score::nearest(value);
            assert!((Score::from_log_odds(score.log_odds()).value() - value).abs() < 1e-5);
        }
        assert!(Score::nearest(0.0).log_odds() < -8.0 && Score::nearest(1.0).log_odds() > 8.0);
        assert_eq!(Score::from_log_odds(f32::NAN), Score::nearest(0.5));
        assert_eq!(Score::try_new(1.1), None);
    }
}
