//! Walks a plan: attempts, one deadline, what may be tried again. The door of the room.

#[cfg(feature = "http-client")]
mod admit;
#[cfg(feature = "http-client")]
mod awaited;
#[cfg(feature = "http-client")]
pub mod budget;
#[cfg(feature = "http-client")]
pub mod caller_headers;
#[cfg(feature = "http-client")]
mod flight;
#[cfg(feature = "http-client")]
mod hedge;
#[cfg(feature = "http-client")]
mod journey;
pub mod limits;
#[cfg(feature = "http-client")]
pub mod passing;
#[cfg(feature = "http-client")]
mod readers;
#[cfg(feature = "http-client")]
mod refusals;
#[cfg(feature = "http-client")]
pub mod relay;
#[cfg(feature = "http-client")]
mod relaying;
#[cfg(feature = "http-client")]
mod seen;
#[cfg(feature = "http-client")]
pub mod sending;
#[cfg(feature = "http-client")]
mod timing;
#[cfg(feature = "http-client")]
mod too_small;
pub mod trail;
#[cfg(feature = "http-client")]
mod visit;
#[cfg(feature = "http-client")]
pub mod walk;
#[cfg(feature = "http-client")]
mod warnings;
#[cfg(feature = "http-client")]
mod watch;

#[cfg(feature = "http-client")]
pub use budget::RetryTokens;
#[cfg(feature = "http-client")]
pub use caller_headers::FeatureHeaders;
pub use limits::{Hedging, Limits, RetryBudget};
#[cfg(feature = "http-client")]
pub use passing::Passing;
#[cfg(feature = "http-client")]
pub use relay::{Relay, StreamEnd};
#[cfg(feature = "http-client")]
pub use sending::{Delivered, Delivery};
pub use trail::{Ended, Note, SendingFault, Spill, Step, causes, describe};
#[cfg(feature = "http-client")]
pub use walk::{Answered, Errand, Fallback, NoAnswer};
