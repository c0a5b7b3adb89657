//! The shapes on the wire: what a request says, and every body, header and event of an answer.
//! Pure: values in, values out. What is said in them is decided above.

pub mod chat;
pub mod chunks;
pub mod completions;
pub mod embeddings;
pub mod encrypted;
pub mod error;
pub mod filter;
pub mod listing;
pub mod request;
pub mod response_events;
pub mod responses;
pub mod said;
pub mod sse;
pub mod throttled;
pub mod tokens;
