//! Protects a router without keys from web pages: a page in a browser on this machine must not
//! reach it, neither by a cross-origin request nor by a host name that resolves to this machine
//! (DNS rebinding).
//!
//! With keys nothing is checked here, because a page has no key. If the router listens on all
//! addresses, it cannot know its own names, and `Host` is not checked.

use std::net::{IpAddr, SocketAddr};

use http::header::{HOST, ORIGIN};
use http::{HeaderMap, HeaderValue, Uri};

use router_core::config::CorsOrigins;

use crate::problem::Problem;

/// Refuses a request that names a host which is not this machine, or that a page of another site sends unless `cors` lists it.
pub(crate) fn check(
    uri: &Uri,
    headers: &HeaderMap,
    listen: SocketAddr,
    cors: &CorsOrigins,
) -> Result<(), Problem> {
    let named = headers.get(HOST).map(HeaderValue::to_str);
    let named = named.or_else(|| uri.authority().map(|authority| Ok(authority.as_str())));
    // Every browser names a host.
    let own = |authority: &str| listen.ip().is_unspecified() || is_own(authority, listen.ip());
    if named.is_some_and(|host| !host.is_ok_and(own)) {
        return Err(Problem::foreign_host());
    }
    let site = headers.get(ORIGIN).filter(|origin| !cors.allows(origin));
    let site = site.map(|origin| origin.to_str().unwrap_or_default());
    let own = |origin: &str| {
        let rest = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        rest.is_some_and(|authority| is_own(authority, listen.ip()))
    };
    if site.is_some_and(|origin| !own(origin)) { Err(Problem::foreign_origin()) } else { Ok(()) }
}

/// True for a loopback name or address, or the address listened at. A port may follow.
fn is_own(authority: &str, listen: IpAddr) -> bool {
    let host = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
    };
    if let Ok(address) = host.parse::<IpAddr>() {
        return address.is_loopback() || address == listen;
    }
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    host == "localhost" || host.ends_with(".localhost")
}

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
        check(&Uri::from_static("/v1/models"), &headers, listen.parse().unwrap(), &cors).is_ok()
    }

    #[test]
    fn hosts_and_origins_are_those_of_this_machine() {
        let own = [
            "localhost:8080",
            "LOCALHOST",
            "127.0.0.1:8080",
            "127.0.0.9",
            "[::1]:8080",
            "a.localhost:1",
        ];
        for host in own {
            assert!(allowed("127.0.0.1:8080", Some(host), None), "{host}");
        }
        let foreign = [
            "evil.example",
            "evil.example:8080",
            "192.168.0.1",
            "localhost.evil.example",
            "",
            "[::2]",
        ];
        for host in foreign {
            assert!(!allowed("127.0.0.1:8080", Some(host), None), "{host}");
        }
        assert!(allowed("127.0.0.1:8080", None, None));
        assert!(allowed("10.0.0.5:80", Some("10.0.0.5"), Some("http://10.0.0.5")));
        assert!(!allowed("10.0.0.5:80", Some("evil.example"), None));
        assert!(allowed("0.0.0.0:80", Some("router:80"), None));
        for (origin, expected) in [
            ("https://app.example", true),
            ("http://app.example", false),
            ("http://localhost:3000", true),
            ("https://127.0.0.1", true),
            ("http://[::1]:5173", true),
            ("http://evil.example", false),
            ("null", false),
            ("file://", false),
        ] {
            for listen in ["127.0.0.1:8080", "0.0.0.0:8080"] {
                assert_eq!(allowed(listen, Some("localhost"), Some(origin)), expected, "{origin}");
            }
        }
    }

    #[test]
    fn the_authority_of_http2_is_a_host_as_well() {
        let listen = "127.0.0.1:8080".parse().unwrap();
        let check = |uri| {
            check(&Uri::from_static(uri), &HeaderMap::new(), listen, &CorsOrigins::None).is_ok()
        };
        assert!(check("http://localhost:8080/x") && !check("http://evil.example/x"));
    }
}
