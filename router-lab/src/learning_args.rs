//! The command lines of `train` and `evaluate`.

use std::path::PathBuf;

use clap::Args;

/// `train`.
#[derive(Debug, Args)]
pub struct Train {
    /// JSONL files of labelled rows (fields: text, label, optional messages, lang, source, license, hard)
    #[arg(long, required = true, num_args = 1..)]
    pub data: Vec<PathBuf>,
    /// Where the model file is written; one that is there already is replaced
    #[arg(long)]
    pub out: PathBuf,
    /// The same seed and rows give the same file
    #[arg(long, default_value_t = 1)]
    pub seed: u32,
    /// Parts that sources are dealt into; each part is held out once
    #[arg(long, default_value_t = 8)]
    pub folds: usize,
    /// Threads that train side by side
    #[arg(long, default_value_t = 2)]
    pub threads: usize,
    /// JSONL files of rows that do not train; the last step of calibration is fitted on them
    #[arg(long, num_args = 1.., value_name = "FILE")]
    pub calibrate: Vec<PathBuf>,
    /// Leaves out rows whose licence contains this text (may be given more than once)
    #[arg(long, value_name = "TEXT")]
    pub without_license: Vec<String>,
    /// Leaves out rows whose source contains this text, and conversations that quote such a row
    #[arg(long, value_name = "TEXT")]
    pub without_source: Vec<String>,
}

/// `evaluate`.
#[derive(Debug, Args)]
pub struct Evaluate {
    /// JSONL files of labelled rows
    #[arg(long, required = true, num_args = 1..)]
    pub data: Vec<PathBuf>,
    /// A model file instead of the shipped model
    #[arg(long)]
    pub model: Option<PathBuf>,
    /// From this score on a row counts as reasoning
    #[arg(long, default_value_t = 0.5)]
    pub threshold: f32,
    /// Prints JSON instead of a table
    #[arg(long)]
    pub json: bool,
    /// Draws curves and histograms into this HTML file
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}
