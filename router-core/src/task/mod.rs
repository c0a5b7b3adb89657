//! Which kind of task is it? Request -> score -> task, with the reasons. The door of the room.

pub mod classifier;
pub mod kind;

pub use classifier::{Because, Classifier, KeywordScorer, Scorer, Signals, Verdict};
pub use kind::{Reason, Score, Task};
