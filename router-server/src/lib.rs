//! The HTTP service over [`router_core`]: any OpenAI or Azure OpenAI client talks to it by changing its base URL.
//!
//! No decision is taken here; bytes go to [`router_core::router::ModelRouter`] and its answer goes back. The program's
//! command line is [`args`], and [`start`] is what `serve` does, for tests and for programs that bring their own command
//! line.
//!
//! # Rooms, bottom to top
//! A file imports only from rooms above it in this table.
//!
//! | room | what |
//! | --- | --- |
//! | `console` | what a person at a terminal reads |
//! | `shutdown` | when shall the process end |
//! | `telemetry` | the form of log lines |
//! | `args` | the command line |
//! | `design_card` | the configuration of demo and explain |
//! | `problem` | error -> status and OpenAI-shaped body |
//! | `explanation` | decision -> JSON and text |
//! | `shared` | what handlers share |
//! | `request_log` | one line a request |
//! | `passage` | what every request passes: id, room, log, exposure |
//! | `handlers` | what each path does |
//! | `app` | which path meets which handler |
//! | `serving` | sockets, start, stop |
//! | `commands` | what each command does |

mod console;
mod shutdown;
mod telemetry;
//
pub mod args;
//
mod design_card;
//
mod problem;
//
pub mod explanation;
//
mod shared;
//
mod request_log;
//
mod passage;
//
mod handlers;
//
mod app;
//
mod serving;
//
pub mod commands;

pub use serving::{Running, StartFault, start};
