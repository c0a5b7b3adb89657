//! What the caller asked for and what came back, as JSON and as event streams. The door of the room.

pub mod request;
pub mod splice;

pub use request::{ChatRequest, Content, Message, RequestFault, ResponseFormat, Role};
pub use splice::Splice;
