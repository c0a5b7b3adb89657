//! The accounts of keys: limits and usage of requests, tokens and dollars. The module root.

mod accounts;
mod allowance;
mod amounts;
mod book;
mod entry;
mod team;
mod window;

pub use accounts::Ledger;
pub use allowance::{Allowance, Left, LimitReached, Payer, Span};
pub use amounts::Used;
pub(crate) use amounts::{Bill, Estimate};
pub(crate) use entry::{Charged, Ticket};
pub use entry::{Entry, Slot};
pub(crate) use team::TEAM_PREFIX;
pub use team::Team;
