//! Sends a request to one deployment and classifies the response. The module root.

#[cfg(feature = "http-client")]
mod attempt;
#[cfg(feature = "http-client")]
mod broken;
#[cfg(feature = "http-client")]
mod client;
#[cfg(feature = "http-client")]
mod connections;
mod credential;
#[cfg(feature = "http-client")]
mod decoded;
#[cfg(feature = "http-client")]
mod delivery;
#[cfg(feature = "http-client")]
mod dial;
#[cfg(feature = "http-client")]
mod document;
mod endpoint;
mod error_body;
#[cfg(feature = "http-client")]
mod fetch;
#[cfg(feature = "http-client")]
mod generations;
mod identity;
mod meters;
#[cfg(feature = "http-client")]
mod opening;
mod outcome;
#[cfg(feature = "http-client")]
mod prepared;
mod reach;
pub mod retry_after;
pub mod said;
mod spillover;
#[cfg(feature = "http-client")]
mod token;
#[cfg(feature = "http-client")]
mod webhook;

#[cfg(feature = "http-client")]
pub use attempt::{Attempt, Reading, Reply, ReplyBody, Unreachable, Upstream, read};
#[cfg(feature = "http-client")]
pub use client::{ClientFault, HttpUpstream, Reached};
pub use credential::SecretFault;
#[cfg(feature = "http-client")]
pub use document::{Document, DocumentFault};
pub use endpoint::{Call, Credential, Endpoint, SecretSource};
pub(crate) use identity::{Identity, Proof, Setting};
pub use meters::Meters;
pub(crate) use outcome::error_code;
pub use outcome::{Circumstances, Outcome, Throttle, judge};
pub use reach::{ConnectionLimits, Proxy, Reach, ReachFault};
pub use said::Said;
pub use spillover::spilled_over;
#[cfg(feature = "http-client")]
pub use webhook::Webhook;
