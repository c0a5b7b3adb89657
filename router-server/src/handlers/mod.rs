//! The handlers of all paths: bytes to the router, its answer to HTTP. The module root.

pub(crate) mod answer;
pub(crate) mod dashboard;
pub(crate) mod health;
pub(crate) mod intake;
pub(crate) mod json;
pub(crate) mod metrics;
pub(crate) mod models;
pub(crate) mod openapi;
mod openapi_paths;
pub(crate) mod route;
pub(crate) mod stored;
pub(crate) mod usage;
