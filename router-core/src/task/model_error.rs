//! The reasons why bytes are refused as a task model.
//!
//! Does not read a model (`model.rs`).

/// The reason why bytes are not a model that this version can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// Another kind of file.
    #[error("not a task model: the file does not start with the mark of one")]
    NotAModel,
    /// The header or the weights are incomplete, or there is more than they.
    #[error("task model has {found} bytes, expected {expected}")]
    Size {
        /// Bytes found.
        found: usize,
        /// Bytes that the header asks for.
        expected: usize,
    },
    /// A file form of another time.
    #[error("task model has file version {found}, this program reads version {expected}")]
    Version {
        /// The file's version.
        found: u16,
        /// Ours.
        expected: u16,
    },
    /// Trained for other features.
    #[error(
        "task model was trained for feature layout {found}, this program has layout {expected}: train it again"
    )]
    Layout {
        /// The file's layout.
        found: u16,
        /// Ours.
        expected: u16,
    },
    /// A number in the header that no training writes.
    #[error("task model has a damaged header: {field} is out of range")]
    Header {
        /// The number.
        field: &'static str,
    },
    /// The bytes are not those that were written.
    #[error("task model is damaged: its check sum does not match")]
    CheckSum,
}
