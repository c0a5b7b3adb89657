//! Which kind of task is it? Request -> score -> task, with the reasons. The door of the room.

mod asks;
mod conversation;
mod features;
mod letters;
mod linear;
mod locate;
mod model;
mod reasons;
mod relevance;
mod remembered;
mod sample;
mod segments;
mod shape;
mod surroundings;
mod words;

pub mod classifier;
pub mod kind;
#[cfg(feature = "train")]
pub mod train;

pub use classifier::{Because, Classifier, Signals, Verdict};
pub use kind::{Reason, Score, Scorer, Task};
pub use linear::LinearScorer;
pub use model::ModelError;
