//! The accounts of keys: limits and usage of requests, tokens and dollars. The module root.

mod allowance;
mod book;
mod entry;
mod team;
mod window;

pub use allowance::{Allowance, Left, LimitReached, Payer, RatesLeft, Span};
pub use book::{Bill, Estimate, Ledger, Used};
pub use entry::{Charged, Entry, Slot, Ticket};
pub use team::{TEAM_PREFIX, Team};
