//! The immutable list of deployments and the records of their models.
//!
//! A new configuration creates a new catalog. Changing state (capacity, waits, faults) is in
//! `state`, under the deployment's name.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::model::ModelRecord;
use crate::model::Prices;
use crate::model::PtuRate;
use crate::model::ServiceTier;
use crate::units::DeploymentName;
use crate::units::ModelName;
use crate::units::Usd;

use super::residency::Area;

/// A model deployment at an endpoint.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Deployment {
    /// Our name for it: the key in config.
    pub name: DeploymentName,
    /// The record of the model it serves.
    pub model: Arc<ModelRecord>,
    /// Its billing.
    pub billing: Billing,
    /// The area in which it processes requests.
    pub area: Area,
    /// The endpoint at which it lies.
    pub endpoint: EndpointName,
    /// The name by which the endpoint knows it: Azure's deployment name, or the model id at OpenAI.
    pub azure_deployment: Box<str>,
    /// The form of its URLs.
    pub api: Api,
    /// The maximum number of concurrent requests; `None` for no bound.
    pub max_in_flight: Option<u32>,
    /// False if config has switched it off: nothing is sent to it.
    pub enabled: bool,
    /// Its tier: a higher one is tried once no deployment of a lower one can serve the request.
    pub order: u32,
    /// Its share of requests among equals of its tier; `None` for what its size suggests.
    pub weight: Option<u32>,
    /// Token prices that replace those of the model's record.
    pub price: Price,
    /// The quota that it shares with other deployments; `None` for one of its own.
    pub quota_pool: Option<Box<str>>,
    /// The service tiers in which the router may ask for it; empty if the caller's own `service_tier` goes on unchanged.
    pub service_tiers: Vec<ServiceTier>,
    /// The service tier of this entry of a plan; `None` if the deployment lists no tiers.
    pub service_tier: Option<ServiceTier>,
}

impl Deployment {
    /// The tier of deployments without `order`.
    pub(crate) const USUAL_ORDER: u32 = 1;

    /// Its share of requests among equals: its weight, else its PTUs, else 1.
    pub fn share(&self) -> f64 {
        match (self.weight, &self.billing) {
            (Some(weight), _) => f64::from(weight),
            (None, Billing::Provisioned(provisioned)) => provisioned.ptu.max(1e-6),
            (None, Billing::PayAsYouGo(_)) => 1.0,
        }
    }

    /// The prices of its tokens before its discount; `None` if they are not known.
    pub fn prices(&self) -> Option<&Prices> {
        self.price.own.as_deref().or(self.model.prices.as_ref())
    }

    /// The service tier in which it is asked, as far as the router chooses it.
    pub fn tier(&self) -> ServiceTier {
        self.service_tier.unwrap_or_default()
    }

    /// True of pay-as-you-go in the standard tier: after a 429 a request may be held for it, as its waits are short. Another tier
    /// that is throttled has the standard one to stand in.
    pub(crate) fn is_held_for(&self) -> bool {
        !self.billing.is_provisioned() && !self.tier().is_special()
    }

    /// Its name, followed by the service tier if that is not the standard one: `chat_payg/priority`.
    pub fn label(&self) -> Cow<'_, str> {
        match self.service_tier.filter(|tier| tier.is_special()) {
            Some(tier) => Cow::Owned(format!("{}/{}", self.name, tier.as_str())),
            None => Cow::Borrowed(self.name.as_str()),
        }
    }
}

/// A deployment's own price.
#[derive(Debug, Clone, PartialEq)]
pub struct Price {
    /// In place of the model's prices; it holds as it is, without a factor for data zones.
    pub own: Option<Arc<Prices>>,
    /// The factor on the price of each token: 0.9 for a discount of 10 %.
    pub factor: f64,
    /// Prices of hosted tool calls, in place of the service's list prices.
    pub tools: ToolPrices,
}

impl Default for Price {
    fn default() -> Self {
        Self { own: None, factor: 1.0, tools: ToolPrices::default() }
    }
}

/// Contract prices of hosted tool calls; `None`: the service's list price.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ToolPrices {
    /// A search of the web.
    pub web_search: Option<Usd>,
    /// A search of files.
    pub file_search: Option<Usd>,
    /// A container in which code runs.
    pub container: Option<Usd>,
}

/// Our name for an endpoint: the key in config.
pub type EndpointName = DeploymentName;

/// Billing of a deployment.
#[derive(Debug, Clone, PartialEq)]
pub enum Billing {
    /// By the hour, used or not: free at the margin until it is full.
    Provisioned(Provisioned),
    /// By the token.
    PayAsYouGo(Budget),
}

impl Billing {
    /// The word used in config, headers and metric labels.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Provisioned(_) => "provisioned",
            Self::PayAsYouGo(_) => "pay_as_you_go",
        }
    }

    /// True for provisioned throughput.
    pub fn is_provisioned(&self) -> bool {
        matches!(self, Self::Provisioned(_))
    }
}

/// The size of a provisioned deployment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Provisioned {
    /// Provisioned throughput units; fractions serve simulations alone.
    pub ptu: f64,
    /// Throughput of one unit; `None` if the model's figure is unknown.
    pub rate: Option<PtuRate>,
    /// Seconds of drain that make up a full bucket.
    pub window: Duration,
    /// Hourly price of all units; `None` if not configured.
    pub usd_per_hour: Option<Usd>,
}

/// The quota of a pay-as-you-go deployment; `None` if it is not known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Budget {
    /// Requests per minute.
    pub requests_per_minute: Option<u64>,
    /// Tokens per minute.
    pub tokens_per_minute: Option<u64>,
}

/// The form of a deployment's URLs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Api {
    /// `/openai/deployments/{name}/chat/completions?api-version=V`.
    AzureDated {
        /// The api-version, such as `2024-10-21`.
        version: Box<str>,
    },
    /// `/openai/v1/chat/completions`, the deployment's name as `model`.
    AzureV1,
    /// `/v1/chat/completions`, the model's id as `model`.
    OpenAi,
}

impl Api {
    /// The word used in config.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::AzureDated { .. } => "azure",
            Self::AzureV1 => "azure_v1",
            Self::OpenAi => "openai",
        }
    }

    /// The word of OpenTelemetry for who answers.
    ///
    /// **Source:** `OpenTelemetry`, semantic conventions for generative AI, `gen_ai.provider.name`.
    pub fn provider(&self) -> &'static str {
        match self {
            Self::AzureDated { .. } | Self::AzureV1 => "azure.ai.openai",
            Self::OpenAi => "openai",
        }
    }

    /// True if the Responses API is supported.
    ///
    /// **Source:** Microsoft, "Azure OpenAI Responses API": api-version 2025-03-01-preview or later, or v1.
    pub(crate) fn serves_responses(&self) -> bool {
        match self {
            Self::AzureDated { version } => {
                version.get(..10).is_some_and(|day| day >= "2025-03-01")
            }
            Self::AzureV1 | Self::OpenAi => true,
        }
    }

    /// True if `stream_options` is supported.
    ///
    /// **Source:** Azure's REST specifications: first in 2024-09-01-preview and in the stable 2024-10-21.
    pub(crate) fn takes_stream_options(&self) -> bool {
        match self {
            Self::AzureDated { version } => {
                version.get(..10).is_some_and(|day| day >= "2024-09-01")
            }
            Self::AzureV1 | Self::OpenAi => true,
        }
    }
}

/// All deployments, in the order of their names.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    deployments: Vec<Arc<Deployment>>,
    /// Entries of each deployment, in the same order: one for each service tier, or the deployment itself if it lists none.
    in_tiers: Vec<Vec<Arc<Deployment>>>,
    models: BTreeMap<ModelName, Arc<ModelRecord>>,
}

impl Catalog {
    /// A catalog of these deployments; models are those that they serve. Of two of one name the first stays.
    pub fn new(deployments: impl IntoIterator<Item = Deployment>) -> Self {
        let mut named = BTreeMap::new();
        for deployment in deployments {
            named.entry(deployment.name.clone()).or_insert_with(|| Arc::new(deployment));
        }
        let deployments: Vec<Arc<Deployment>> = named.into_values().collect();
        let in_tiers = deployments.iter().map(in_tiers).collect();
        let models = deployments
            .iter()
            .map(|deployment| (deployment.model.name.clone(), Arc::clone(&deployment.model)))
            .collect();
        Self { deployments, in_tiers, models }
    }

    /// All deployments.
    pub fn deployments(&self) -> &[Arc<Deployment>] {
        &self.deployments
    }

    /// All deployments, each with its entries for a plan: one for each service tier that it lists, else itself.
    pub(crate) fn in_tiers(&self) -> impl Iterator<Item = (&Arc<Deployment>, &[Arc<Deployment>])> {
        self.deployments.iter().zip(self.in_tiers.iter().map(Vec::as_slice))
    }

    /// The deployment of that name.
    pub fn deployment(&self, name: &str) -> Option<&Arc<Deployment>> {
        let at = self.deployments.binary_search_by(|deployment| deployment.name.as_str().cmp(name));
        at.ok().and_then(|at| self.deployments.get(at))
    }

    /// The record of a model that some deployment serves.
    pub fn model(&self, name: &str) -> Option<&Arc<ModelRecord>> {
        self.models.get(name)
    }

    /// The models that some deployment serves.
    pub fn models(&self) -> impl Iterator<Item = &Arc<ModelRecord>> {
        self.models.values()
    }
}

fn in_tiers(deployment: &Arc<Deployment>) -> Vec<Arc<Deployment>> {
    if deployment.service_tiers.is_empty() {
        return vec![Arc::clone(deployment)];
    }
    let entry = |tier: &ServiceTier| {
        Arc::new(Deployment { service_tier: Some(*tier), ..Deployment::clone(deployment) })
    };
    deployment.service_tiers.iter().map(entry).collect()
}

impl fmt::Display for Billing {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}
