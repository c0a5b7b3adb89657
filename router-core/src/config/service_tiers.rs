//! The key `tiers` of a deployment -> the service tiers in which the router may ask for it.
//!
//! A tier without a price is a fault, so that no request is sent in a tier whose cost is unknown. A tier that Azure is not
//! known to offer for the model is only a warning, because offers grow faster than records.

use crate::deployment::Api;
use crate::deployment::Area;
use crate::deployment::Deployment;
use crate::model::ServiceTier;

use super::fault::Key;
use super::table::{Table, listed};

const NAME: &str = "tiers";

/// The tiers of that list, in its order.
pub(super) fn read(words: Option<&[String]>, table: &Table<'_>) -> Vec<ServiceTier> {
    let Some(words) = words else { return Vec::new() };
    if words.is_empty() {
        table.fault(NAME, "must list at least one of default, priority and flex");
    }
    let mut tiers = Vec::new();
    for word in words {
        let allowed = "a list of default, priority and flex";
        match table.word(NAME, Some(word), allowed, ServiceTier::from_word) {
            Some(tier) if tiers.contains(&tier) => {
                table.fault(NAME, format!("lists {word} twice"));
            }
            Some(tier) => tiers.push(tier),
            None => {}
        }
    }
    tiers
}

/// Every tier but the standard one must have a price.
pub(super) fn priced(deployment: &Deployment, table: &Table<'_>) {
    let special = deployment.service_tiers.iter().filter(|tier| tier.is_special());
    for tier in special {
        if deployment.prices().and_then(|prices| prices.rates(*tier)).is_none() {
            let (model, word) = (&deployment.model.name, tier.as_str());
            let at = match deployment.price.own {
                Some(_) => Key::from(vec!["deployments".into(), deployment.name.to_string()])
                    .child("price"),
                None => Key::from(vec!["models".into(), model.to_string()])
                    .child("usd_per_million_tokens"),
            };
            let at = at.child(word);
            table.fault(NAME, format!("no price of {model} in {word} is known: give it in {at}"));
        }
    }
}

/// Tiers that Azure is not known to offer for the model or the place.
///
/// **Source:** Microsoft, "Priority processing" and "Flex processing" (2026-09-24): priority on Global Standard and in the US
/// data zone, flex on Global Standard.
pub(super) fn warn(deployment: &Deployment, table: &Table<'_>) {
    if deployment.api == Api::OpenAi {
        return;
    }
    for tier in deployment.service_tiers.iter().filter(|tier| tier.is_special()) {
        let (model, word) = (&deployment.model, tier.as_str());
        let areas: &[Area] = match tier {
            ServiceTier::Priority => &[Area::Global, Area::Zone("us")],
            ServiceTier::Flex | ServiceTier::Standard | ServiceTier::Batch | ServiceTier::Other => {
                &[Area::Global]
            }
        };
        if !model.azure_tiers.contains(tier) {
            table.warn(
                NAME,
                format!("{} is not known to be offered in {word} at Azure", model.name),
            );
        } else if !areas.contains(&deployment.area) {
            let known = listed(areas);
            table.warn(NAME, format!("{word} is offered in {known}, found {}", deployment.area));
        }
    }
}
