//! Training and measuring the linear scorer: rows -> examples -> weights -> model file, and figures. The door of the
//! folder; behind the feature `train`, so that serving carries none of it.

mod baseline;
mod calibrate;
mod compose;
mod examples;
mod folds;
mod learn;
mod located;
mod locator;
mod material;
mod ridge;
mod rounding;
mod run;
mod wrappers;

pub mod correct;
pub mod gain;
pub mod measure;
pub mod rows;
pub mod settings;
pub mod teacher;

pub use correct::{
    Compared, Corrected, CorrectionError, CorrectionReport, CorrectionSettings, correct,
};
pub use gain::{GainError, GainRow, Interval, Ranking, interval, ranking, within_families};
pub use measure::{Quality, Scored, quality};
pub use rows::{Language, Row, RowError};
pub use settings::{Report, Settings, Stage, TrainError, Trained};
pub use teacher::{on_other_sources, train};
pub use wrappers::{WrapperError, Wrappers};
