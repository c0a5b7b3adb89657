//! The address of a Redis and its credentials. `Debug` shows no secret.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::exchange::ExchangeFault;

/// Reads a password when a connection is opened: a mounted one changes while the router runs.
pub(crate) type Password = Arc<dyn Fn() -> Result<Box<str>, ExchangeFault> + Send + Sync>;

/// The address of a Redis.
#[derive(Clone)]
pub(crate) struct RedisAddress {
    /// `redis://host:port/database`, or `rediss://` for TLS; without a secret.
    pub(crate) url: Box<str>,
    /// The user, if the server has users.
    pub(crate) username: Option<Box<str>>,
    /// The password, if the server requires one.
    pub(crate) password: Option<Password>,
    /// The start of every key: routers of one prefix are replicas of each other.
    pub(crate) prefix: Box<str>,
    /// After this time a sync or a connection has failed.
    pub(crate) patience: Duration,
}

impl fmt::Debug for RedisAddress {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { url, prefix, .. } = self;
        // If the URL holds a password anyway, keep it out of `Debug`.
        let (scheme, rest) = url.split_once("://").unwrap_or_default();
        let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
        let url = format!("{scheme}://{host}");
        out.debug_struct("RedisAddress").field("url", &url).field("prefix", prefix).finish()
    }
}
