//! The collector that OpenTelemetry's own variables name, for a router without configured traces.
//!
//! Not read here: `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_EXPORTER_OTLP_TIMEOUT`, `OTEL_SERVICE_NAME` and
//! `OTEL_RESOURCE_ATTRIBUTES`, which the exporter and the resource read themselves.
//!
//! **Source:** OpenTelemetry, "Environment Variable Specification" and "OTLP Exporter Configuration".

use tracing::warn;

use crate::config::TraceSettings;

use super::fault::TraceFault;

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const PROTOCOLS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
/// The one that is spoken.
const PROTOCOL: &str = "http/protobuf";
const SAMPLER_ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";

/// The settings of the environment; `None` if it names no collector or disables spans.
///
/// # Errors
/// A variable says what cannot be.
pub(super) fn settings() -> Result<Option<TraceSettings>, TraceFault> {
    #[expect(clippy::disallowed_methods, reason = "OpenTelemetry's own variables are read here")]
    let variable = |name: &str| std::env::var(name).ok();
    read(variable)
}

fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Option<TraceSettings>, TraceFault> {
    // An empty variable counts as unset.
    let said = |name: &str| variable(name).filter(|text| !text.trim().is_empty());
    let is = |name, word: &str| said(name).is_some_and(|text| text.eq_ignore_ascii_case(word));
    if is("OTEL_SDK_DISABLED", "true") || is("OTEL_TRACES_EXPORTER", "none") {
        return Ok(None);
    }
    let (variable, collector) = match (said(TRACES_ENDPOINT), said(ENDPOINT)) {
        (Some(whole), _) => (TRACES_ENDPOINT, whole),
        (None, Some(base)) => (ENDPOINT, base),
        (None, None) => return Ok(None),
    };
    if PROTOCOLS.into_iter().find_map(said).is_some_and(|protocol| protocol != PROTOCOL) {
        warn!(
            variable,
            "no spans are sent: the collector is asked for by another protocol than http/protobuf"
        );
        return Ok(None);
    }
    let settings = TraceSettings::to(&collector);
    let settings = settings.map_err(|problem| TraceFault::Environment { variable, problem })?;
    let endpoint = match variable {
        // That of traces alone is taken as it is.
        TRACES_ENDPOINT => collector.trim().into(),
        _ => settings.endpoint,
    };
    let sample_ratio = match said("OTEL_TRACES_SAMPLER").as_deref() {
        Some("always_off" | "parentbased_always_off") => 0.0,
        Some("traceidratio" | "parentbased_traceidratio") => ratio(said(SAMPLER_ARGUMENT))?,
        Some(_) | None => 1.0,
    };
    Ok(Some(TraceSettings { endpoint, sample_ratio, ..settings }))
}

fn ratio(argument: Option<String>) -> Result<f64, TraceFault> {
    let Some(text) = argument else { return Ok(1.0) };
    let ratio = text.trim().parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
    ratio.ok_or(TraceFault::Environment {
        variable: SAMPLER_ARGUMENT,
        problem: "must be from 0 to 1",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The address and the share, or the fault.
    fn of(variables: &[(&str, &str)]) -> Result<Option<(String, f64)>, String> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let settings = read(variable).map_err(|fault| fault.to_string())?;
        Ok(settings.map(|settings| (settings.endpoint.into(), settings.sample_ratio)))
    }

    #[test]
    fn a_collector_named_by_the_environment_is_sent_all_unless_told_otherwise() {
        let base = (ENDPOINT, "http://collector:4318");
        let to = |address: &str, share| Ok(Some((address.to_owned(), share)));
        let whole = "http://collector:4318/v1/traces";
        assert_eq!(of(&[]), Ok(None));
        assert_eq!(of(&[(ENDPOINT, " ")]), Ok(None));
        assert_eq!(of(&[base]), to(whole, 1.0));
        assert_eq!(of(&[base, (TRACES_ENDPOINT, "http://t:1/own")]), to("http://t:1/own", 1.0));
        let sampler = |word| ("OTEL_TRACES_SAMPLER", word);
        let argument = (SAMPLER_ARGUMENT, "0.25");
        assert_eq!(of(&[base, sampler("always_off")]), to(whole, 0.0));
        assert_eq!(of(&[base, sampler("parentbased_traceidratio"), argument]), to(whole, 0.25));
        assert_eq!(of(&[base, sampler("parentbased_always_on"), argument]), to(whole, 1.0));
        for off in [("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_EXPORTER", "none")] {
            assert_eq!(of(&[base, off]), Ok(None));
        }
        assert_eq!(of(&[base, (PROTOCOLS[1], "grpc")]), Ok(None));
        assert_eq!(of(&[base, (PROTOCOLS[1], "grpc"), (PROTOCOLS[0], PROTOCOL)]), to(whole, 1.0));
    }

    #[test]
    fn what_cannot_be_is_refused_by_the_name_of_its_variable() {
        let fault = of(&[(ENDPOINT, "collector:4317")]).unwrap_err();
        assert!(fault.starts_with("environment variable OTEL_EXPORTER_OTLP_ENDPOINT: must be"));
        let share = ("OTEL_TRACES_SAMPLER", "traceidratio");
        let fault = of(&[(ENDPOINT, "http://c"), share, (SAMPLER_ARGUMENT, "25%")]).unwrap_err();
        assert!(fault.contains("OTEL_TRACES_SAMPLER_ARG: must be from 0 to 1"), "{fault}");
    }
}
