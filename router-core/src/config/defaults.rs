//! `[deployments.defaults]`: values for every deployment that does not set them itself.
//!
//! It merges texts as written and checks nothing: a value out of range is reported for each deployment that inherits it.

use serde::Deserialize;
use toml::{Table, Value};

use super::raw;
use super::raw::Raw;

/// The table of defaults, which is not a deployment.
const NAME: &str = "defaults";
/// Billing and area of a deployment: given by its type, or by the other two keys.
const TYPE: &str = "sku";
const APART: [&str; 2] = ["billing", "area"];

/// The configuration with every deployment filled in, and without the table of defaults.
pub(super) fn filled(raw: &Raw) -> Raw {
    let mut raw = raw.clone();
    let Some(defaults) = raw.deployments.remove(NAME) else { return raw };
    let Ok(defaults) = Table::try_from(&defaults) else { return raw };
    for deployment in raw.deployments.values_mut() {
        if let Some(merged) = merged(deployment, &defaults) {
            *deployment = merged;
        }
    }
    raw
}

/// `None` if the values cannot be written as TOML.
fn merged(own: &raw::Deployment, defaults: &Table) -> Option<raw::Deployment> {
    let own = Table::try_from(own).ok()?;
    let mut all = defaults.clone();
    if own.contains_key(TYPE) {
        for key in APART {
            all.remove(key);
        }
    } else if APART.iter().any(|key| own.contains_key(*key)) {
        all.remove(TYPE);
    }
    all.extend(own);
    raw::Deployment::deserialize(Value::Table(all)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment(change: impl FnOnce(&mut raw::Deployment)) -> raw::Deployment {
        let mut deployment = raw::Deployment::default();
        change(&mut deployment);
        deployment
    }

    #[test]
    fn what_a_deployment_says_itself_wins() {
        let mut raw = Raw::default();
        let defaults = deployment(|one| {
            one.endpoint = Some("seoul".into());
            one.sku = Some("GlobalStandard".into());
            one.max_in_flight = Some(8);
        });
        let own = deployment(|one| {
            one.billing = Some("provisioned".into());
            one.max_in_flight = Some(64);
        });
        raw.deployments.insert("defaults".into(), defaults);
        raw.deployments.insert("own".into(), own);
        raw.deployments.insert("bare".into(), raw::Deployment::default());
        let filled = filled(&raw);
        assert_eq!(filled.deployments.len(), 2, "the defaults are no deployment");
        let (own, bare) = (&filled.deployments["own"], &filled.deployments["bare"]);
        assert_eq!(own.max_in_flight, Some(64));
        assert_eq!(own.endpoint.as_deref(), Some("seoul"));
        assert_eq!(own.sku, None, "its own billing replaces the type");
        assert_eq!(bare.sku.as_deref(), Some("GlobalStandard"));
    }
}
