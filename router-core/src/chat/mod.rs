//! What the caller asked for and what came back, as JSON and as event streams. The door of the room.

pub mod adapt;
pub mod message;
pub mod request;
pub mod restream;
pub mod splice;
pub mod stream;
pub mod tokens;
pub mod usage;

pub use adapt::{Adapted, adapt};
pub use message::{Content, Message, Part, Role};
pub use request::{ChatRequest, RequestFault, ResponseFormat};
pub use splice::Splice;
pub use usage::{Answer, Usage};
