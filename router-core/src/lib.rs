//! Routes chat requests to OpenAI models on Azure by task, cost and latency.

// The floor plan, bottom to top: a room imports only from rooms above this line of the list.
pub mod chat;
pub mod config;
pub mod deployment;
pub mod fallback;
pub mod model;
pub mod policy;
pub mod task;
pub mod units;
//
pub mod clock;
//
pub mod model;
//
pub mod chat;
//
pub mod task;
//
pub mod deployment;
//
pub mod policy;
//
pub mod capacity;
//
pub mod selection;
//
pub mod decision;
//
pub mod state;
//
pub mod upstream;
//
pub mod fallback;
