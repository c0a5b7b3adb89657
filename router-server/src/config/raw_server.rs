//! The table `[server]` as written.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The table `[server]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Server {
    /// Address and port to listen at; 127.0.0.1:8080.
    pub(crate) listen: Option<String>,
    /// Number of threads that serve requests; the cores that this process may use, by the container's quota too.
    pub(crate) workers: Option<i64>,
    /// True if callers without a key may come from other machines; false.
    pub(crate) allow_anonymous: Option<bool>,
    /// The longest request body, in bytes; 33554432.
    pub(crate) max_body_bytes: Option<i64>,
    /// The maximum number of concurrent requests; 1024.
    pub(crate) max_in_flight: Option<i64>,
    /// The most bytes that all request bodies may hold together; a quarter of the memory limit, else 268435456.
    pub(crate) body_memory_bytes: Option<i64>,
    /// A body that arrives more slowly than so many bytes per second is given up; 1024.
    pub(crate) min_upload_bytes_per_second: Option<i64>,
    /// A caller that accepts nothing of its answer for so long is disconnected; 60000.
    pub(crate) write_idle_ms: Option<i64>,
    /// The most connections at once; three quarters of the limit of open files, at most 10000.
    pub(crate) max_connections: Option<i64>,
    /// Time that running requests get to end at shutdown; 30000.
    pub(crate) drain_ms: Option<i64>,
    /// Interval at which the configuration files are checked for changes; 1000; 0 reloads on SIGHUP only.
    pub(crate) watch_ms: Option<i64>,
    /// Internals that responses expose to callers: `all` or `minimal`; all.
    pub(crate) expose: Option<String>,
    /// The form of log lines: `auto`, `json` or `text`; auto, which is text at a terminal.
    pub(crate) log: Option<String>,
    /// The requests with a log line: `all`, `problems` or `none`; all, or `problems` with `[request_log]`.
    pub(crate) request_lines: Option<String>,
    /// A folder in which what keys and teams have spent survives a restart; no default: it begins at zero.
    pub(crate) state_dir: Option<PathBuf>,
    /// Names in `Host` that callers without a key may use beyond those that are always allowed, or `*` for all; none.
    pub(crate) hosts: Option<Vec<String>>,
    /// Web pages that may call the router from a browser: their origins, or `*` for all; none.
    pub(crate) cors_origins: Option<Vec<String>>,
    /// Certificate and key of the listener; without them, plain HTTP.
    pub(crate) tls: Option<Tls>,
}

/// The table `[server.tls]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Tls {
    /// A file (PEM) with the certificate and those between it and its authority; required.
    pub(crate) certificate: Option<PathBuf>,
    /// A file (PEM) with the certificate's private key; required.
    pub(crate) key: Option<PathBuf>,
    /// A file (PEM) with certificates of authorities: callers must show a certificate of one of them.
    pub(crate) client_ca: Option<PathBuf>,
}
