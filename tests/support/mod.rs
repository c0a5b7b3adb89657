//! What the tests stand on: a router before an emulator, a caller, a router in memory, the logs. The door of the room.

mod answer;
mod bench;
pub(crate) mod h2_upstream;
mod layout;
pub(crate) mod logs;
pub(crate) mod memory;
pub(crate) mod raw;
pub(crate) mod raw_upstream;
pub(crate) mod scripted;
pub(crate) mod tls;

pub(crate) use answer::{Answer, words};
pub(crate) use bench::{Bench, PATIENCE, question};
pub(crate) use layout::{Layout, checked};
