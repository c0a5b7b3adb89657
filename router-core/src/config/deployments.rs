//! The tables `[deployments.NAME]` -> the deployments of the catalog.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use crate::deployment::Api;
use crate::deployment::Area;
use crate::deployment::Billing;
use crate::deployment::Budget;
use crate::deployment::Deployment;
use crate::deployment::Price;
use crate::deployment::Provisioned;
use crate::deployment::ToolPrices;
use crate::model::ModelRecord;
use crate::model::PtuRate;
use crate::units::DeploymentName;
use crate::units::Usd;

use super::endpoints::{Checked, Endpoints, Form, api_version};
use super::fault::Key;
use super::nearest::nearest;
use super::prices::priced;
use super::quota_pools;
use super::raw;
use super::records::{RATIO_RANGE, Records, TPM_RANGE, unknown_model};
use super::service_tiers;
use super::sku::Sku;
use super::table::{Table, listed, quoted};

/// The window of a bucket if config names none. Azure documents none: an assumption, to be tuned by what is observed.
const WINDOW: Duration = Duration::from_secs(10);

/// Tables that deployments refer to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'k> {
    pub(super) endpoints: &'k Endpoints,
    pub(super) records: &'k Records,
    pub(super) models: &'k BTreeMap<String, raw::Model>,
}

/// Checks all of `[deployments]`.
pub(super) fn check(
    raw: &BTreeMap<String, raw::Deployment>,
    known: Known<'_>,
    table: &Table<'_>,
) -> Vec<Deployment> {
    if raw.is_empty() {
        table.fault_here("none; there must be at least one [deployments.NAME]");
    }
    let checked: Vec<Deployment> =
        raw.iter().filter_map(|(name, raw)| one(name, raw, known, &table.sub(name))).collect();
    quota_pools::check(&checked, table);
    checked
}

fn one(
    key: &str,
    raw: &raw::Deployment,
    known: Known<'_>,
    table: &Table<'_>,
) -> Option<Deployment> {
    let name =
        DeploymentName::try_from(key).map_err(|rule| table.fault_here(rule.to_string())).ok();
    let endpoint = endpoint(raw, known.endpoints, table);
    let model = model(raw, known, table);
    let sku = sku(raw, endpoint, table);
    let openai = endpoint.is_some_and(|endpoint| endpoint.form == Form::OpenAi);
    let untyped = raw.sku.is_none() && raw.billing.is_none() && raw.area.is_none();
    if untyped && endpoint.is_some() && !openai {
        let types = listed(Sku::ALL);
        table.fault("sku", format!("missing; must be one of {types}, or set billing and area"));
        return None;
    }
    let area = match sku {
        Some(sku) => area_of(sku, endpoint, table),
        None if raw.sku.is_some() => None,
        None => area(raw, endpoint, table),
    };
    let api = endpoint.and_then(|endpoint| api(raw, endpoint, table));
    let billing = billing(&Priced { raw, sku, model, openai }, table);
    let max_in_flight = table
        .whole("max_in_flight", raw.max_in_flight, 1..=1_000_000)
        .and_then(|most| u32::try_from(most).ok());
    let enabled = raw.enabled.unwrap_or(true);
    if !enabled {
        table.warn("enabled", "it is disabled: nothing is sent to it");
    }
    let order = table.whole("order", raw.order, 1..=1_000).and_then(|order| order.try_into().ok());
    let weight = table.whole("weight", raw.weight, 1..=1_000_000);
    let price = own_price(raw, model, table);
    let azure_deployment = azure_deployment(raw, table);
    let pool = table.rule::<DeploymentName>("quota_pool", raw.quota_pool.as_deref());
    let quota_pool = pool.map(|pool| pool.as_str().into());
    let service_tiers = service_tiers::read(raw.tiers.as_deref(), table);
    let (endpoint, model) = (endpoint?, model?);
    let deployment = Deployment {
        name: name?,
        model: Arc::clone(model),
        billing: billing?,
        area: area?,
        endpoint: endpoint.endpoint.name.clone(),
        azure_deployment: azure_deployment?,
        api: api?,
        max_in_flight,
        enabled,
        order: order.unwrap_or(Deployment::USUAL_ORDER),
        weight: weight.and_then(|weight| weight.try_into().ok()),
        price,
        quota_pool,
        service_tiers,
        service_tier: None,
    };
    service_tiers::priced(&deployment, table);
    Some(deployment)
}

/// Contract prices of its tokens.
fn own_price(raw: &raw::Deployment, model: Option<&Arc<ModelRecord>>, table: &Table<'_>) -> Price {
    let discount = table.number("discount_percent", raw.discount_percent, 0.0..=100.0);
    if raw.discount_percent.is_some() {
        if raw.price.is_some() {
            table.fault("discount_percent", "not together with price, which says it");
        } else if model.is_some_and(|model| model.prices.is_none()) {
            let name = model.map(|model| model.name.to_string()).unwrap_or_default();
            table.fault("discount_percent", format!("{name} has no price to discount: set price"));
        }
    }
    let own = raw.price.as_ref().zip(model);
    // A configured price is the price paid, in a data zone too.
    let own = own.and_then(|(raw, model)| priced(raw, model.abilities, 1.0, &table.sub("price")));
    let tools = tool_prices(raw.tool_price.as_ref(), &table.sub("tool_price"));
    Price { own: own.map(Arc::new), factor: 1.0 - discount.unwrap_or(0.0) / 100.0, tools }
}

/// A dollar.
const PICODOLLARS: u64 = 1_000_000_000_000;

fn tool_prices(raw: Option<&raw::ToolPrices>, table: &Table<'_>) -> ToolPrices {
    let Some(raw) = raw else { return ToolPrices::default() };
    let price = |key: &str, value: Option<f64>| {
        let dollars = table.number(key, value, 0.0..=1_000.0)?;
        Some(Usd::of_picodollars(PICODOLLARS).scaled(dollars))
    };
    ToolPrices {
        web_search: price("web_search_usd", raw.web_search_usd),
        file_search: price("file_search_usd", raw.file_search_usd),
        container: price("container_usd", raw.container_usd),
    }
}

/// The name under which the endpoint knows it: as written, else the model's, which most people give a deployment at Azure
/// and which is its id at OpenAI.
fn azure_deployment(raw: &raw::Deployment, table: &Table<'_>) -> Option<Box<str>> {
    let fits = |name: &str| {
        let letter = |letter: char| letter.is_ascii_alphanumeric() || "-_.:".contains(letter);
        (!name.is_empty() && name.len() <= 128 && name.chars().all(letter)).then(|| name.into())
    };
    let Some(written) = raw.azure_deployment.as_deref() else {
        return raw.model.as_deref().map(Into::into);
    };
    let allowed = "1 to 128 of letters, digits, '-', '_', '.' and ':'";
    table.word("azure_deployment", Some(written), allowed, fits)
}

fn endpoint<'k>(
    raw: &raw::Deployment,
    endpoints: &'k Endpoints,
    table: &Table<'_>,
) -> Option<&'k Checked> {
    let only = endpoints.keys().next().filter(|_| endpoints.len() == 1);
    let name = raw.endpoint.as_deref().or(only.map(String::as_str));
    let name = table.required("endpoint", name, "the name of an endpoint")?;
    let found = endpoints.get(name);
    if found.is_none() {
        let names = nearest(name, endpoints.keys().map(String::as_str));
        table.fault("endpoint", format!("no endpoint {}; {names}", quoted(name)));
    }
    found?.as_ref()
}

fn model<'k>(
    raw: &raw::Deployment,
    known: Known<'k>,
    table: &Table<'_>,
) -> Option<&'k Arc<ModelRecord>> {
    let name = table.required("model", raw.model.as_deref(), "the name of a model")?;
    let found = known.records.get(name);
    if found.is_none() {
        table.fault("model", unknown_model(name, known.models));
    }
    found?.as_ref()
}

/// Azure's deployment type, which stands in place of `billing` and `area`.
fn sku(raw: &raw::Deployment, endpoint: Option<&Checked>, table: &Table<'_>) -> Option<Sku> {
    let word = raw.sku.as_deref()?;
    for (name, given) in [("billing", raw.billing.is_some()), ("area", raw.area.is_some())] {
        if given {
            table.fault(name, "not together with sku, which says it");
        }
    }
    if endpoint.is_some_and(|endpoint| endpoint.form == Form::OpenAi) {
        table.fault("sku", "only at Azure");
        return None;
    }
    if ["globalbatch", "datazonebatch"].contains(&word.to_ascii_lowercase().as_str()) {
        table.fault("sku", format!("{word} serves no requests online"));
        return None;
    }
    let allowed = format!("one of {}", listed(Sku::ALL));
    table.word("sku", Some(word), &allowed, Sku::from_word)
}

/// Area in which a deployment of a type processes, at its endpoint's region.
fn area_of(sku: Sku, endpoint: Option<&Checked>, table: &Table<'_>) -> Option<Area> {
    let endpoint = endpoint?;
    let area = sku.area(endpoint.region);
    if let Err(fault) = area {
        let other = Key::from(vec!["endpoints".into(), endpoint.endpoint.name.to_string()]);
        table.fault("sku", format!("{sku} {fault}; see {}", other.child("region")));
    }
    area.ok()
}

/// Configured area; for OpenAI's own hosts never narrower than the host warrants.
fn area(raw: &raw::Deployment, endpoint: Option<&Checked>, table: &Table<'_>) -> Option<Area> {
    let said = table.rule::<Area>("area", raw.area.as_deref());
    let bound = endpoint.and_then(|endpoint| endpoint.bound);
    match (said, bound) {
        (None, Some(bound)) if raw.area.is_none() => Some(bound),
        (Some(said), Some(bound)) if !bound.lies_inside(said) => {
            table.fault(
                "area",
                format!("the endpoint's host processes in {bound}, which does not lie in {said}"),
            );
            None
        }
        (None, _) => {
            // An endpoint with a fault of its own may yet turn out to need none.
            if raw.area.is_none() && endpoint.is_some_and(|endpoint| endpoint.bound.is_none()) {
                table.fault(
                    "area",
                    "missing; must be where it processes: global, zone:eu, geo:kr or region:koreacentral",
                );
            }
            None
        }
        (said, _) => said,
    }
}

fn api(raw: &raw::Deployment, endpoint: &Checked, table: &Table<'_>) -> Option<Api> {
    let own = api_version(raw.api_version.as_deref(), Some(endpoint.form), table);
    match endpoint.form {
        Form::AzureV1 => Some(Api::AzureV1),
        Form::OpenAi => Some(Api::OpenAi),
        Form::Azure => {
            let version = own.or_else(|| endpoint.api_version.clone());
            if version.is_none() && raw.api_version.is_none() {
                let other = Key::from(vec!["endpoints".into(), endpoint.endpoint.name.to_string()]);
                table.fault(
                    "api_version",
                    format!("missing; must be here or in {}", other.child("api_version")),
                );
            }
            version.map(|version| Api::AzureDated { version })
        }
    }
}

/// The parts that determine the billing of a deployment.
struct Priced<'k> {
    raw: &'k raw::Deployment,
    sku: Option<Sku>,
    model: Option<&'k Arc<ModelRecord>>,
    /// OpenAI's own API, which sells by the token only.
    openai: bool,
}

/// True if it is provisioned, by its type or by its own word.
fn is_provisioned(priced: &Priced<'_>, table: &Table<'_>) -> Option<bool> {
    let raw = priced.raw;
    if raw.sku.is_some() {
        return priced.sku.map(Sku::is_provisioned);
    }
    if priced.openai && raw.billing.is_none() {
        return Some(false);
    }
    let allowed = "provisioned or pay_as_you_go";
    let word = table.required("billing", raw.billing.as_deref(), allowed);
    table.word("billing", word, allowed, |word| match word {
        "provisioned" => Some(true),
        "pay_as_you_go" => Some(false),
        _ => None,
    })
}

fn billing(priced: &Priced<'_>, table: &Table<'_>) -> Option<Billing> {
    let provisioned = is_provisioned(priced, table)?;
    let (raw, model) = (priced.raw, priced.model);
    let whole = |name: &str, value: Option<i64>, range: RangeInclusive<i64>| {
        table.whole(name, value, range)
    };
    let misplaced = |other: &str, given: &[(&str, bool)]| {
        for (name, _) in given.iter().filter(|(_, given)| *given) {
            table.fault(name, format!("only with billing = \"{other}\""));
        }
    };
    if provisioned {
        misplaced(
            "pay_as_you_go",
            &[
                ("requests_per_minute", raw.requests_per_minute.is_some()),
                ("tokens_per_minute", raw.tokens_per_minute.is_some()),
                ("price", raw.price.is_some()),
                ("discount_percent", raw.discount_percent.is_some()),
                ("tiers", raw.tiers.is_some()),
                ("quota_pool", raw.quota_pool.is_some()),
            ],
        );
        return size(raw, model, table).map(Billing::Provisioned);
    }
    misplaced(
        "provisioned",
        &[
            ("ptu", raw.ptu.is_some()),
            ("input_tpm_per_ptu", raw.input_tpm_per_ptu.is_some()),
            ("output_ratio", raw.output_ratio.is_some()),
            ("window_ms", raw.window_ms.is_some()),
            ("usd_per_ptu_hour", raw.usd_per_ptu_hour.is_some()),
            ("usd_per_ptu_month", raw.usd_per_ptu_month.is_some()),
        ],
    );
    let most = 1_000_000_000_000;
    Some(Billing::PayAsYouGo(Budget {
        requests_per_minute: whole("requests_per_minute", raw.requests_per_minute, 1..=most),
        tokens_per_minute: whole("tokens_per_minute", raw.tokens_per_minute, 1..=most),
    }))
}

/// Hours of a month, as Azure counts them for prices.
const HOURS_OF_MONTH: f64 = 730.0;

/// Hourly price of all PTUs.
fn usd_per_hour(raw: &raw::Deployment, ptu: Option<u32>, table: &Table<'_>) -> Option<Usd> {
    if raw.usd_per_ptu_hour.is_some() && raw.usd_per_ptu_month.is_some() {
        table.warn("usd_per_ptu_month", "not used: usd_per_ptu_hour is set");
    }
    let hour = table.number("usd_per_ptu_hour", raw.usd_per_ptu_hour, 0.0..=1_000.0);
    let month = table.number("usd_per_ptu_month", raw.usd_per_ptu_month, 0.0..=1_000_000.0);
    let each = hour.or(month.map(|month| month / HOURS_OF_MONTH))?;
    Usd::of_dollars(each * f64::from(ptu?))
}

fn size(
    raw: &raw::Deployment,
    model: Option<&Arc<ModelRecord>>,
    table: &Table<'_>,
) -> Option<Provisioned> {
    // The most that one deployment may have, by Microsoft's page of quotas and limits.
    let ptu = table
        .required("ptu", raw.ptu, "its size in provisioned throughput units")
        .and_then(|ptu| table.whole("ptu", Some(ptu), 1..=100_000))
        .and_then(|ptu| u32::try_from(ptu).ok());
    let known = model.and_then(|model| model.ptu);
    let tpm = table.number("input_tpm_per_ptu", raw.input_tpm_per_ptu, TPM_RANGE);
    let ratio = table.number("output_ratio", raw.output_ratio, RATIO_RANGE);
    if let (Some(model), None) = (model, known) {
        let at = Key::from(vec!["models".into(), model.name.to_string(), "ptu".into()]);
        for (name, missing) in [
            ("input_tpm_per_ptu", raw.input_tpm_per_ptu.is_none()),
            ("output_ratio", raw.output_ratio.is_none()),
        ] {
            if missing {
                table.fault(
                    name,
                    format!(
                        "missing; no figure for {} on PTU is known: give it here or in {}",
                        model.name,
                        at.child(name)
                    ),
                );
            }
        }
    }
    let window = table.milliseconds("window_ms", raw.window_ms, 100).unwrap_or(WINDOW);
    let rate = PtuRate {
        input_tpm_per_ptu: tpm.or(known.map(|rate| rate.input_tpm_per_ptu))?,
        output_ratio: ratio.or(known.map(|rate| rate.output_ratio))?,
        sizes: known.and_then(|rate| rate.sizes),
    };
    let usd_per_hour = usd_per_hour(raw, ptu, table);
    Some(Provisioned { ptu: f64::from(ptu?), rate: Some(rate), window, usd_per_hour })
}
