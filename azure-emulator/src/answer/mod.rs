//! What the double says: made up, but the same every time for the same seed and request.

pub mod call;
pub mod instance;
pub mod speak;
pub mod words;
