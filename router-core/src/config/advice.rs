//! Warns about settings that work but probably not as intended: settings that need another one.
//!
//! It runs only on a configuration without faults, like `warnings`, which covers dates and vendors'
//! changes. It changes nothing.

use std::sync::Arc;

use crate::chat::Usage;
use crate::deployment::Api;
use crate::deployment::Catalog;
use crate::deployment::Deployment;
use crate::deployment::pricing;
use crate::model::Effort;
use crate::policy::Policy;
use crate::policy::RoleEffort;
use crate::task::Task;
use crate::units::Day;
use crate::units::Tokens;

use super::keys::CallerKey;
use super::raw::Raw;
use super::table::Table;

/// The first api-versions that take a feature. **Source:** Microsoft, "Azure OpenAI API version lifecycle" (2026-03-19),
/// changes between versions.
const TOOLS_SINCE: &str = "2023-12-01";
const STRUCTURED_OUTPUTS_SINCE: &str = "2024-08-01";

/// Value by which prices are compared.
const MILLION: Tokens = Tokens(1_000_000);

/// Writes down every piece of advice.
pub(super) fn check(raw: &Raw, policy: &Policy, catalog: &Catalog, top: &Table<'_>) {
    let all = catalog.deployments();
    for deployment in all {
        let table = top.sub("deployments").sub(deployment.name.as_str());
        old_api_version(deployment, &table);
        same_deployment(deployment, all, &table);
        equal_price(deployment, all, &table);
    }
    chat_effort(policy, catalog, &top.sub("roles").sub("chat"));
    if policy.residency.is_bound() {
        for task in Task::ALL {
            no_spill(task, policy, catalog, &top.sub("roles").sub(task.as_str()));
        }
    }
    if raw.replicas.count.is_some_and(|count| count > 1) && raw.replicas.url.is_none() {
        top.sub("replicas").warn("url", "missing: each router knows only its own requests");
    }
}

/// Budgets and rates that every router of several counts alone.
pub(super) fn keys(raw: &Raw, keys: &[CallerKey], top: &Table<'_>) {
    let several = raw.replicas.count.filter(|count| *count > 1 && raw.replicas.url.is_none());
    let Some(count) = several else { return };
    for key in keys {
        let allowance = &key.allowance;
        let bounds = [
            ("monthly_budget_usd", allowance.monthly_budget.is_some()),
            ("daily_budget_usd", allowance.daily_budget.is_some()),
            ("tokens_per_minute", allowance.tokens_per_minute.is_some()),
            ("requests_per_minute", allowance.requests_per_minute.is_some()),
        ];
        if let Some((bound, _)) = bounds.into_iter().find(|(_, set)| *set) {
            let table = top.sub("keys").sub(key.name.as_str());
            table.warn(
                bound,
                format!("each of {count} routers counts its own: set replicas.url to share it"),
            );
        }
    }
}

/// A dated api-version from before a feature that the model has.
fn old_api_version(deployment: &Deployment, table: &Table<'_>) {
    let Api::AzureDated { version } = &deployment.api else { return };
    let Ok(day) = Day::try_from(version.strip_suffix("-preview").unwrap_or(version)) else {
        return;
    };
    let abilities = &deployment.model.abilities;
    for (feature, there, since) in [
        ("tools", abilities.tools, TOOLS_SINCE),
        ("structured outputs", abilities.structured_outputs, STRUCTURED_OUTPUTS_SINCE),
    ] {
        if there && Day::try_from(since).is_ok_and(|since| day < since) {
            table.warn("api_version", format!("{feature} need {since} or later, found {version}"));
        }
    }
}

/// Two deployments of the configuration that are one at the endpoint: their capacity would be counted twice.
fn same_deployment(deployment: &Deployment, all: &[Arc<Deployment>], table: &Table<'_>) {
    let same = |other: &&Arc<Deployment>| {
        other.endpoint == deployment.endpoint
            && other.azure_deployment == deployment.azure_deployment
            && matches!(other.api, Api::AzureDated { .. } | Api::AzureV1)
    };
    let first = all.iter().find(same).filter(|first| first.name != deployment.name);
    if let Some(first) = first {
        table.warn(
            "azure_deployment",
            format!("{} is also {}'s: give each its own", deployment.azure_deployment, first.name),
        );
    }
}

/// Two pay-as-you-go deployments of a model at one price, of which config prefers none: they share requests.
fn equal_price(deployment: &Deployment, all: &[Arc<Deployment>], table: &Table<'_>) {
    let usage = Usage { prompt: MILLION, completion: MILLION, ..Usage::default() };
    let cost = |one: &Deployment| pricing::marginal_cost(one, &usage);
    let usual = |one: &Deployment| !one.billing.is_provisioned() && one.weight.is_none();
    let equal = |other: &&Arc<Deployment>| {
        other.name < deployment.name
            && other.model.name == deployment.model.name
            && other.order == deployment.order
            && usual(other)
            && cost(other) == cost(deployment)
    };
    let first = all.iter().filter(|_| usual(deployment)).find(equal);
    if let Some(first) = first {
        table.warn(
            "order",
            format!(
                "missing; it costs the same as {}, so they share requests: set order to prefer one, or \
                 weight to set the shares",
                first.name
            ),
        );
    }
}

/// A chat model that reasons unless it is asked not to.
fn chat_effort(policy: &Policy, catalog: &Catalog, table: &Table<'_>) {
    let role = policy.role(Task::Chat);
    if role.effort != RoleEffort::OfModel {
        return;
    }
    for name in &*role.models {
        let record = catalog.models().find(|record| record.name == *name);
        let efforts = record.and_then(|record| record.efforts.as_ref());
        let Some(efforts) = efforts.filter(|efforts| efforts.default != Effort::None) else {
            continue;
        };
        let Some(least) = efforts.accepted.iter().min() else { continue };
        table.warn(
            "effort",
            format!(
                "{name} reasons with effort {} unless asked otherwise; for quick and cheap chat set \
                 \"{least}\"",
                efforts.default
            ),
        );
    }
}

/// A role whose deployments inside the residency are all provisioned: when they are full, requests wait.
fn no_spill(task: Task, policy: &Policy, catalog: &Catalog, table: &Table<'_>) {
    let models = &policy.role(task).models;
    let mut inside = catalog
        .deployments()
        .iter()
        .filter(|one| models.contains(&one.model.name) && policy.residency.allows(one.area))
        .peekable();
    if inside.peek().is_some() && inside.all(|one| one.billing.is_provisioned()) {
        table.warn(
            "models",
            format!(
                "no pay-as-you-go deployment inside {}: when the provisioned ones are full, requests \
                 wait, up to capacity.bound_wait_ms",
                policy.residency
            ),
        );
    }
}
