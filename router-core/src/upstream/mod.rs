//! Sends a request to one deployment and names what came back. The door of the room.

pub mod credential;
pub mod endpoint;

pub use credential::{Secret, SecretFault};
pub use endpoint::{Credential, Endpoint, SecretSource};
