//! The server's configuration: the router's tables and the server's own, of the same files. The module root.
//!
//! `router_core::config` merges the layers, checks the router's tables, and reports the faults of all.

mod checked;
mod cors_origins;
mod hosts;
mod identity_providers;
mod notify_table;
mod raw_identity_providers;
mod raw_notify;
mod raw_request_log;
mod raw_server;
mod raw_traces;
mod request_log_table;
mod server_table;
mod tables;
mod traces_table;
mod written;

pub use checked::Config;
pub use cors_origins::CorsOrigins;
pub use hosts::Hosts;
pub use identity_providers::{Grant, IdentityProvider};
pub use notify_table::NotifySettings;
pub use request_log_table::RequestLog;
pub use server_table::{Expose, LogForm, RequestLines, Server, Tls};
pub use traces_table::TraceSettings;
pub(crate) use written::Written;
#[cfg(feature = "schema")]
pub(crate) use written::schema;
