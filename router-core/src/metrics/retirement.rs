//! When the deployments' models are due to retire: a fixed figure each, by which an alarm can tell how long is left.

use prometheus::{GaugeVec, Opts, Registry};

use crate::deployment::Catalog;
use crate::units::Day;

use super::recorder::NAMESPACE;

/// Makes the days known to a registry, as seconds since 1970; a model without a day has no line.
///
/// # Errors
/// The registry holds the name already.
pub(crate) fn register(registry: &Registry, catalog: &Catalog) -> Result<(), prometheus::Error> {
    let options = Opts::new(
        "model_retires_timestamp_seconds",
        "When the model of a deployment is due to retire, in seconds since 1970.",
    );
    let gauge = GaugeVec::new(options.namespace(NAMESPACE), &["deployment"])?;
    for deployment in catalog.deployments() {
        if let Some(seconds) = deployment.model.retires.and_then(unix_seconds) {
            gauge.with_label_values(&[deployment.name.as_str()]).set(seconds);
        }
    }
    registry.register(Box::new(gauge))
}

fn unix_seconds(day: Day) -> Option<f64> {
    let days = day.days_since(Day::try_from("1970-01-01").ok()?);
    i32::try_from(days).ok().map(|days| f64::from(days) * 86_400.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_its_first_second() {
        let day = Day::try_from("2026-11-19").unwrap();
        assert_eq!(unix_seconds(day), Some(1_795_046_400.0));
    }
}
