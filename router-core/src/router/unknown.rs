//! Finds where a stored object can be that this router does not know, for example after a restart.
//!
//! Without keys, or with `stored.unknown = "ask"`, such a call goes to the endpoint that can have
//! the object, if the caller's rights and residency leave exactly one. If several remain, only a
//! read asks them in turn: any other operation could act on the wrong object.
//!
//! Not done here: known objects (`stored`), and asking other replicas (`owners.rs`).

use std::sync::Arc;

use crate::decision::Rules;
use crate::decision::residency_of;
use crate::deployment::Deployment;
use crate::policy::Hints;
use crate::policy::Rights;

/// One deployment of each endpoint at which the caller may use one that serves the Responses API.
pub(super) fn places(rules: &Rules, rights: &Rights, hints: &Hints) -> Vec<Arc<Deployment>> {
    places_of(rules, rights, hints, |deployment| {
        deployment.model.abilities.responses && deployment.api.serves_responses()
    })
}

/// One deployment of each endpoint at which the caller may use one that `serves`.
pub(super) fn places_of(
    rules: &Rules,
    rights: &Rights,
    hints: &Hints,
    serves: impl Fn(&Deployment) -> bool,
) -> Vec<Arc<Deployment>> {
    let residency = residency_of(&rules.policy, rights, hints);
    let mut places: Vec<Arc<Deployment>> = Vec::new();
    for deployment in rules.catalog.deployments() {
        let may =
            deployment.enabled && rights.allow(deployment) && residency.allows(deployment.area);
        let known = places.iter().any(|place| place.endpoint == deployment.endpoint);
        if may && !known && serves(deployment) {
            places.push(Arc::clone(deployment));
        }
    }
    places
}
