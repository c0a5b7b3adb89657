//! The HTTP service over [`router_core`]: any OpenAI or Azure OpenAI client talks to it by changing its base URL.
//!
//! It makes no routing decision: bytes go to [`router_core::router::ModelRouter`], and its answer goes back. [`args`] is the
//! command line. [`start`] is what `serve` does, for tests and for programs with their own command line.
//!
//! ```
//! use router_core::Day;
//! use router_server::Config;
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
//! # Modules
//! A file imports only from modules listed earlier in this table.
//!
//! | module | contents |
//! | --- | --- |
//! | `config` | the configuration: the router's tables and the server's |
//! | `console` | terminal output |
//! | `shutdown` | waits for the signal to stop |
//! | `line_writer` | the thread that writes the lines of requests |
//! | `telemetry` | the format of log lines |
//! | `validity` | expiry of a certificate |
//! | `tls` | certificate and handshakes of the listener |
//! | `setup_args` | the command lines of import, init and check |
//! | `args` | the command line |
//! | `design_card` | the configuration of demo and explain |
//! | `azure` | Azure's listings -> a configuration |
//! | `tokens` | verifies tokens of identity providers; which key they stand for |
//! | `keyring` | identifies a caller's key |
//! | `rate_limit_headers` | remaining rates of a key, as headers |
//! | `operations` | the table of operations: served, passed through, refused |
//! | `problem` | error -> status and OpenAI-shaped body |
//! | `reference` | the generated reference page |
//! | `upload` | receives a body within its limits |
//! | `unread` | reads on what a handler left of a body, so that its sender sees the refusal |
//! | `origin` | protects a router without keys from web pages |
//! | `traces` | spans for a collector |
//! | `explanation` | decision -> JSON and text |
//! | `bound_gauges` | memory, connections and slots as metrics |
//! | `budgets` | budgets of keys and teams, and their spending |
//! | `notify` | notices of spent budgets |
//! | `state_dir` | spending that survives a restart |
//! | `dashboard` | the dashboard: counts, series, feeds, the page |
//! | `server_state` | the state that outlives a configuration |
//! | `app_state` | the state that handlers share under one configuration |
//! | `auth` | authentication by path |
//! | `record_file` | the file of the request log: rotation, moves, incomplete lines |
//! | `record_writer` | the thread that writes it, and its queue |
//! | `json_line` | a line of the log as JSON |
//! | `request_log` | one log line per request |
//! | `middleware` | common handling of every request: id, capacity, log, exposure |
//! | `handlers` | the handler of each path |
//! | `cors` | web pages of other origins that may call |
//! | `app` | maps paths to handlers |
//! | `load` | the load of each worker |
//! | `connection` | one connection: running requests, its reader, when it closes |
//! | `outgoing` | an answer's body on its way into a connection |
//! | `crowd` | all connections: their number, and which one is closed |
//! | `reload` | the running configuration, and its replacement |
//! | `watch` | detects changes of configuration files |
//! | `http_connection` | one connection, served |
//! | `workers` | the threads that serve, and which takes a connection |
//! | `serving` | sockets, start, stop |
//! | `commands` | the commands |

pub mod config;
//
mod console;
mod shutdown;
//
mod line_writer;
//
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
mod tokens;
//
mod keyring;
//
mod rate_limit_headers;
//
pub mod operations;
//
mod problem;
//
mod upload;
//
mod unread;
//
mod origin;
//
pub mod reference;
//
mod traces;
//
pub mod explanation;
//
mod bound_gauges;
mod budgets;
//
mod notify;
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
mod json_line;
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

pub use config::Config;
pub use keyring::hash_of as key_hash;
pub use reload::RunFault;
pub use serving::{Running, StartFault, start};
pub use tls::TlsFault;
pub use traces::TraceFault;
pub use watch::Follow;
