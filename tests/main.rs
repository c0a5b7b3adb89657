//! One integration test program: every behaviour over real HTTP on loopback.

#![expect(clippy::unwrap_used, reason = "helpers outside of test functions may fail a test too")]

mod config_files;
mod config_messages;
mod model_records;
