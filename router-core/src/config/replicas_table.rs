//! The table `[replicas]` -> where and how often routers share state.

use std::time::Duration;

use http::Uri;

use crate::replicas::SyncSettings;
use crate::upstream::SecretSource;

use super::endpoints::{is_loopback, secret};
use super::raw_replicas::Replicas as Raw;
use super::table::Table;

/// Settings of the state shared between routers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaSettings {
    /// The Redis; no secret is in it.
    pub url: Box<str>,
    /// The user there.
    pub(crate) username: Option<Box<str>>,
    /// Source of its password.
    pub password: Option<SecretSource>,
    /// Prefix of all its keys.
    pub prefix: Box<str>,
    /// Intervals and timeouts of the exchange.
    pub sync: SyncSettings,
}

/// Checks the table; `None` if it names no Redis.
pub(super) fn check(raw: &Raw, table: &Table<'_>) -> Option<ReplicaSettings> {
    // The number of routers alone configures no Redis.
    let written = Raw { count: raw.count, ..Raw::default() } != *raw;
    table.whole("count", raw.count, 1..=1_000);
    let url = raw.url.as_deref().and_then(|url| address(url, table));
    if written && raw.url.is_none() {
        table.fault("url", "missing; must be redis://host:port/database or rediss://");
    }
    let default = SyncSettings::default();
    let span = |name, value, range| table.whole(name, value, range).map(Duration::from_millis);
    let sync = SyncSettings {
        sync: span("sync_ms", raw.sync_ms, 5..=1_000).unwrap_or(default.sync),
        budget: span("budget_ms", raw.budget_ms, 0..=1_000).unwrap_or(default.budget),
        ttl: span("ttl_ms", raw.ttl_ms, 500..=60_000).unwrap_or(default.ttl),
    };
    if sync.ttl < sync.sync * 10 {
        table.fault("ttl_ms", "must be at least ten times sync_ms");
    }
    let password = raw.password.as_ref().and_then(|raw| secret(raw, &table.sub("password")));
    let prefix = prefix(raw.prefix.as_deref().unwrap_or("model-router"), table);
    let username = raw.username.as_deref().filter(|name| !name.is_empty()).map(Into::into);
    Some(ReplicaSettings { url: url?, username, password, prefix: prefix?, sync })
}

fn address(url: &str, table: &Table<'_>) -> Option<Box<str>> {
    let parsed = url.parse::<Uri>().ok();
    let parsed = parsed.filter(|url| matches!(url.scheme_str(), Some("redis" | "rediss")));
    let Some((parsed, host)) = parsed.as_ref().and_then(|url| Some((url, url.authority()?))) else {
        table.fault("url", "must be redis://host:port/database or rediss://");
        return None;
    };
    if host.as_str().contains('@') {
        table.fault("url", "username and password have keys of their own");
        return None;
    }
    let database = parsed.path().trim_start_matches('/');
    if parsed.query().is_some() || !database.bytes().all(|byte| byte.is_ascii_digit()) {
        table.fault("url", "behind the host may stand the number of a database and nothing else");
        return None;
    }
    if parsed.scheme_str() == Some("redis") && !is_loopback(host.host()) {
        table.warn("url", "redis:// beyond this machine: what routers share travels unencrypted");
    }
    Some(url.into())
}

fn prefix(prefix: &str, table: &Table<'_>) -> Option<Box<str>> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte);
    if !prefix.is_empty() && prefix.len() <= 64 && prefix.bytes().all(plain) {
        return Some(prefix.into());
    }
    table.fault("prefix", "must be 1 to 64 of a-z, A-Z, 0-9, _, -, . and :");
    None
}
