//! Routes chat requests to OpenAI models on Azure by task, cost and latency.

pub mod chat;
pub mod deployment;
pub mod fallback;
pub mod model;
pub mod policy;
pub mod task;
pub mod units;
pub mod upstream;
