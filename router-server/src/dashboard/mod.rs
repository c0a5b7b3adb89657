//! What an operator sees of a running server in a browser: counted here, kept in bounded memory, drawn by the page.
//!
//! Requests come through the library's one hook, [`router_core::record::Observer`]; levels are sampled each second. Nothing
//! that was asked or answered is ever here, only what was decided and counted. The door of the room.

mod entry;
mod feed;
mod hub;
mod money;
mod outcome;
pub(crate) mod page;
mod ring;
mod series;
mod standing;
mod tally;
mod view;

pub(crate) use hub::{Dashboard, Facts};
