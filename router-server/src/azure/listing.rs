//! Reads what `az cognitiveservices account deployment list` and `account show` print, as JSON.
//!
//! Only what a configuration needs is kept. Subscription, resource group, and who created or changed what are not.
//!
//! **Source:** Azure REST API, Microsoft.CognitiveServices 2024-10-01, `Deployments - List` and `Accounts - Get`; the command
//! line prints the same objects, the first as a bare list.

use router_core::config::Sku;
use serde::Deserialize;
use serde_json::Value;

/// An Azure OpenAI or Azure AI Services resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    /// Its name.
    pub(crate) name: String,
    /// Its region; `None` if it is not known.
    pub(crate) region: Option<String>,
    /// Address of the resource's API.
    pub(crate) url: String,
    /// True if it refuses keys.
    pub(crate) without_keys: bool,
    /// True if name and address were guessed from a deployment's id.
    pub(crate) assumed: bool,
}

/// A deployment of a resource.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Listed {
    /// The resource's name.
    pub(crate) account: String,
    /// Its name at Azure.
    pub(crate) name: String,
    /// Its model's name, as Azure writes it.
    pub(crate) model: String,
    /// Its model's version.
    pub(crate) version: Option<String>,
    /// Its type, as Azure writes it.
    pub(crate) sku: String,
    /// Its size in units of its type.
    pub(crate) capacity: Option<i64>,
    /// Its quota of requests.
    pub(crate) requests_per_minute: Option<i64>,
    /// Its quota of tokens.
    pub(crate) tokens_per_minute: Option<i64>,
    /// True unless it is being made, is being changed or has failed.
    pub(crate) ready: bool,
    /// The deployment that takes what it refuses.
    pub(crate) spills_to: Option<String>,
}

impl Listed {
    /// Its type, if it is one that serves requests online.
    pub(crate) fn sku(&self) -> Option<Sku> {
        Sku::from_word(&self.sku)
    }
}

/// All that was read.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Listing {
    /// The resources, in the order read.
    pub(crate) accounts: Vec<Account>,
    /// The deployments, in the order read.
    pub(crate) deployments: Vec<Listed>,
}

/// The reason why a text is not such a listing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListingFault {
    /// The text is not JSON.
    #[error("line {line}, column {column}: no JSON; add -o json to the az command")]
    NoJson {
        /// Position at which it stops being JSON.
        line: usize,
        /// The same.
        column: usize,
    },
    /// It lists something else.
    #[error(
        "neither a deployment nor a resource; expected the output of `az cognitiveservices account deployment list -o json` \
         or `account show -o json`"
    )]
    SomethingElse,
}

/// The parts of either object that matter.
#[derive(Debug, Deserialize)]
struct Resource {
    #[serde(default)]
    id: String,
    name: String,
    #[serde(default)]
    location: Option<String>,
    #[serde(default)]
    sku: Option<SkuPart>,
    properties: Properties,
}

#[derive(Debug, Deserialize)]
struct SkuPart {
    #[serde(default)]
    name: String,
    #[serde(default)]
    capacity: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Properties {
    #[serde(default)]
    model: Option<ModelPart>,
    #[serde(default)]
    provisioning_state: Option<String>,
    #[serde(default)]
    rate_limits: Option<Vec<RateLimit>>,
    #[serde(default)]
    spillover_deployment_name: Option<String>,
    #[serde(default)]
    endpoint: Option<String>,
    #[serde(default)]
    endpoints: Option<Value>,
    #[serde(default)]
    disable_local_auth: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct ModelPart {
    name: String,
    #[serde(default)]
    version: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RateLimit {
    #[serde(default)]
    key: String,
    #[serde(default)]
    count: f64,
    #[serde(default)]
    renewal_period: f64,
}

impl Listing {
    /// Adds what a text lists: one object, a list of them, or a list under `value`.
    ///
    /// # Errors
    /// The text is not JSON, or lists something else.
    pub(crate) fn add(&mut self, text: &str) -> Result<(), ListingFault> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let document: Value = serde_json::from_str(text)
            .map_err(|fault| ListingFault::NoJson { line: fault.line(), column: fault.column() })?;
        let items = match document {
            Value::Array(items) => items,
            Value::Object(mut object) => match object.remove("value") {
                Some(Value::Array(items)) => items,
                Some(_) | None => vec![Value::Object(object)],
            },
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                return Err(ListingFault::SomethingElse);
            }
        };
        for item in items {
            let resource: Resource =
                serde_json::from_value(item).map_err(|_| ListingFault::SomethingElse)?;
            self.take(resource)?;
        }
        Ok(())
    }

    fn take(&mut self, resource: Resource) -> Result<(), ListingFault> {
        if resource.properties.model.is_some() {
            self.deployments.extend(deployment(resource));
            return Ok(());
        }
        let account = account(resource).ok_or(ListingFault::SomethingElse)?;
        self.accounts.retain(|known| known.name != account.name);
        self.accounts.push(account);
        Ok(())
    }

    /// Adds a guess for each resource that only deployments name.
    pub(crate) fn complete(&mut self) {
        for deployment in &self.deployments {
            if self.accounts.iter().any(|account| account.name == deployment.account) {
                continue;
            }
            self.accounts.push(Account {
                name: deployment.account.clone(),
                region: None,
                url: format!("https://{}.openai.azure.com", deployment.account),
                without_keys: false,
                assumed: true,
            });
        }
    }
}

fn account(resource: Resource) -> Option<Account> {
    const MODELS: &str = "OpenAI Language Model Instance API";
    let properties = resource.properties;
    let named = properties.endpoints.as_ref().and_then(|all| all.get(MODELS)?.as_str());
    let url = named.or(properties.endpoint.as_deref())?.trim_end_matches('/').to_owned();
    Some(Account {
        name: resource.name,
        region: resource.location.map(|location| location.replace(' ', "").to_lowercase()),
        url,
        without_keys: properties.disable_local_auth == Some(true),
        assumed: false,
    })
}

fn deployment(resource: Resource) -> Option<Listed> {
    let properties = resource.properties;
    let model = properties.model?;
    let limits = properties.rate_limits.unwrap_or_default();
    let per_minute = |key: &str| {
        let limit = limits.iter().find(|limit| limit.key == key && limit.renewal_period > 0.0)?;
        whole(limit.count * 60.0 / limit.renewal_period)
    };
    let sku = resource.sku;
    Some(Listed {
        account: account_of(&resource.id).unwrap_or("azure").to_owned(),
        name: resource.name,
        model: model.name,
        version: model.version.filter(|version| !version.is_empty()),
        capacity: sku.as_ref().and_then(|sku| sku.capacity),
        sku: sku.map(|sku| sku.name).unwrap_or_default(),
        requests_per_minute: per_minute("request"),
        tokens_per_minute: per_minute("token"),
        ready: properties.provisioning_state.is_none_or(|state| state == "Succeeded"),
        spills_to: properties.spillover_deployment_name.filter(|name| !name.is_empty()),
    })
}

/// The resource's name in the id of one of its deployments.
fn account_of(id: &str) -> Option<&str> {
    let mut parts = id.split('/');
    parts.find(|part| part.eq_ignore_ascii_case("accounts"))?;
    parts.next()
}

/// A count as a whole number; `None` if it is none or absurd.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
fn whole(count: f64) -> Option<i64> {
    (1.0..=1e12).contains(&count).then(|| count.round() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_are_counted_by_the_minute() {
        let mut listing = Listing::default();
        let text = r#"{"value": [{"id": "/subscriptions/x/resourceGroups/y/providers/Microsoft.CognitiveServices/accounts/contoso/deployments/d",
            "name": "d", "sku": {"name": "GlobalStandard", "capacity": 50}, "properties": {"model": {"name": "gpt-4o"},
            "rateLimits": [{"key": "request", "renewalPeriod": 10.0, "count": 50.0}, {"key": "token", "renewalPeriod": 60.0, "count": 50000.0}]}}]}"#;
        listing.add(text).unwrap();
        let found = listing.deployments.first().unwrap();
        assert_eq!((&*found.account, found.sku()), ("contoso", Some(Sku::GlobalStandard)));
        assert_eq!(found.requests_per_minute, Some(300));
        assert_eq!(found.tokens_per_minute, Some(50_000));
        listing.complete();
        let account = listing.accounts.first().unwrap();
        assert_eq!((&*account.url, account.assumed), ("https://contoso.openai.azure.com", true));
    }

    #[test]
    fn what_is_no_listing_is_refused() {
        let fault = |text: &str| Listing::default().add(text).unwrap_err();
        assert_eq!(fault("Name  Model\n"), ListingFault::NoJson { line: 1, column: 1 });
        for text in ["3", "[1]", r#"{"name": "vm", "properties": {}}"#] {
            assert_eq!(fault(text), ListingFault::SomethingElse, "{text}");
        }
    }
}
