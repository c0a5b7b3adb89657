//! The accounts of keys: limits and usage of requests, tokens and dollars. The module root.

mod accounts;
mod allowance;
mod amounts;
mod book;
mod entry;
mod team;
mod window;

pub use accounts::Ledger;
pub use allowance::{Allowance, Left, LimitReached, Payer, RatesLeft, Span};
pub use amounts::{Bill, Estimate, Used};
pub use entry::{Charged, Entry, Slot, Ticket};
pub use team::{TEAM_PREFIX, Team};
