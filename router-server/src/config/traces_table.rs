//! The table `[traces]` -> where spans go, and how many.
//!
//! The serving program creates the spans and may be built without them; this file does not check
//! that.

use http::{HeaderName, Uri};
use router_core::config::{Table, is_loopback, secret};
use router_core::upstream::SecretSource;

use super::raw_traces::Traces as Raw;

/// Collector of spans, and the share of requests traced.
#[derive(Debug, Clone, PartialEq)]
pub struct TraceSettings {
    /// The whole address that they are posted to; no secret is in it.
    pub endpoint: Box<str>,
    /// Headers that go with them, and where their values are read from.
    pub headers: Vec<(HeaderName, SecretSource)>,
    /// The share of traces begun here that is kept.
    pub sample_ratio: f64,
    /// The name of this service; `None` leaves it to the environment.
    pub service_name: Option<Box<str>>,
}

/// Path behind a collector's base address.
///
/// **Source:** OpenTelemetry, "OTLP Exporter Configuration", endpoint URLs for OTLP/HTTP.
const PATH: &str = "/v1/traces";

impl TraceSettings {
    /// Settings for a collector at this base or whole address: all traces, without further headers.
    ///
    /// # Errors
    /// Fault of the address, which is not repeated.
    pub fn to(collector: &str) -> Result<Self, &'static str> {
        let endpoint = address(collector)?;
        Ok(Self { endpoint, headers: Vec::new(), sample_ratio: 1.0, service_name: None })
    }
}

/// Checks the table; `None` if it names no collector.
pub(super) fn check(raw: &Raw, table: &Table<'_>) -> Option<TraceSettings> {
    if *raw != Raw::default() && raw.endpoint.is_none() {
        table.fault(
            "endpoint",
            "missing; must be http:// or https://, such as http://localhost:4318",
        );
    }
    let settings = raw.endpoint.as_deref().and_then(|collector| {
        let settings = TraceSettings::to(collector);
        settings.map_err(|problem| table.fault("endpoint", problem)).ok()
    });
    let sample_ratio = table.number("sample_ratio", raw.sample_ratio, 0.0..=1.0).unwrap_or(1.0);
    let headers: Vec<_> = raw
        .headers
        .iter()
        .filter_map(|(name, source)| {
            let table = table.sub("headers");
            let source = secret(source, &table.sub(name));
            let Ok(header) = name.parse::<HeaderName>() else {
                table.fault(name, "must be the name of a header");
                return None;
            };
            Some((header, source?))
        })
        .collect();
    let service_name = raw.service_name.as_deref();
    if service_name.is_some_and(|name| name.trim().is_empty() || name.len() > 255) {
        table.fault("service_name", "must be 1 to 255 bytes");
    }
    let settings = settings?;
    if !headers.is_empty() && is_open(&settings.endpoint) {
        table.warn("endpoint", "http:// beyond this machine: its headers travel unencrypted");
    }
    let service_name = service_name.map(Into::into);
    Some(TraceSettings { headers, sample_ratio, service_name, ..settings })
}

fn address(collector: &str) -> Result<Box<str>, &'static str> {
    let allowed = "must be http:// or https://, host, port and an optional path, such as http://localhost:4318";
    let parsed = collector.trim().parse::<Uri>().map_err(|_| allowed)?;
    let http = matches!(parsed.scheme_str(), Some("http" | "https"));
    let authority = parsed.authority().filter(|_| http).ok_or(allowed)?;
    if authority.as_str().contains('@') {
        return Err("must not contain a user or password: use headers");
    }
    if parsed.query().is_some() {
        return Err("must not contain a query");
    }
    let base = collector.trim().trim_end_matches('/');
    let base = base.strip_suffix(PATH).unwrap_or(base);
    Ok(format!("{base}{PATH}").into())
}

fn is_open(endpoint: &str) -> bool {
    let parsed = endpoint.parse::<Uri>().ok();
    parsed
        .is_some_and(|uri| uri.scheme_str() == Some("http") && !uri.host().is_some_and(is_loopback))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_is_named_by_its_base_or_its_whole_address() {
        for (written, whole) in [
            ("http://localhost:4318", "http://localhost:4318/v1/traces"),
            ("http://localhost:4318/", "http://localhost:4318/v1/traces"),
            ("https://otlp.example.com/otlp", "https://otlp.example.com/otlp/v1/traces"),
            ("http://[::1]:4318/v1/traces", "http://[::1]:4318/v1/traces"),
        ] {
            assert_eq!(&*TraceSettings::to(written).unwrap().endpoint, whole);
        }
        for wrong in
            ["", "localhost:4318", "grpc://a:4317", "http://", "http://u:p@a", "http://a?b"]
        {
            assert!(TraceSettings::to(wrong).is_err(), "{wrong}");
        }
    }
}
