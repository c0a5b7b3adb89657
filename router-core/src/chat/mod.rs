//! Requests and responses as JSON and as event streams. The module root.

pub mod adapt;
mod adapt_cap;
mod adapt_chat;
mod adapt_responses;
#[cfg(feature = "http-client")]
pub(crate) mod alike;
mod attachments;
mod body;
pub mod bounds;
mod counts;
mod denied;
mod encrypted;
pub mod error_event;
mod event_splitter;
pub mod field_set;
mod form;
#[cfg(feature = "http-client")]
mod form_parser;
pub mod hosted;
mod input;
mod inputs;
pub mod items;
mod known_sizes;
pub mod message;
mod offered_tools;
pub mod operation;
pub mod reported;
pub mod request;
pub mod restream;
pub mod restream_response;
mod said;
mod scalars;
pub mod splice;
pub mod stream;
pub mod tokens;
pub mod usage;

pub use adapt::{Adapted, adapt};
pub use body::RequestFault;
pub use encrypted::ContentHash;
pub use error_event::error_event;
pub use field_set::FieldSet;
pub use hosted::HostedCalls;
pub use input::Reference;
pub use inputs::Inputs;
pub use inputs::Weight;
pub use message::{Content, Message, Part, Role};
pub use operation::Operation;
pub use reported::Reported;
pub use request::{ChatRequest, ResponseFormat};
pub use splice::Splice;
pub use usage::{Answer, Usage};
