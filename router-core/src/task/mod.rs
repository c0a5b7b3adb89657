//! Classifies a request: features -> score -> task, with reasons. The module root.

mod asides;
mod benefit;
mod caller_hints;
mod concepts;
mod conversation;
mod cuts;
mod extent;
mod features;
mod helper_call;
mod known_segments;
mod language;
mod letters;
mod linear;
mod locate;
mod model;
mod model_error;
mod pushes;
mod reasons;
mod relevance;
mod remembered;
mod sample;
mod segment;
mod segments;
mod shape;
mod signals;
mod small_weights;
mod surroundings;
mod words;

mod classifier;
mod kind;
#[cfg(feature = "train")]
pub mod train;

pub use benefit::Benefit;
pub use classifier::{Classifier, Verdict};
pub use kind::{Assessment, OtherLanguages, Reason, Score, Scorer, Task};
pub use known_segments::SegmentCounts;
pub use linear::LinearScorer;
pub use model_error::ModelError;
pub(crate) use signals::Because;
pub use signals::Signals;
