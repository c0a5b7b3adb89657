//! The content of answers: generated, and the same for the same seed and request.

pub mod call;
pub mod instance;
pub mod speak;
pub mod words;
