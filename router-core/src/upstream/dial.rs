//! Makes the HTTP clients by which endpoints are reached: pooled connections, proxy and authorities as told.
//!
//! Files of authorities are read whenever a configuration is built, and the same way to an endpoint is the same client
//! under the next configuration too, so that open connections are used on. Redirects are not followed: they would carry
//! the credential to wherever the redirect says.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::reach::{Proxy, Reach, ReachFault};

/// A way to endpoints, and the client that goes it.
#[derive(Debug, Clone)]
pub(super) struct Dialled {
    way: Arc<Way>,
    client: reqwest::Client,
}

/// Two ways are one where a client made for one may go the other.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Way {
    reach: Reach,
    connect_timeout: Duration,
    /// What the file of authorities held.
    authorities: Option<Vec<u8>>,
}

impl PartialEq for Dialled {
    fn eq(&self, other: &Self) -> bool {
        self.way == other.way
    }
}

impl Dialled {
    pub(super) fn client(&self) -> &reqwest::Client {
        &self.client
    }
}

/// Makes the clients of endpoints, one for all that are reached alike.
#[derive(Debug)]
pub(super) struct Clients {
    connect_timeout: Duration,
    used: BTreeMap<Arc<Way>, reqwest::Client>,
    /// Those of the configuration before.
    before: BTreeMap<Arc<Way>, reqwest::Client>,
}

impl Clients {
    pub(super) fn new(connect_timeout: Duration) -> Self {
        Self { connect_timeout, used: BTreeMap::new(), before: BTreeMap::new() }
    }

    /// For the next configuration, which uses those of this one on.
    pub(super) fn renewed(&self, connect_timeout: Duration) -> Self {
        Self { connect_timeout, used: BTreeMap::new(), before: self.used.clone() }
    }

    /// Drops those of the configuration before that this one has no use for.
    pub(super) fn forget_others(&mut self) {
        self.before.clear();
    }

    pub(super) fn connect_timeout(&self) -> Duration {
        self.connect_timeout
    }

    /// The client for a way; its file of authorities is read.
    pub(super) fn of(&mut self, reach: &Reach) -> Result<Dialled, ReachFault> {
        let way = Arc::new(way(reach, self.connect_timeout)?);
        let known = self.used.get(&way).or_else(|| self.before.get(&way));
        let client = match known {
            Some(client) => client.clone(),
            None => client(&way)?,
        };
        self.used.insert(Arc::clone(&way), client.clone());
        Ok(Dialled { way, client })
    }
}

/// A client that passes no proxy, for what answers on this machine or beside it.
pub(super) fn direct(connect_timeout: Duration) -> Result<Dialled, ReachFault> {
    let reach = Reach { ca_file: None, proxy: Proxy::Direct };
    let way = Arc::new(way(&reach, connect_timeout)?);
    Ok(Dialled { client: client(&way)?, way })
}

fn way(reach: &Reach, connect_timeout: Duration) -> Result<Way, ReachFault> {
    let authorities = match &reach.ca_file {
        Some(path) => {
            let text = std::fs::read(path);
            Some(text.map_err(|cause| ReachFault::NotRead { path: path.clone(), cause })?)
        }
        None => None,
    };
    Ok(Way { reach: reach.clone(), connect_timeout, authorities })
}

fn client(way: &Way) -> Result<reqwest::Client, ReachFault> {
    let builder = builder(way.connect_timeout);
    let builder = match &way.reach.proxy {
        Proxy::Environment => builder,
        Proxy::Direct => builder.no_proxy(),
        Proxy::Through(url) => {
            builder.proxy(reqwest::Proxy::all(&**url).map_err(|_| ReachFault::Proxy)?)
        }
    };
    let (Some(path), Some(text)) = (&way.reach.ca_file, &way.authorities) else {
        return builder.build().map_err(|_| ReachFault::Client);
    };
    let fault = |found| ReachFault::NotAuthorities { path: path.clone(), found };
    let authorities = reqwest::Certificate::from_pem_bundle(text)
        .map_err(|_| fault("one that cannot be decoded"))?;
    if authorities.is_empty() {
        return Err(fault("none"));
    }
    let merged = builder.tls_certs_merge(authorities).build();
    merged.map_err(|_| fault("one that is no authority's certificate"))
}

fn builder(connect_timeout: Duration) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(connect_timeout)
        .pool_idle_timeout(Duration::from_secs(90))
        .user_agent(concat!("model-router/", env!("CARGO_PKG_VERSION")))
}
