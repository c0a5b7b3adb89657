//! Settings for reaching an endpoint: protocol, proxy and trusted certificate authorities.
//!
//! Each endpoint has its own settings, because a company's gateway may be used next to public
//! endpoints. This file only describes them; `dial.rs` applies them.

use std::path::PathBuf;
use std::time::Duration;

/// Settings for reaching an endpoint. Endpoints with equal settings share their connections.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reach {
    /// A PEM file of certificate authorities trusted in addition to the system's.
    pub ca_file: Option<PathBuf>,
    /// The proxy.
    pub proxy: Proxy,
    /// True if HTTP/2 is used where the upstream offers it by TLS; HTTP/1.1 otherwise.
    pub http2: bool,
}

/// Time limits for opening a connection and for its age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConnectionLimits {
    /// The time to open one.
    pub open: Duration,
    /// No request starts on a connection older than this.
    pub max_age: Duration,
}

/// By which proxy an endpoint is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Proxy {
    /// `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, in upper or lower case.
    #[default]
    Environment,
    /// By none, whatever the environment says.
    Direct,
    /// By this one: scheme, host and port.
    Through(Box<str>),
}

/// The reason why an endpoint cannot be reached as config says.
#[derive(Debug, thiserror::Error)]
pub enum ReachFault {
    /// The file of authorities cannot be read.
    #[error("ca_file: {} cannot be read: {cause}", path.display())]
    NotRead {
        /// The file.
        path: PathBuf,
        /// The system's error.
        cause: std::io::Error,
    },
    /// The file holds no certificate, or something in it is none.
    #[error("ca_file: {} must hold certificates in PEM form, found {found}", path.display())]
    NotAuthorities {
        /// The file.
        path: PathBuf,
        /// Actual contents.
        found: &'static str,
    },
    /// The HTTP client does not take the proxy's address.
    #[error("proxy: not an address")]
    Proxy,
    /// The TLS library or the client would not start.
    #[error("the HTTP client cannot start")]
    Client,
}
