//! The one test program of the server: its command line, its processes and its HTTP surface over real sockets.

mod hang_up;
mod key_command;
mod log_lines;
mod openapi;
mod pages;
mod programs;
#[cfg(feature = "redis")]
mod replicas;
mod scorer_quality;
mod setup_commands;
mod surface;
mod terminal;
mod tuning;
#[cfg(all(feature = "manual", feature = "schema"))]
mod written_out;
