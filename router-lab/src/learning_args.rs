//! The command lines of `train` and `evaluate`.

use std::path::PathBuf;

use clap::Args;

/// `train`.
#[derive(Debug, Args)]
pub struct Train {
    /// JSONL files of labelled rows (fields: text, label, optional messages, lang, source, license, hard)
    #[arg(long, required = true, num_args = 1..)]
    pub data: Vec<PathBuf>,
    /// The model file to write; an existing one is replaced
    #[arg(long)]
    pub out: PathBuf,
    /// Correct the benefit of a model instead, with recorded answers (fields: text, `chat_right`, `reasoning_right`, optional messages,
    /// lang, source, family). The score stays; nothing is written unless rows held out are ranked better than by the prior
    #[arg(long, conflicts_with_all = ["calibrate", "without_license", "without_source"])]
    pub benefit: bool,
    /// With `--benefit`: the model file to correct instead of the shipped model
    #[arg(long, requires = "benefit", value_name = "FILE")]
    pub model: Option<PathBuf>,
    /// The random seed; the same seed and rows give the same file
    #[arg(long, default_value_t = 1)]
    pub seed: u32,
    /// The number of parts into which sources are divided (with `--benefit`: rows); each is held out once
    #[arg(long, default_value_t = 8)]
    pub folds: usize,
    /// Threads for training
    #[arg(long, default_value_t = 2)]
    pub threads: usize,
    /// JSONL files of rows for the last step of calibration; they are not used for training
    #[arg(long, num_args = 1.., value_name = "FILE")]
    pub calibrate: Vec<PathBuf>,
    /// Exclude rows whose licence contains this text; repeatable
    #[arg(long, value_name = "TEXT")]
    pub without_license: Vec<String>,
    /// Exclude rows whose source contains this text, and conversations that quote such a row
    #[arg(long, value_name = "TEXT")]
    pub without_source: Vec<String>,
}

/// `evaluate`.
#[derive(Debug, Args)]
pub struct Evaluate {
    /// JSONL files of labelled rows
    #[arg(long, required_unless_present = "wrappers", num_args = 1..)]
    pub data: Vec<PathBuf>,
    /// JSONL file of wrapped questions (fields: `ask_id`, `family`, `label`, `ask_label`, `lang`, `body`; the family `bare` holds the
    /// questions alone): how much the text around a question moves its verdict, family by family
    #[arg(long, value_name = "FILE", conflicts_with_all = ["data", "html", "json", "rows_out"])]
    pub wrappers: Option<PathBuf>,
    /// Measure the benefit instead of the task, on rows with recorded answers (fields: text, `chat_right`, `reasoning_right`, optional
    /// messages, lang, source, family): AUC and APGR beside counting digits and letters
    #[arg(long, conflicts_with_all = ["wrappers", "html", "json"])]
    pub benefit: bool,
    /// Writes one JSON object a row: source, label, score and the question that was located
    #[arg(long, value_name = "FILE")]
    pub rows_out: Option<PathBuf>,
    /// A model file instead of the shipped model
    #[arg(long)]
    pub model: Option<PathBuf>,
    /// The score from which a row counts as reasoning
    #[arg(long, default_value_t = 0.5)]
    pub threshold: f32,
    /// Print JSON instead of a table
    #[arg(long)]
    pub json: bool,
    /// Write curves and histograms to this HTML file
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}
