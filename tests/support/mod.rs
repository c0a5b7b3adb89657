//! Test support: a router with an emulator, a caller, an in-memory router, captured logs. The
//! module root.

mod answer;
mod bench;
pub(crate) mod h2_upstream;
mod layout;
pub(crate) mod logs;
pub(crate) mod memory;
pub(crate) mod raw;
pub(crate) mod raw_upstream;
pub(crate) mod scripted;
pub(crate) mod signatures;
pub(crate) mod sources;
pub(crate) mod tls;

pub(crate) use answer::{Answer, words};
pub(crate) use bench::{Bench, PATIENCE, question};
pub(crate) use layout::{Layout, checked};
