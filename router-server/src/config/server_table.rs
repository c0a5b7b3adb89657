//! The settings of the HTTP server: where it listens, its limits, and what it exposes.

use std::net::SocketAddr;
use std::num::NonZero;
use std::path::PathBuf;
use std::time::Duration;

use router_core::config::Table;

use super::cors_origins::{self, CorsOrigins};
use super::hosts::{self, Hosts};
use super::raw_server as raw;
use super::tables::Tables;

/// The settings of the HTTP server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Address and port to listen at.
    pub listen: SocketAddr,
    /// Number of threads that serve requests.
    pub workers: usize,
    /// True if callers without a key may come from beyond this machine.
    pub allow_anonymous: bool,
    /// The longest request body, in bytes.
    pub max_body_bytes: usize,
    /// The maximum number of concurrent requests.
    pub max_in_flight: usize,
    /// Memory of all request bodies together, parsed forms included, in bytes; `None`: a quarter of the memory that
    /// this process may use.
    pub body_memory_bytes: Option<usize>,
    /// The slowest rate at which a body may arrive, in bytes per second.
    pub min_upload_bytes_per_second: usize,
    /// Longest time that a caller may accept nothing of its answer.
    pub write_idle: Duration,
    /// The most connections at once; `None`: as the limit of open files allows.
    pub max_connections: Option<usize>,
    /// Time that running requests get to end at shutdown.
    pub drain: Duration,
    /// Interval at which the files are checked for changes; `None` if only SIGHUP reloads.
    pub watch: Option<Duration>,
    /// Internals that responses expose to callers.
    pub expose: Expose,
    /// The form of log lines.
    pub log: LogForm,
    /// The requests that have a log line.
    pub request_lines: RequestLines,
    /// The folder in which keys' spending survives a restart; `None`: it begins at zero.
    pub state_dir: Option<PathBuf>,
    /// Further names that `Host` may hold if callers show no key.
    pub hosts: Hosts,
    /// Web origins that may call from a browser.
    pub cors: CorsOrigins,
    /// The TLS files of the listener; `None` for plain HTTP.
    pub tls: Option<Tls>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            workers: cores(),
            allow_anonymous: false,
            max_body_bytes: 32 << 20,
            max_in_flight: 1024,
            body_memory_bytes: None,
            min_upload_bytes_per_second: 1_024,
            write_idle: Duration::from_secs(60),
            max_connections: None,
            drain: Duration::from_secs(30),
            watch: Some(Duration::from_secs(1)),
            expose: Expose::All,
            log: LogForm::Auto,
            request_lines: RequestLines::All,
            state_dir: None,
            hosts: Hosts::default(),
            cors: CorsOrigins::None,
            tls: None,
        }
    }
}

impl Server {
    /// True if it may listen at `listen` without keys: on this machine alone, unless callers without a key are
    /// welcome.
    pub fn may_listen(&self, listen: SocketAddr) -> bool {
        self.allow_anonymous || listen.ip().is_loopback()
    }
}

/// The TLS files of a listener, all in PEM form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The certificate, and those between it and its authority.
    pub certificate: PathBuf,
    /// The certificate's private key.
    pub key: PathBuf,
    /// Authorities of which callers must show a certificate; `None` if they need none.
    pub client_ca: Option<PathBuf>,
}

/// Internals that responses expose to callers: deployments, models, scores, attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expose {
    /// All answer headers.
    All,
    /// No names of deployments and no internals.
    Minimal,
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogForm {
    /// Text at a terminal, else JSON.
    Auto,
    /// One JSON object a line.
    Json,
    /// Text.
    Text,
}

/// The requests that have a line in the log of the process. The file of `[request_log]` has all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestLines {
    /// All.
    All,
    /// Those that failed, that the caller left, or that the first attempt did not answer.
    Problems,
    /// None.
    None,
}

/// Checks `[server]`. `keys` is true if callers show keys.
pub(super) fn check(all: &Tables, keys: bool, table: &Table<'_>) -> Server {
    let (raw, default) = (&all.server, Server::default());
    let listen = table.word(
        "listen",
        raw.listen.as_deref(),
        "an address and a port such as 127.0.0.1:8080",
        |text| text.parse().ok(),
    );
    let expose = |word: &str| match word {
        "all" => Some(Expose::All),
        "minimal" => Some(Expose::Minimal),
        _ => None,
    };
    let log = |word: &str| match word {
        "auto" => Some(LogForm::Auto),
        "json" => Some(LogForm::Json),
        "text" => Some(LogForm::Text),
        _ => None,
    };
    let bounds = bounds(raw, table);
    let server = Server {
        listen: listen.unwrap_or(default.listen),
        allow_anonymous: raw.allow_anonymous.unwrap_or(default.allow_anonymous),
        drain: table.milliseconds("drain_ms", raw.drain_ms, 0).unwrap_or(default.drain),
        watch: table
            .milliseconds("watch_ms", raw.watch_ms, 0)
            .map_or(default.watch, |watch| Some(watch).filter(|watch| !watch.is_zero())),
        expose: table
            .word("expose", raw.expose.as_deref(), "all or minimal", expose)
            .unwrap_or(default.expose),
        log: table
            .word("log", raw.log.as_deref(), "auto, json or text", log)
            .unwrap_or(default.log),
        request_lines: request_lines(all, table),
        state_dir: table.path("state_dir", raw.state_dir.as_deref()),
        hosts: hosts::check(raw.hosts.as_deref(), keys, table),
        cors: cors_origins::check(raw.cors_origins.as_deref(), keys, table),
        tls: raw.tls.as_ref().and_then(|raw| tls(raw, &table.sub("tls"))),
        ..bounds
    };
    if !keys && !server.may_listen(server.listen) {
        table.fault(
            "listen",
            format!(
                "{} is reached from other machines, whose callers show no key: give them keys ([keys.NAME]), listen at a \
                 loopback address or set server.allow_anonymous = true",
                server.listen
            ),
        );
    }
    if keys && raw.allow_anonymous == Some(true) {
        table.warn(
            "allow_anonymous",
            "means nothing where there are keys: every caller must show one",
        );
    }
    server
}

/// The requests with a log line. What is in a file of its own already is not written twice.
fn request_lines(all: &Tables, table: &Table<'_>) -> RequestLines {
    let read = |word: &str| match word {
        "all" => Some(RequestLines::All),
        "problems" => Some(RequestLines::Problems),
        "none" => Some(RequestLines::None),
        _ => None,
    };
    let given = all.server.request_lines.as_deref();
    let given = table.word("request_lines", given, "all, problems or none", read);
    given.unwrap_or(match &all.request_log.path {
        Some(_) => RequestLines::Problems,
        None => RequestLines::All,
    })
}

/// The cores that this process may use: those of the machine, or fewer by its affinity or its container's quota.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// Checks the limits on callers; everything else has its default.
fn bounds(raw: &raw::Server, table: &Table<'_>) -> Server {
    let default = Server::default();
    let memory = ("body_memory_bytes", raw.body_memory_bytes);
    Server {
        workers: table.count("workers", raw.workers, 1..=1_024).unwrap_or(default.workers),
        max_body_bytes: table
            .count("max_body_bytes", raw.max_body_bytes, 1_024..=1 << 30)
            .unwrap_or(default.max_body_bytes),
        max_in_flight: table
            .count("max_in_flight", raw.max_in_flight, 1..=1_000_000)
            .unwrap_or(default.max_in_flight),
        body_memory_bytes: table.count(memory.0, memory.1, 1 << 20..=1 << 40),
        min_upload_bytes_per_second: table
            .count("min_upload_bytes_per_second", raw.min_upload_bytes_per_second, 1..=1 << 30)
            .unwrap_or(default.min_upload_bytes_per_second),
        write_idle: table
            .milliseconds("write_idle_ms", raw.write_idle_ms, 1)
            .unwrap_or(default.write_idle),
        max_connections: table.count("max_connections", raw.max_connections, 8..=1_000_000),
        ..default
    }
}

fn tls(raw: &raw::Tls, table: &Table<'_>) -> Option<Tls> {
    let file = |name: &str, value: Option<&PathBuf>| {
        let value = table.required(name, value, "the path of a PEM file")?;
        table.path(name, Some(value))
    };
    let certificate = file("certificate", raw.certificate.as_ref());
    let key = file("key", raw.key.as_ref());
    let client_ca = table.path("client_ca", raw.client_ca.as_deref());
    Some(Tls { certificate: certificate?, key: key?, client_ca })
}
