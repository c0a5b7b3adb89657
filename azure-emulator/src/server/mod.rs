//! The HTTP side: sockets, paths, admission, and answers with realistic timing. The module root.

pub(crate) mod admin;
pub(crate) mod app;
pub(crate) mod connection;
pub(crate) mod deployed;
pub(crate) mod embedding;
pub(crate) mod head;
pub(crate) mod inference;
pub(crate) mod intake;
pub(crate) mod listed;
pub(crate) mod media;
pub(crate) mod sending;
pub(crate) mod shared;
pub(crate) mod stored;
pub(crate) mod tokens_endpoint;
