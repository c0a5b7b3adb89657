//! Protects a router without keys from web pages: a page in a browser must not reach it, neither by
//! a cross-origin request nor by a host name that resolves to this machine (DNS rebinding).
//!
//! With keys nothing is checked here, because a page has no key.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use http::header::{HOST, ORIGIN};
use http::{HeaderMap, HeaderValue, Uri};

use crate::config::CorsOrigins;
use crate::config::Hosts;
use crate::problem::Problem;

/// Hosts and origins that a request may name.
pub(crate) struct Allowed<'c> {
    pub(crate) listen: SocketAddr,
    pub(crate) hosts: &'c Hosts,
    pub(crate) cors: &'c CorsOrigins,
}

/// Refuses a request that names a host which a stranger can own, or that a page of another site sends unless config lists it.
pub(crate) fn check(uri: &Uri, headers: &HeaderMap, allowed: &Allowed<'_>) -> Result<(), Problem> {
    let Allowed { listen, hosts, cors } = allowed;
    let named = headers.get(HOST).map(HeaderValue::to_str);
    let named = named.or_else(|| uri.authority().map(|authority| Ok(authority.as_str())));
    let named = named.transpose().map_err(|_| Problem::foreign_host())?;
    // Every browser names a host.
    if named.is_some_and(|host| !hosts.allow(host, *listen)) {
        return Err(Problem::foreign_host());
    }
    let site = headers.get(ORIGIN).filter(|origin| !cors.allows(origin));
    let site = site.map(|origin| origin.to_str().unwrap_or_default());
    let here = Hosts::default();
    let own = |origin: &str| {
        let rest = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        // The router's own page, or one of this machine.
        rest.is_some_and(|site| named == Some(site) || here.allow(site, LOOPBACK))
    };
    if site.is_some_and(|origin| !own(origin)) { Err(Problem::foreign_origin()) } else { Ok(()) }
}

/// An address at which only names of this machine are allowed.
const LOOPBACK: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(listen: &str, host: Option<&'static str>, origin: Option<&'static str>) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in [(HOST, host), (ORIGIN, origin)] {
            if let Some(value) = value {
                headers.insert(name, HeaderValue::from_static(value));
            }
        }
        let cors = CorsOrigins::Listed(vec![HeaderValue::from_static("https://app.example")]);
        let hosts = Hosts::Listed(vec!["ai.example".into()]);
        let allowed = Allowed { listen: listen.parse().unwrap(), hosts: &hosts, cors: &cors };
        check(&Uri::from_static("/v1/models"), &headers, &allowed).is_ok()
    }

    #[test]
    fn hosts_are_those_of_the_router_and_origins_its_own_or_this_machines() {
        for listen in ["127.0.0.1:8080", "0.0.0.0:8080"] {
            assert!(allowed(listen, Some("localhost:8080"), None));
            assert!(allowed(listen, Some("ai.example"), None));
            assert!(!allowed(listen, Some("evil.example:8080"), None));
            assert!(allowed(listen, None, None));
            for (origin, expected) in [
                ("https://app.example", true),
                ("http://app.example", false),
                ("http://localhost:3000", true),
                ("https://127.0.0.1", true),
                ("http://[::1]:5173", true),
                ("http://10.0.0.5:8080", false),
                ("http://router", false),
                ("http://evil.example", false),
                ("null", false),
                ("file://", false),
            ] {
                assert_eq!(allowed(listen, Some("localhost"), Some(origin)), expected, "{origin}");
            }
            assert!(allowed(listen, Some("ai.example:1"), Some("https://ai.example:1")));
            assert!(!allowed(listen, Some("ai.example:1"), Some("https://ai.example:2")));
            assert!(!allowed(listen, Some("evil.example"), Some("http://evil.example")));
        }
        let page = Some("http://10.0.0.5:8080");
        assert!(allowed("0.0.0.0:8080", Some("10.0.0.5:8080"), page));
    }

    #[test]
    fn the_authority_of_http2_is_a_host_as_well() {
        let (hosts, cors) = (Hosts::default(), CorsOrigins::None);
        for listen in ["127.0.0.1:8080", "0.0.0.0:8080"] {
            let allowed = Allowed { listen: listen.parse().unwrap(), hosts: &hosts, cors: &cors };
            let check =
                |uri| super::check(&Uri::from_static(uri), &HeaderMap::new(), &allowed).is_ok();
            assert!(check("http://localhost:8080/x") && !check("http://evil.example/x"));
        }
    }
}
