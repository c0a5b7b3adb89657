//! What the caller asked for and what came back, as JSON and as event streams. The door of the room.

pub mod adapt;
pub mod request;
pub mod restream;
pub mod splice;
pub mod stream;
pub mod tokens;
pub mod usage;

pub use adapt::{Adapted, adapt};
pub use request::{ChatRequest, Content, Message, RequestFault, ResponseFormat, Role};
pub use splice::Splice;
pub use usage::{Answer, Usage};
