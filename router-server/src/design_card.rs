//! The configuration that a newcomer meets first: the design card's pair of models, in `design_card.toml`.

use router_core::config::{Config, ConfigFaults};
use router_core::units::Day;

/// An endpoint at which nothing listens, for commands that send nothing.
pub(crate) const NOWHERE: &str = "http://127.0.0.1:9";

const TEXT: &str = include_str!("design_card.toml");

/// The configuration, its endpoint at `url`.
///
/// # Errors
/// The `url` is none; the rest is checked by this file's test.
pub(crate) fn config(url: &str, today: Day) -> Result<Config, ConfigFaults> {
    Config::from_toml(&TEXT.replace(NOWHERE, url), today)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_no_fault_and_takes_the_url() {
        let config = config("http://127.0.0.1:8081", Day::try_from("2026-11-23").unwrap()).unwrap();
        assert_eq!(config.catalog.deployments().len(), 3);
        assert!(
            config.endpoints.values().all(|endpoint| &*endpoint.base == "http://127.0.0.1:8081")
        );
    }
}
