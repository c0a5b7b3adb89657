//! The dashboard: shows a running server to its operator in a browser.
//!
//! Requests arrive as records through the library's [`router_core::record::Observer`]; the state of deployments is read once a
//! second. Both are kept in bounded memory and drawn by the page. No prompt, answer or request id is kept.

mod cell;
mod counts;
mod diagnosis;
mod entry;
mod feed;
mod filter;
mod history_file;
mod hub;
mod names;
mod outcome;
pub(crate) mod page;
mod range_view;
mod ring;
mod rollup;
mod standing;
mod trouble;
mod view;

pub(crate) use filter::Filter;
pub(crate) use history_file::EVERY as KEEP_EVERY;
pub(crate) use hub::{Dashboard, Facts};
pub(crate) use rollup::Range;
