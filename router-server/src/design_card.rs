//! The configurations that a newcomer meets first: a pair of models that is sold today, and the design card's.

use router_core::config::ConfigFaults;
use router_core::units::Day;

use crate::config::Config;

/// An endpoint at which nothing listens, for commands that send nothing.
pub(crate) const NOWHERE: &str = "http://127.0.0.1:9";

#[cfg(any(test, feature = "lab"))]
const TEXT: &str = include_str!("design_card.toml");
const SOLD_TODAY: &str = include_str!("sold_today.toml");

/// The configuration, its endpoint at `url`.
///
/// # Errors
/// The `url` is none; the rest is checked by this file's test.
#[cfg(any(test, feature = "lab"))]
pub(crate) fn config(url: &str, today: Day) -> Result<Config, ConfigFaults> {
    Config::from_toml(&TEXT.replace(NOWHERE, url), today)
}

/// The same of the pair that is sold today.
///
/// # Errors
/// The `url` is none; the rest is checked by this file's test.
pub(crate) fn sold_today(url: &str, today: Day) -> Result<Config, ConfigFaults> {
    Config::from_toml(&SOLD_TODAY.replace(NOWHERE, url), today)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pair_that_is_sold_today_has_one_warning() {
        let day = Day::try_from("2026-11-23").unwrap();
        let config = sold_today("http://127.0.0.1:8081", day).unwrap();
        // Its reasoning model is paid by the token, which `check` says.
        let warned: Vec<_> = config.router.warnings.iter().map(ToString::to_string).collect();
        assert!(
            matches!(&warned[..], [one] if one.contains("roles.reasoning.models")),
            "{warned:?}"
        );
        assert_eq!(config.router.catalog.deployments().len(), 3);
    }

    #[test]
    fn it_has_no_fault_and_takes_the_url() {
        let config = config("http://127.0.0.1:8081", Day::try_from("2026-11-23").unwrap()).unwrap();
        assert_eq!(config.router.catalog.deployments().len(), 3);
        assert!(
            config
                .router
                .endpoints
                .values()
                .all(|endpoint| &*endpoint.base == "http://127.0.0.1:8081")
        );
    }
}
