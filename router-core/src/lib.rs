//! Routes chat requests to OpenAI models on Azure by task, cost and latency.
//!
//! One request travels one straight line: bytes, task, models, deployments, decision; then attempts, response, record.
//! Up to [`decision`] nothing does I/O, reads a clock or draws a random number. Without the feature `http-client` the
//! crate is that upper half, with the rules for judging answers: it decides, and whoever embeds it sends.

// The floor plan in flow order: a room imports only from rooms above its own line.
// numbers and names with their rules
pub mod units;
// the wall clock, read in one place
pub mod clock;
// what each model takes, does and costs
pub mod model;
// every error code: its status, its type, who is responsible
pub mod error_kind;
// what was asked, what came back
pub mod chat;
// which kind of task is it?
pub mod task;
// which deployments are there, where, at what price?
pub mod deployment;
// which models may and should do it?
pub mod policy;
// who has room now?
pub mod capacity;
// which deployments, in what order?
pub mod selection;
// all of the above as one pure function
pub mod decision;
// how much each key may use, and has used
pub mod ledger;
// how many bytes requests and answers may hold together
pub mod memory;
// where capacity lives, and what replicas tell each other
pub mod state;
// who waits for a full deployment, and who is next?
#[cfg(feature = "http-client")]
pub mod waiting;
// which deployment made a stored response
pub mod stored;
// which endpoint can read which encrypted item
pub mod encrypted_items;
// to which trace a request belongs, and what an upstream is told of it
pub mod trace;
// send to one deployment, name what came back
pub mod upstream;
// the next of the plan, within a deadline
pub mod fallback;
// what the caller gets
#[cfg(feature = "http-client")]
pub mod response;
// what can go wrong, and whose side it is
pub mod error;
// what is left of a request when it has ended
#[cfg(feature = "http-client")]
pub mod record;
// the request log: a record as one line of JSON
#[cfg(feature = "http-client")]
pub mod log_line;
// files and environment to checked settings
pub mod config;
// every metric
#[cfg(feature = "http-client")]
pub mod metrics;
// walks the whole line
#[cfg(feature = "http-client")]
pub mod router;

/// Compiles the example of the page on embedding.
#[cfg(all(doctest, feature = "http-client"))]
#[doc = include_str!("../../docs/embed.md")]
struct Embed;

/// Compiles the README's example.
#[cfg(all(doctest, feature = "http-client"))]
#[doc = include_str!("../../README.md")]
struct Readme;
