//! One integration test program: every behavior that callers see, over real HTTP on loopback,
//! against the emulator.
//!
//! Each file covers one behavior. Scripts define what a deployment does; the router's reaction is
//! read from the answer, the emulator's journal and the metrics. Waits are measured by the
//! journal's times: the lower bound is exact, the upper bound generous.
#![expect(clippy::unwrap_used, reason = "helpers of a test program stop at the first surprise")]
#![expect(clippy::panic, reason = "a helper that cannot go on says why")]
#![expect(clippy::indexing_slicing, reason = "serde_json gives null for what is not there")]

mod support;

mod accounting;
mod any_stream;
mod background;
mod bodies;
mod broken_answers;
mod budget;
mod callers_who_leave;
mod capacity_exhausted;
mod causes;
mod choose;
mod client_recordings;
mod config_files;
mod config_messages;
mod cross_origin;
mod dashboard;
mod deadline;
mod deployment_order;
mod dropped_requests;
mod effort;
mod encrypted_reasoning;
mod endpoint_reachability;
mod faults;
mod floor_plan;
mod forms;
mod hang_up;
mod heartbeats;
mod hedging;
mod identity;
mod identity_providers;
mod inputs;
mod key_limits;
mod key_rights;
mod keys;
mod late_bodies;
mod limits_of_requests;
mod listener_tls;
mod live_config;
mod live_files;
mod media;
mod metrics;
mod misconfigured;
mod model_lookup;
mod model_records;
mod objects;
mod observability;
mod observe;
mod observer;
mod own_fault;
mod payg_waits;
mod permissions;
mod public_api;
mod queue;
mod reasoning;
mod refused;
mod request_log;
mod residency;
mod response_headers;
mod responses;
mod rules;
mod secrets;
mod service_tiers;
mod shared_bounds;
mod shutdown;
mod spillover;
mod stored_elsewhere;
mod streams;
mod surface;
mod switches;
mod teams;
mod tier_plans;
mod traces;
mod upstream_connections;
mod waits;
mod wire;
mod workers;
