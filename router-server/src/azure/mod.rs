//! Converts Azure's listings to a configuration of the router. The module root.
//!
//! It works on text only and calls neither Azure nor its command line.

mod listing;
mod proposal;
mod written;

pub(crate) use listing::{Account, Listed, Listing, ListingFault};
pub(crate) use written::{Written, written};
