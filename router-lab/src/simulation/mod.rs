//! Replays a trace against the capacity model in virtual time. The module root.

mod answer;
pub mod bound;
mod cloud;
pub mod generate;
pub mod omniscient;
pub mod overload;
pub mod overload_figures;
pub mod reference;
pub mod replay;
pub mod routed;
pub mod stage;
pub mod tally;
pub mod trace;
pub mod workload;
