//! Creates the HTTP clients for endpoints: protocol, proxy and certificate authorities as
//! configured.
//!
//! A connection carries one response at a time, over HTTP/2 as over HTTP/1.1: a caller who stops
//! reading delays nobody else, a dead connection costs one request, and no limit on concurrent
//! streams is reached. ARCHITECTURE.md has the measurement. HTTP/2 is used if the upstream offers
//! it, for its pings: they find a dead connection under a request that waits for minutes. Idle
//! connections are probed by TCP, and over HTTP/2 also by pings.
//!
//! Authority files are read whenever a configuration is built. An endpoint that is reached in the
//! same way under the next configuration keeps its connections. Redirects are not followed, because
//! they would carry the credential.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::time::Instant;
use tower::util::MapResponseLayer;

use super::connections::{Connections, POOL_IDLE};
use super::generations::{Generations, Slot, Terms};
use super::opening::{
    MAX_HEADERS, Opener, PING_AFTER, PING_TIME, PROBE_AFTER, PROBE_GAP, PROBES, UNACKNOWLEDGED,
    WINDOW,
};
use super::prepared::USER;
use super::reach::{ConnectionLimits, Proxy, Reach, ReachFault};

tokio::task_local! {
    /// Set when a connection is opened for the request under way.
    static OPENED: Cell<bool>;
}

/// A way to endpoints, and the connections that it uses.
#[derive(Debug, Clone)]
pub(super) struct Dialled {
    way: Arc<Way>,
    host: Arc<Host>,
}

/// The client of one host.
#[derive(Debug)]
struct Host {
    /// For what is sent seldom, and for what passes a proxy.
    clients: Generations<reqwest::Client>,
    /// `None` if a proxy is passed.
    direct: Option<Arc<Connections>>,
}

/// Two ways are the same if a client made for one serves the other.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Way {
    reach: Reach,
    limits: ConnectionLimits,
    /// The content of the file of authorities.
    authorities: Option<Vec<u8>>,
}

impl PartialEq for Dialled {
    fn eq(&self, other: &Self) -> bool {
        self.way == other.way
    }
}

/// A client to send one request with.
#[derive(Debug)]
pub(super) struct Picked {
    pub(super) client: reqwest::Client,
    /// To be kept until the response has ended.
    pub(super) slot: Slot,
}

impl Dialled {
    /// The client for the next request.
    pub(super) fn pick(&self) -> Option<Picked> {
        let (client, slot) = self.host.clients.pick(Instant::now())?;
        Some(Picked { client, slot })
    }

    /// A client that opens a new connection, for one request whose connection died under it.
    pub(super) fn fresh(&self) -> Option<Picked> {
        Some(Picked { client: self.host.clients.fresh()?, slot: Slot::default() })
    }

    /// No response came to an attempt that began at `began`: its connection may be dead, and so may those beside it.
    pub(super) fn fell_silent(&self, began: Instant) {
        self.host.clients.fell_silent(began);
        if let Some(connections) = &self.host.direct {
            connections.fell_silent(began);
        }
    }

    /// The connections to the host; `None` if it is reached through a proxy.
    pub(super) fn direct(&self) -> Option<&Arc<Connections>> {
        self.host.direct.as_ref()
    }
}

/// Does a request's `work` and gives, with its result, whether a connection was opened for it. If none was, it went over one
/// that had been used before.
pub(super) async fn watched<T>(work: impl Future<Output = T>) -> (T, bool) {
    let watched = async {
        let done = work.await;
        (done, OPENED.with(Cell::get))
    };
    OPENED.scope(Cell::new(false), watched).await
}

/// Called with each new connection. One that another request overtook is finished outside any request and marks none.
fn opened<C>(connection: C) -> C {
    if OPENED.try_with(|opened| opened.set(true)).is_err() {
        tracing::trace!("a connection was opened for later requests");
    }
    connection
}

/// One group of connections: those of a way to one host.
type Group = (Arc<Way>, Box<str>);

/// Makes the clients of endpoints, and keeps those of one host apart from those of others, so that what befalls one host's
/// connections leaves the others' alone.
#[derive(Debug)]
pub(super) struct Clients {
    limits: ConnectionLimits,
    used: BTreeMap<Group, Arc<Host>>,
    /// Those of the configuration before.
    before: BTreeMap<Group, Arc<Host>>,
}

impl Clients {
    pub(super) fn new(limits: ConnectionLimits) -> Self {
        Self { limits, used: BTreeMap::new(), before: BTreeMap::new() }
    }

    /// For the next configuration, which goes on with the connections of this one.
    pub(super) fn renewed(&self, limits: ConnectionLimits) -> Self {
        Self { limits, used: BTreeMap::new(), before: self.used.clone() }
    }

    /// Drops those of the configuration before that this one has no use for.
    pub(super) fn forget_others(&mut self) {
        self.before.clear();
    }

    pub(super) fn limits(&self) -> ConnectionLimits {
        self.limits
    }

    /// The way to the host of an address; its file of authorities is read.
    pub(super) fn of(&mut self, reach: &Reach, base: &str) -> Result<Dialled, ReachFault> {
        let way = Arc::new(way(reach, self.limits)?);
        let group = (Arc::clone(&way), host(base).into());
        let known = self.used.get(&group).or_else(|| self.before.get(&group));
        let host = match known {
            Some(host) => Arc::clone(host),
            None => made(&way, base)?,
        };
        self.used.insert(group, Arc::clone(&host));
        Ok(Dialled { way, host })
    }
}

/// Scheme, host and port of an address.
fn host(base: &str) -> &str {
    let start = base.find("://").map_or(0, |at| at + 3);
    let end = base.get(start..).and_then(|rest| rest.find('/'));
    end.and_then(|end| base.get(..start + end)).unwrap_or(base)
}

/// A way that passes no proxy, for what answers on this machine or near it.
pub(super) fn direct(limits: ConnectionLimits) -> Result<Dialled, ReachFault> {
    let reach = Reach { ca_file: None, proxy: Proxy::Direct, http2: false };
    let way = Arc::new(way(&reach, limits)?);
    Ok(Dialled { host: made(&way, "http:")?, way })
}

fn way(reach: &Reach, limits: ConnectionLimits) -> Result<Way, ReachFault> {
    let authorities = match &reach.ca_file {
        Some(path) => {
            let text = std::fs::read(path);
            Some(text.map_err(|cause| ReachFault::NotRead { path: path.clone(), cause })?)
        }
        None => None,
    };
    Ok(Way { reach: reach.clone(), limits, authorities })
}

/// The clients of a way. The first is made at once, so that a fault is found before anything is sent; all share one TLS
/// configuration, whose sessions are resumed from one generation to the next.
fn made(way: &Arc<Way>, base: &str) -> Result<Arc<Host>, ReachFault> {
    let tls = tls(way)?;
    client(way, &tls)?;
    let direct = direct_to(way, base, &tls);
    let exclusive = way.reach.http2 && base.starts_with("https:");
    let terms = Terms { max_age: way.limits.max_age, exclusive };
    let way = Arc::clone(way);
    let clients = Generations::new(terms, move || client(&way, &tls).ok());
    Ok(Arc::new(Host { clients, direct }))
}

/// The connections to a host that no proxy stands before.
fn direct_to(way: &Way, base: &str, tls: &rustls::ClientConfig) -> Option<Arc<Connections>> {
    let origin: Uri = host(base).parse().ok()?;
    let proxied = match &way.reach.proxy {
        Proxy::Direct => false,
        Proxy::Environment => Matcher::from_system().intercept(&origin).is_some(),
        Proxy::Through(_) => true,
    };
    let opener = (!proxied).then(|| Opener::new(origin, tls.clone(), way.limits.open)).flatten()?;
    Some(Connections::new(opener, way.limits.max_age))
}

fn client(way: &Way, tls: &rustls::ClientConfig) -> Result<reqwest::Client, ReachFault> {
    let builder = builder(way, tls.clone());
    let builder = match &way.reach.proxy {
        Proxy::Environment => builder,
        Proxy::Direct => builder.no_proxy(),
        Proxy::Through(url) => {
            builder.proxy(reqwest::Proxy::all(&**url).map_err(|_| ReachFault::Proxy)?)
        }
    };
    builder.build().map_err(|_| ReachFault::Client)
}

fn builder(way: &Way, tls: rustls::ClientConfig) -> reqwest::ClientBuilder {
    let builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(way.limits.open)
        .connector_layer(MapResponseLayer::new(opened))
        .pool_idle_timeout(POOL_IDLE)
        .tcp_keepalive(PROBE_AFTER)
        .tcp_keepalive_interval(PROBE_GAP)
        .tcp_keepalive_retries(PROBES)
        .http1_max_headers(MAX_HEADERS)
        .user_agent(USER);
    #[cfg(target_os = "linux")]
    let builder = builder.tcp_user_timeout(UNACKNOWLEDGED);
    if !way.reach.http2 {
        return builder.http1_only();
    }
    builder
        .http2_initial_stream_window_size(WINDOW)
        .http2_initial_connection_window_size(WINDOW)
        .http2_keep_alive_interval(PING_AFTER)
        .http2_keep_alive_timeout(PING_TIME)
        .http2_keep_alive_while_idle(true)
}

/// TLS by the system's authorities and those of the way's file.
fn tls(way: &Way) -> Result<rustls::ClientConfig, ReachFault> {
    use rustls_platform_verifier::Verifier;
    let provider = rustls::crypto::CryptoProvider::get_default().cloned();
    let provider =
        provider.unwrap_or_else(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    let verifier = match (&way.reach.ca_file, &way.authorities) {
        (Some(path), Some(text)) => {
            let fault = |found| ReachFault::NotAuthorities { path: path.clone(), found };
            let authorities: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
            let authorities = authorities.map_err(|_| fault("one that cannot be decoded"))?;
            if authorities.is_empty() {
                return Err(fault("none"));
            }
            Verifier::new_with_extra_roots(authorities, Arc::clone(&provider))
                .map_err(|_| fault("one that is no authority's certificate"))?
        }
        (Some(_) | None, _) => {
            Verifier::new(Arc::clone(&provider)).map_err(|_| ReachFault::Client)?
        }
    };
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| ReachFault::Client)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    let http2 = way.reach.http2.then(|| b"h2".to_vec());
    config.alpn_protocols = http2.into_iter().chain([b"http/1.1".to_vec()]).collect();
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_kept_apart_by_host() {
        for (base, expected) in [
            ("https://a.example/openai/v1", "https://a.example"),
            ("https://a.example", "https://a.example"),
            ("http://127.0.0.1:1/groq/v1", "http://127.0.0.1:1"),
        ] {
            assert_eq!(host(base), expected);
        }
    }
}
