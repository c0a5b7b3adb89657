//! Files and environment -> a checked [`Config`], or every fault with its file and key. The module
//! root.
//!
//! Layers, weakest first: the shipped model records, defaults, files in the order given, `ROUTER__`
//! variables.

mod advice;
mod capacity;
mod checked;
mod choosing;
mod defaults;
mod deployments;
mod endpoints;
mod fault;
mod guessable_keys;
mod identity;
mod keys;
mod layers;
mod load;
mod nearest;
mod passthrough;
mod prices;
mod program_tables;
mod quota_pools;
pub mod raw;
mod raw_keys;
mod raw_limits;
mod raw_models;
mod raw_replicas;
mod raw_roles;
mod raw_rules;
mod raw_signals;
mod records;
mod redacted;
mod replicas_table;
mod roles;
mod routing_rules;
mod rule_overlaps;
mod rules;
#[cfg(feature = "schema")]
mod schema;
mod sending;
mod service_tiers;
mod shown;
mod sku;
mod table;
mod teams;
mod version;
mod warnings;

pub use checked::Config;
pub use endpoints::{is_loopback, secret};
pub use fault::{ConfigFaults, Fault, Key, Origin};
pub use keys::{CallerKey, KeyHash, KeyHashFault};
pub use layers::{Layers, shipped_records};
pub use program_tables::ProgramTables;
pub use redacted::Hide;
pub use replicas_table::ReplicaSettings;
pub use roles::Scoring;
pub use rules::ScorerFault;
#[cfg(feature = "schema")]
pub use schema::{schema, schema_of};
pub use shown::Unwritable;
pub use sku::Sku;
pub use table::{Table, listed, quoted};
