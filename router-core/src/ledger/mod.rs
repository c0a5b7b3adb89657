//! How much may each key use, and how much has it used? Requests, tokens, dollars. The door of the room.

mod allowance;
mod book;
mod window;

pub use allowance::{Allowance, Left, LimitReached, RatesLeft, Span};
pub use book::{Bill, Charged, Estimate, Ledger, Ticket, Used};
