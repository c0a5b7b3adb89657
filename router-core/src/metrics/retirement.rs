//! Retirement dates of the deployments' models, as fixed gauges for alerts.

use crate::deployment::Deployment;
use crate::units::Day;

/// The day as seconds since 1970; `None` for a model without a day.
pub(super) fn of(deployment: &Deployment) -> Option<f64> {
    deployment.model.retires.and_then(unix_seconds)
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
