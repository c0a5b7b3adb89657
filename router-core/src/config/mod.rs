//! Files and environment -> a checked [`Config`], or every fault with its file and key. The module
//! root.
//!
//! Layers, weakest first: the shipped model records, defaults, files in the order given, `ROUTER__`
//! variables.

mod advice;
mod capacity;
mod checked;
mod choosing;
mod cors;
mod defaults;
mod deployments;
mod endpoints;
mod fault;
mod guessable_keys;
mod hosts;
mod identity;
mod identity_providers;
mod keys;
mod layers;
mod load;
mod nearest;
mod notify;
mod passthrough;
mod prices;
mod quota_pools;
pub mod raw;
mod raw_identity_providers;
mod raw_keys;
mod raw_limits;
mod raw_models;
mod raw_notify;
mod raw_replicas;
mod raw_roles;
mod raw_rules;
mod raw_server;
mod raw_signals;
mod raw_traces;
mod records;
mod redacted;
mod replicas_table;
mod request_log;
mod roles;
mod routing_rules;
mod rule_overlaps;
mod rules;
#[cfg(feature = "schema")]
mod schema;
mod sending;
mod server;
mod service_tiers;
mod shown;
mod sku;
mod table;
mod teams;
mod traces;
mod version;
mod warnings;

pub use checked::Config;
pub use cors::CorsOrigins;
pub use fault::{ConfigFaults, Fault, Key, Origin};
pub use hosts::Hosts;
pub use identity_providers::{Grant, IdentityProvider};
pub use keys::{CallerKey, KeyHash, KeyHashFault};
pub use layers::{Layers, shipped_records};
pub use notify::NotifySettings;
pub use replicas_table::ReplicaSettings;
pub use request_log::RequestLog;
pub use roles::Scoring;
pub use rules::ScorerFault;
#[cfg(feature = "schema")]
pub use schema::schema;
pub use server::{Expose, LogForm, RequestLines, Server, Tls};
pub use shown::Unwritable;
pub use sku::{Sku, SkuFault};
pub use traces::TraceSettings;
