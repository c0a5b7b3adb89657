//! Sends a request to one deployment and names what came back. The door of the room.

pub mod endpoint;

pub use endpoint::{Credential, Endpoint, SecretSource};
