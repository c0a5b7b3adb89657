//! Routes chat requests to OpenAI models on Azure by task, cost and latency.

pub mod chat;
pub mod task;
pub mod units;
