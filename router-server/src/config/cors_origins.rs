//! `server.cors_origins`: the web pages that may call the router from a browser.
//!
//! Origins are compared as browsers send them, so a value that no browser sends is a fault.
//!
//! Not done here: answering preflight requests (the server).

use http::{HeaderValue, Uri};
use router_core::config::{Table, quoted};

/// The origins whose pages may read the router's answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum CorsOrigins {
    /// No page of another site.
    #[default]
    None,
    /// Pages of these sites.
    Listed(Vec<HeaderValue>),
    /// Pages of every site; only with keys.
    Any,
}

impl CorsOrigins {
    /// True if pages of this origin may call.
    pub fn allows(&self, origin: &HeaderValue) -> bool {
        match self {
            Self::None => false,
            Self::Listed(origins) => origins.contains(origin),
            Self::Any => true,
        }
    }
}

/// Checks `cors_origins`. `keys` is true if callers show keys: without them, `*` would let every page that a browser shows
/// spend the router's money.
pub(super) fn check(written: Option<&[String]>, keys: bool, table: &Table<'_>) -> CorsOrigins {
    let written = written.unwrap_or_default();
    if written.iter().any(|origin| origin == "*") {
        if written.len() > 1 {
            table.fault("cors_origins", "`*` stands for every origin, so it must be the only one");
        }
        if !keys {
            let problem =
                "`*` needs keys ([keys.NAME]): without them every web page could call the router";
            table.fault("cors_origins", problem);
        }
        return CorsOrigins::Any;
    }
    let mut origins = Vec::with_capacity(written.len());
    for origin in written {
        match read(origin) {
            Some(origin) => origins.push(origin),
            None => table.fault(
                "cors_origins",
                format!(
                    "must be origins such as https://app.example.com (scheme, host in lower case, port if it is not the \
                     scheme's own, no path) or `*`; found {}",
                    quoted(origin)
                ),
            ),
        }
    }
    if origins.is_empty() { CorsOrigins::None } else { CorsOrigins::Listed(origins) }
}

/// The origin as a browser sends it; `None` if no browser would send this text.
fn read(origin: &str) -> Option<HeaderValue> {
    let uri: Uri = origin.parse().ok()?;
    let (scheme, authority) = (uri.scheme_str()?, uri.authority()?);
    let default_port = match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    };
    let port = authority.port_u16();
    let usual = port.is_some() && port == default_port;
    let bare = format!("{scheme}://{authority}");
    let sent = bare == origin && bare == bare.to_ascii_lowercase() && !bare.contains('@') && !usual;
    sent.then(|| HeaderValue::try_from(bare).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_written_as_browsers_send_it() {
        for origin in [
            "https://app.example.com",
            "http://localhost:3000",
            "https://[::1]:8443",
            "chrome-extension://abcdefgh",
        ] {
            assert!(read(origin).is_some(), "{origin}");
        }
        for origin in [
            "",
            "app.example.com",
            "https://",
            "https://app.example.com/",
            "https://app.example.com/path",
            "https://App.example.com",
            "https://app.example.com:443",
            "http://app.example.com:80",
            "https://user@app.example.com",
            "https://*.example.com ",
            "null",
        ] {
            assert!(read(origin).is_none(), "{origin}");
        }
    }
}
