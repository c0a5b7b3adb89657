//! Routes chat requests to OpenAI models on Azure by task, cost and latency.
//!
//! A request takes one straight path: bytes, task, models, deployments, decision; then attempts, response, record. Up to
//! [`decision`] nothing does I/O, reads a clock or draws a random number. Without the feature `http-client` the crate is
//! this first half, with the rules for classifying answers: it decides, and the embedder sends.

// In the order of the path: a module imports only from modules listed earlier.
// validated numbers and names
pub mod units;
// the wall clock, read in one place
pub mod clock;
// model records: parameters, capabilities, prices
pub mod model;
// error codes: status, type, side at fault
pub mod error_kind;
// requests and responses
pub mod chat;
// classifies the task
pub mod task;
// the catalog: deployments, areas, prices
pub mod deployment;
// chooses the models
pub mod policy;
// the capacity of deployments
pub mod capacity;
// filters and orders deployments
pub mod selection;
// all of these as one pure function
pub mod decision;
// memory budgets
pub mod memory;
// limits and usage of keys
pub mod ledger;
// the state of deployments, and its exchange between replicas
pub mod state;
// queues of full deployments
#[cfg(feature = "http-client")]
pub mod waiting;
// owners of stored responses
pub mod stored;
// endpoints that can decrypt an item
pub mod encrypted_items;
// trace context
pub mod trace;
// sends to one deployment and classifies the response
pub mod upstream;
// walks the plan within a deadline
pub mod fallback;
// the caller's response
#[cfg(feature = "http-client")]
pub mod response;
// errors of a request
pub mod error;
// the record of a request
#[cfg(feature = "http-client")]
pub mod record;
// the record as one line of JSON
#[cfg(feature = "http-client")]
pub mod log_line;
// configuration files -> checked settings
pub mod config;
// metrics
#[cfg(feature = "http-client")]
pub mod metrics;
// takes a request along the whole path
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
