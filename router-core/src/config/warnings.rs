//! Warns about what is allowed but needs attention: retirements, sizes that are not sold, roles
//! without capacity of their own.
//!
//! It runs only on a configuration without faults, and changes nothing.

use crate::deployment::Api;
use crate::deployment::Area;
use crate::deployment::Billing;
use crate::deployment::Catalog;
use crate::deployment::Deployment;
use crate::policy::Policy;
use crate::task::Task;
use crate::units::Day;

use super::keys::CallerKey;
use super::raw::Raw;
use super::service_tiers;
use super::table::Table;

/// Days before a model's retirement from which it is warned about.
const NOTICE_DAYS: i64 = 30;

/// Writes down every warning.
pub(super) fn check(raw: &Raw, policy: &Policy, catalog: &Catalog, today: Day, top: &Table<'_>) {
    for deployment in catalog.deployments() {
        let table = top.sub("deployments").sub(deployment.name.as_str());
        retirement(deployment, policy, today, &table);
        size(deployment, &table);
        api_version(deployment, &table);
        service_tiers::warn(deployment, &table);
    }
    for task in Task::ALL {
        role(task, policy, catalog, &top.sub("roles").sub(task.as_str()));
    }
    for name in raw.endpoints.keys() {
        let used = |deployment: &Deployment| deployment.endpoint.as_str() == name;
        if !catalog.deployments().iter().any(|deployment| used(deployment)) {
            top.sub("endpoints").warn(name, "no deployment uses it");
        }
    }
}

/// Warnings about keys.
pub(super) fn keys(keys: &[CallerKey], catalog: &Catalog, today: Day, top: &Table<'_>) {
    if !keys.is_empty() && !keys.iter().any(|key| key.operator && key.enabled) {
        top.warn("keys", "none has operator = true: nobody may see /metrics, /v1/route and /");
    }
    for key in keys {
        let table = top.sub("keys").sub(key.name.as_str());
        if let Some(day) = key.expires.filter(|day| key.enabled && *day < today) {
            table.warn("expires", format!("{day} is over: it is not accepted"));
        }
        let usable = |deployment: &Deployment| {
            let bound = key.rights.residency;
            key.rights.allow(deployment)
                && bound.is_none_or(|bound| deployment.area.lies_inside(bound))
        };
        let mut usable = catalog.deployments().iter().filter(|found| usable(found)).peekable();
        if usable.peek().is_none() {
            table.warn_here("no deployment is inside models, deployments and residency together");
        }
        let budget = key.allowance.daily_budget.or(key.allowance.monthly_budget);
        for deployment in usable.filter(|_| budget.is_some()) {
            if deployment.prices().is_none() && !deployment.billing.is_provisioned() {
                let name = &deployment.name;
                table.warn_here(format!(
                    "{name} has no price: its answers count nothing in the budget"
                ));
            }
        }
    }
}

fn retirement(deployment: &Deployment, policy: &Policy, today: Day, table: &Table<'_>) {
    let Some(day) = deployment.model.retires else { return };
    let left = day.days_since(today);
    if left > NOTICE_DAYS {
        return;
    }
    let name = &deployment.model.name;
    let next = match &deployment.model.successor {
        Some(next) => format!("; its successor is {next}"),
        None => String::new(),
    };
    let what = match left {
        1.. => format!("{name} is due to retire on {day}, in {left} days{next}"),
        0 => format!("{name} is due to retire today, {day}{next}"),
        _ if policy.exclude_retired => {
            format!("{name} was due to retire on {day}: left out by routing.exclude_retired{next}")
        }
        _ => format!("{name} was due to retire on {day}{next}"),
    };
    table.warn("model", what);
}

fn size(deployment: &Deployment, table: &Table<'_>) {
    let Billing::Provisioned(provisioned) = &deployment.billing else { return };
    let Some(sizes) = provisioned.rate.and_then(|rate| rate.sizes) else { return };
    let size = match deployment.area {
        Area::Global | Area::Zone(_) => sizes.global,
        Area::Geography(_) | Area::Region(_) => sizes.regional,
    };
    if !size.sells(provisioned.ptu) {
        table.warn(
            "ptu",
            format!(
                "{} in {} is sold from {} PTU in steps of {}, found {}",
                deployment.model.name, deployment.area, size.min, size.step, provisioned.ptu
            ),
        );
    }
}

fn api_version(deployment: &Deployment, table: &Table<'_>) {
    let (Api::AzureDated { version }, Some(oldest)) =
        (&deployment.api, deployment.model.oldest_api_version)
    else {
        return;
    };
    let day = version.strip_suffix("-preview").unwrap_or(version);
    if Day::try_from(day).is_ok_and(|day| day < oldest) {
        table.warn(
            "api_version",
            format!("{} asks for {oldest} or later, found {version}", deployment.model.name),
        );
    }
}

fn role(task: Task, policy: &Policy, catalog: &Catalog, table: &Table<'_>) {
    let all = catalog.deployments();
    let some_provisioned = all.iter().any(|deployment| deployment.billing.is_provisioned());
    let of_role: Vec<_> = all
        .iter()
        .filter(|deployment| policy.role(task).models.contains(&deployment.model.name))
        .collect();
    for model in &*policy.role(task).models {
        let mut records = of_role.iter().map(|deployment| &deployment.model);
        if records.any(|record| record.name == *model && !record.abilities.chat_completions) {
            table.warn("models", format!("{model} does not answer chat completions"));
        }
    }
    if some_provisioned && !of_role.iter().any(|deployment| deployment.billing.is_provisioned()) {
        table
            .warn("models", "none has a provisioned deployment: each request is paid by the token");
    }
    if !of_role.iter().any(|deployment| policy.residency.allows(deployment.area)) {
        table.warn(
            "models",
            format!("none has a deployment inside routing.residency, {}", policy.residency),
        );
    }
}
