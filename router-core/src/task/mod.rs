//! Classifies a request: features -> score -> task, with reasons. The module root.

mod asks;
mod conversation;
mod features;
mod letters;
mod linear;
mod model;
mod reasons;
mod remembered;
mod sample;
mod shape;
mod words;

pub mod classifier;
pub mod kind;
#[cfg(feature = "train")]
pub mod train;

pub use classifier::{Because, Classifier, Signals, Verdict};
pub use kind::{Reason, Score, Scorer, Task};
pub use linear::LinearScorer;
pub use model::ModelError;
