//! From what Azure lists to a configuration of the router. The root of the module.
//!
//! It works on text alone and calls neither Azure nor its command line.

mod listing;
mod proposal;
mod written;

pub(crate) use listing::{Account, Listed, Listing, ListingFault};
pub(crate) use written::{Written, written};
