//! `server.hosts`: the names by which callers without a key may address the router.
//!
//! A page in a browser can make a DNS name of its own resolve to the router and then call it as its
//! own site (DNS rebinding). Such a call names the page's host, so a router without keys accepts
//! only names that no stranger can own.

use std::net::{IpAddr, SocketAddr};

use router_core::config::{Table, quoted};

/// Endings of names that nobody can register in the public DNS.
///
/// **Source:** RFC 6761 (`localhost`), RFC 6762 (`local`), ICANN resolution 2024.07.29.06 (`internal`).
const PRIVATE: [&str; 3] = [".localhost", ".local", ".internal"];

/// The names in `Host` that callers without a key may use in addition to those that are always allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hosts {
    /// These, in lower case.
    Listed(Vec<Box<str>>),
    /// Every name: something else decides who reaches the router.
    Any,
}

impl Default for Hosts {
    fn default() -> Self {
        Self::Listed(Vec::new())
    }
}

impl Hosts {
    /// True if a request to a router that listens at `listen` may name this authority: a host, and a port if any.
    ///
    /// At loopback: names and addresses of loopback. Elsewhere: also every address, because a browser that names an address
    /// shows a page of that address; a name without a dot; and a name under `.localhost`, `.local` or `.internal`.
    pub fn allow(&self, authority: &str, listen: SocketAddr) -> bool {
        let Self::Listed(listed) = self else { return true };
        let host = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((address, _)) => address,
            None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
        };
        let beyond = !listen.ip().is_loopback();
        if let Ok(address) = host.parse::<IpAddr>() {
            return beyond || address.is_loopback();
        }
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        let private = || !host.contains('.') || PRIVATE.iter().any(|ending| host.ends_with(ending));
        host == "localhost"
            || host.ends_with(".localhost")
            || listed.iter().any(|listed| **listed == host)
            || (beyond && is_name(&host) && private())
    }
}

/// Checks `hosts`. `keys` is true if callers show keys: then `Host` is not checked.
pub(super) fn check(written: Option<&[String]>, keys: bool, table: &Table<'_>) -> Hosts {
    let Some(written) = written else { return Hosts::default() };
    if keys {
        table.warn("hosts", "has no effect: `Host` is checked only if callers show no key");
    }
    if written.iter().any(|host| host == "*") {
        if written.len() > 1 {
            table.fault("hosts", "`*` stands for every name, so it must be the only one");
        }
        return Hosts::Any;
    }
    let mut hosts = Vec::with_capacity(written.len());
    for host in written {
        if is_name(host) {
            hosts.push(host.as_str().into());
        } else {
            let found = quoted(host);
            table.fault(
                "hosts",
                format!("must be names such as router.example.com (lower case, no port) or `*`; found {found}"),
            );
        }
    }
    Hosts::Listed(hosts)
}

/// True of a host name in lower case: letters, digits, hyphens and underscores between dots.
fn is_name(host: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| plain(byte) || matches!(byte, b'-' | b'_'))
    };
    host.len() <= 253 && host.parse::<IpAddr>().is_err() && host.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(listen: &str, hosts: &[(&str, bool)]) {
        let listed = Hosts::Listed(vec!["ai.example.com".into()]);
        for (host, expected) in hosts {
            assert_eq!(listed.allow(host, listen.parse().unwrap()), *expected, "{listen} {host:?}");
            assert!(Hosts::Any.allow(host, listen.parse().unwrap()));
        }
    }

    #[test]
    fn only_names_that_no_stranger_can_own_are_allowed() {
        let everywhere = [
            ("localhost:8080", true),
            ("LOCALHOST", true),
            ("a.localhost:1", true),
            ("127.0.0.9", true),
            ("[::1]:8080", true),
            ("ai.example.com:443", true),
            ("AI.example.com.", true),
            ("evil.example", false),
            ("evil.example:8080", false),
            ("localhost.evil.example", false),
            ("x.ai.example.com", false),
            ("127.0.0.1.evil.example", false),
            ("", false),
            (":8080", false),
            ("a b", false),
            ("a/b", false),
        ];
        let elsewhere = [
            ("router:80", true),
            ("router.ai.svc.cluster.local:8080", true),
            ("router.corp.internal", true),
            ("192.168.0.1", true),
            ("[::2]:80", true),
        ];
        for listen in ["0.0.0.0:80", "[::]:80", "10.0.0.5:80"] {
            check(listen, &everywhere);
            check(listen, &elsewhere);
        }
        for listen in ["127.0.0.1:80", "[::1]:80"] {
            check(listen, &everywhere);
            check(listen, &elsewhere.map(|(host, _)| (host, false)));
        }
    }

    #[test]
    fn a_name_is_written_without_a_port_in_lower_case() {
        assert!(is_name("router") && is_name("my_router.example-1.com"));
        for host in ["", ".", "a..b", "Router", "a:80", "http://a", "10.0.0.1", "*.example.com"] {
            assert!(!is_name(host), "{host}");
        }
    }
}
