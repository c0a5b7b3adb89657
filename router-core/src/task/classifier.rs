//! Score -> Task: who scores, and what else may speak before the score does.
//!
//! The caller's own word (a hint) wins over every score.

use std::fmt::Debug;
use std::sync::Arc;

use crate::chat::ChatRequest;
use crate::chat::Message;
use crate::chat::Role;

use super::kind::{Reason, Score, Task};

/// Tells how probable it is that a request needs reasoning.
pub trait Scorer: Debug + Send + Sync {
    /// The score of a request.
    fn score(&self, request: &ChatRequest<'_>) -> Score;

    /// The features that weighed most, heaviest first, at most `most` of them.
    fn reasons(&self, request: &ChatRequest<'_>, most: usize) -> Vec<Reason>;
}

/// What may speak beside the score.
#[derive(Debug, Clone)]
pub struct Signals {
    /// From this score on a task counts as reasoning.
    pub threshold: Score,
}

impl Default for Signals {
    fn default() -> Self {
        Self { threshold: Score::nearest(0.5) }
    }
}

/// What decided the task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Because {
    /// The caller said so.
    Hint,
    /// The score and its threshold.
    Score,
}

impl Because {
    /// The word used in explanations.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hint => "hint",
            Self::Score => "score",
        }
    }
}

/// A task with its score and what decided it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verdict {
    /// The task.
    pub task: Task,
    /// The score, also where a hint decided.
    pub score: Score,
    /// What decided.
    pub because: Because,
}

/// Turns requests into tasks.
#[derive(Debug, Clone)]
pub struct Classifier {
    scorer: Arc<dyn Scorer>,
    signals: Signals,
}

impl Classifier {
    /// A classifier over any scorer.
    pub fn new(scorer: Arc<dyn Scorer>, signals: Signals) -> Self {
        Self { scorer, signals }
    }

    /// The task of a request.
    pub fn classify(&self, request: &ChatRequest<'_>, hint: Option<Task>) -> Verdict {
        let score = self.scorer.score(request);
        match hint {
            Some(task) => Verdict { task, score, because: Because::Hint },
            None if score >= self.signals.threshold => {
                Verdict { task: Task::Reasoning, score, because: Because::Score }
            }
            None => Verdict { task: Task::Chat, score, because: Because::Score },
        }
    }

    /// The features that weighed most.
    pub fn reasons(&self, request: &ChatRequest<'_>, most: usize) -> Vec<Reason> {
        self.scorer.reasons(request, most)
    }
}

/// A first scorer by marks of reasoning work; Korean stems are matched as substrings because particles follow them.
#[derive(Debug, Clone, Copy, Default)]
pub struct KeywordScorer;

const MARKS: [&str; 24] = [
    "prove",
    "proof",
    "solve",
    "calculate",
    "algorithm",
    "complexity",
    "debug",
    "optimi",
    "derive",
    "step by step",
    "equation",
    "implement",
    "증명",
    "계산",
    "풀이",
    "풀어",
    "알고리즘",
    "최적",
    "논리",
    "방정식",
    "구현",
    "단계별",
    "확률",
    "분석",
];

impl Scorer for KeywordScorer {
    fn score(&self, request: &ChatRequest<'_>) -> Score {
        let weight: f32 =
            self.reasons(request, usize::MAX).iter().map(|reason| reason.weight).sum();
        Score::nearest(1.0 / (1.0 + (1.5 - weight).exp()))
    }

    fn reasons(&self, request: &ChatRequest<'_>, most: usize) -> Vec<Reason> {
        let last = request.messages().iter().rev().find(|message| message.role == Role::User);
        let text: String = last.into_iter().flat_map(Message::texts).collect();
        let text = text.to_lowercase();
        let found = MARKS.iter().filter(|mark| text.contains(*mark));
        found.take(most).map(|mark| Reason { name: (*mark).into(), weight: 2.0 }).collect()
    }
}
