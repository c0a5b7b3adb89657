//! Walks a plan: attempts, one deadline, and what may be retried. The module root.

#[cfg(feature = "http-client")]
mod active_attempt;
#[cfg(feature = "http-client")]
mod admit;
#[cfg(feature = "http-client")]
mod attempt_log;
#[cfg(feature = "http-client")]
mod awaited;
#[cfg(feature = "http-client")]
mod budget;
#[cfg(feature = "http-client")]
mod caller_headers;
#[cfg(all(test, feature = "http-client"))]
pub(crate) mod future_sizes;
#[cfg(feature = "http-client")]
mod hedge;
#[cfg(feature = "http-client")]
mod history;
#[cfg(feature = "http-client")]
mod holding;
#[cfg(feature = "http-client")]
mod last_refusals;
mod limits;
#[cfg(feature = "http-client")]
mod outbox;
#[cfg(feature = "http-client")]
pub(crate) mod passing;
#[cfg(feature = "http-client")]
mod readers;
#[cfg(feature = "http-client")]
mod refused_fields;
#[cfg(feature = "http-client")]
pub(crate) mod relay;
#[cfg(feature = "http-client")]
mod relaying;
#[cfg(feature = "http-client")]
mod seen;
#[cfg(feature = "http-client")]
mod send_attempt;
mod step;
#[cfg(feature = "http-client")]
mod stream_end;
#[cfg(feature = "http-client")]
mod timing;
#[cfg(feature = "http-client")]
mod too_small;
#[cfg(feature = "http-client")]
mod try_deployment;
#[cfg(feature = "http-client")]
mod unanswered;
#[cfg(feature = "http-client")]
mod walk;
#[cfg(feature = "http-client")]
mod warnings;
#[cfg(feature = "http-client")]
mod watch;

#[cfg(feature = "http-client")]
pub(crate) use budget::RetryTokens;
#[cfg(feature = "http-client")]
pub(crate) use caller_headers::FeatureHeaders;
#[cfg(feature = "http-client")]
pub(crate) use history::Walked;
#[cfg(feature = "http-client")]
pub use last_refusals::LastRefusal;
pub use limits::Limits;
pub(crate) use limits::{Hedging, RetryBudget};
#[cfg(feature = "http-client")]
pub(crate) use passing::Passing;
#[cfg(feature = "http-client")]
pub(crate) use relay::{Relay, StreamEnd};
#[cfg(feature = "http-client")]
pub(crate) use send_attempt::{Delivered, Delivery};
pub use step::{Ended, Note, SendingFault, Spill, Step};
pub(crate) use step::{causes, describe};
#[cfg(feature = "http-client")]
pub(crate) use walk::{Answered, Dispatch, Fallback};
