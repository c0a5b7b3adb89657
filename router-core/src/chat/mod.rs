//! Requests and responses as JSON and as event streams. The module root.

pub mod adapt;
mod adapt_cap;
mod adapt_chat;
mod adapt_responses;
#[cfg(feature = "http-client")]
pub(crate) mod alike;
mod attachments;
mod body;
pub(crate) mod bounds;
mod counts;
mod denied;
mod encrypted;
pub mod error_event;
mod event_splitter;
mod field_set;
mod form;
#[cfg(feature = "http-client")]
mod form_parser;
mod hosted;
mod input;
mod inputs;
pub mod items;
mod known_sizes;
mod message;
mod offered_tools;
mod operation;
mod reported;
mod request;
pub mod restream;
pub mod restream_response;
mod said;
mod scalars;
mod splice;
pub mod stream;
pub mod tokens;
pub mod usage;

pub(crate) use adapt::Adapted;
pub use adapt::adapt;
pub use body::RequestFault;
pub use encrypted::ContentHash;
pub use error_event::error_event;
pub use field_set::FieldSet;
pub use hosted::HostedCalls;
pub use input::Reference;
pub use inputs::Inputs;
pub(crate) use inputs::Weight;
pub(crate) use message::Part;
pub use message::{Content, Message, Role};
pub use operation::Operation;
pub use reported::Reported;
pub use request::{ChatRequest, ResponseFormat};
pub use splice::Splice;
pub use usage::{Answer, Usage};
