//! How much may each key use, and how much has it used? Requests, tokens, dollars. The door of the room.

mod allowance;
mod book;
mod entry;
mod team;
mod window;

pub use allowance::{Allowance, Left, LimitReached, Payer, RatesLeft, Span};
pub use book::{Bill, Estimate, Ledger, Used};
pub use entry::{Charged, Entry, Slot, Ticket};
pub use team::{TEAM_PREFIX, Team};
