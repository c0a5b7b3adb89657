//! Walks one request along the whole line: parse, decide, send, record. The door of the room.

mod finish;
mod late;
pub mod model_router;
pub mod rules;

pub use model_router::{ChatCall, ModelRouter};
pub use rules::{BuildFault, rules_of};
