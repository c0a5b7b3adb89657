//! The HTTP service over [`router_core`]: any OpenAI or Azure OpenAI client talks to it by changing its base URL.
//!
//! No decision is taken here; bytes go to [`router_core::router::ModelRouter`] and its answer goes back. The program's
//! command line is [`args`], and [`start`] is what `serve` does, for tests and for programs that bring their own command
//! line.
//!
//! ```
//! use router_core::config::Config;
//! use router_core::units::Day;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let text = r#"
//!     [server]
//!     listen = "127.0.0.1:0"
//!     [endpoints.here]
//!     url = "http://127.0.0.1:8900"
//!     api = "azure_v1"
//!     anonymous = true
//!     [deployments.chat_payg]
//!     endpoint = "here"
//!     model = "gpt-4o"
//!     billing = "pay_as_you_go"
//!     area = "global"
//!     [roles]
//!     reasoning.models = ["gpt-4o"]
//!     chat.models = ["gpt-4o"]
//! "#;
//! let config = Config::from_toml(text, Day::try_from("2026-11-23")?)?;
//! let running = router_server::start(&config).await?;
//! println!("{}/v1/chat/completions", running.url());
//! running.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! # Rooms, bottom to top
//! A file imports only from rooms above it in this table.
//!
//! | room | what |
//! | --- | --- |
//! | `console` | what a person at a terminal reads |
//! | `shutdown` | when shall the process end |
//! | `telemetry` | the form of log lines |
//! | `validity` | until when a certificate is valid |
//! | `tls` | certificate and handshakes of the listener |
//! | `setup_args` | the command lines of import, init and check |
//! | `args` | the command line |
//! | `design_card` | the configuration of demo and explain |
//! | `azure` | what Azure lists -> a configuration |
//! | `keyring` | who shows which key |
//! | `rate_limit_headers` | what is left of a key's rates, as headers |
//! | `problem` | error -> status and OpenAI-shaped body |
//! | `reference` | the reference page: codes and headers |
//! | `upload` | a body as it arrives: how fast, how long, how many bytes of all |
//! | `origin` | what web pages may not do to a router without keys |
//! | `traces` | spans of requests for a collector |
//! | `explanation` | decision -> JSON and text |
//! | `budgets` | budgets of keys and teams, and what is spent of them |
//! | `state_dir` | spending that survives a restart |
//! | `dashboard` | what an operator sees in a browser: counts, series, feeds, the page |
//! | `server_state` | what outlives a configuration |
//! | `app_state` | what handlers share under one configuration |
//! | `auth` | which path asks for which key |
//! | `record_file` | the file of the request log: rotation, moves, half lines |
//! | `record_writer` | the thread that writes it, and the queue before it |
//! | `request_log` | one line a request |
//! | `middleware` | what every request passes: id, room, log, exposure |
//! | `handlers` | what each path does |
//! | `cors` | web pages of other sites that may call |
//! | `app` | which path meets which handler |
//! | `load` | how busy each worker is |
//! | `connection` | one connection: requests under way, its reader, when it closes |
//! | `outgoing` | an answer's body on its way into a connection |
//! | `crowd` | all connections: how many, and which gives way |
//! | `reload` | the configuration that runs, and its change |
//! | `watch` | when the configuration's files have changed |
//! | `http_connection` | one connection, served |
//! | `workers` | the threads that serve, and which takes a connection |
//! | `serving` | start, accept, stop |
//! | `commands` | what each command does |

mod console;
mod shutdown;
mod telemetry;
//
mod validity;
//
mod tls;
//
pub mod setup_args;
//
pub mod args;
//
mod design_card;
//
mod azure;
//
mod keyring;
//
mod rate_limit_headers;
//
//
mod problem;
//
mod upload;
//
mod origin;
//
pub mod reference;
//
mod traces;
//
pub mod explanation;
//
mod budgets;
//
mod state_dir;
//
mod dashboard;
//
mod server_state;
//
mod app_state;
//
mod auth;
//
mod record_file;
//
mod record_writer;
//
mod request_log;
//
mod middleware;
//
mod handlers;
//
mod cors;
//
mod app;
//
mod load;
//
mod connection;
//
mod outgoing;
//
mod crowd;
//
mod reload;
//
mod watch;
//
mod http_connection;
//
mod workers;
//
mod serving;
//
pub mod commands;

pub use keyring::hash_of as key_hash;
pub use reload::RunFault;
pub use serving::{Running, StartFault, start};
pub use tls::TlsFault;
pub use traces::TraceFault;
pub use watch::Follow;
