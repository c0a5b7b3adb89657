//! The configuration as written: its keys and types, nothing else.
//!
//! Every value may be absent, every unknown key is refused, and tables are keyed by name, because
//! arrays of tables from several files cannot be merged. The check of each table defines ranges and
//! defaults; the comments here and in `configs/example.toml` repeat them for readers.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::program_tables::ProgramTable;
use super::raw_replicas::Replicas;

pub use super::raw_keys::{Key, Team};
pub use super::raw_limits::Limits;
pub use super::raw_models::{
    LongContext, MediaSetting, Model, Prices, PtuRate, TierPrices, ToolPrices,
};
pub use super::raw_roles::{EffortLadder, EffortSetting, Role, Roles};
pub use super::raw_rules::{Rule, RuleConditions, RuleEffects, RuleHeader};
pub use super::raw_signals::Signals;

/// All of the configuration.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Raw {
    /// The HTTP server.
    #[serde(skip_serializing_if = "ProgramTable::is_absent")]
    pub server: ProgramTable,
    /// The file that has a line for each request.
    #[serde(skip_serializing_if = "ProgramTable::is_absent")]
    pub request_log: ProgramTable,
    /// Scoring and preferences.
    pub routing: Routing,
    /// Rules for requests that are bound to a residency.
    pub residency: Residency,
    /// Models of each task.
    pub roles: Roles,
    /// Rules that take precedence over the score.
    pub rules: BTreeMap<String, Rule>,
    /// Other names for `auto`, roles, models and deployments.
    pub aliases: BTreeMap<String, String>,
    /// Azure resources and OpenAI bases.
    pub endpoints: BTreeMap<String, Endpoint>,
    /// Model deployments at endpoints; `defaults` is none: its values hold for all that do not set them.
    pub deployments: BTreeMap<String, Deployment>,
    /// Changes to the shipped model records, and models of one's own.
    pub models: BTreeMap<String, Model>,
    /// Paths that are passed through.
    pub passthrough: Passthrough,
    /// Time limits and sizes.
    pub limits: Limits,
    /// Use of provisioned throughput.
    pub capacity: Capacity,
    /// Keys with their rights and limits; without any, callers need no key.
    pub keys: BTreeMap<String, Key>,
    /// Issuers of tokens that callers may show in place of a key.
    #[serde(skip_serializing_if = "ProgramTable::is_absent")]
    pub identity_providers: ProgramTable,
    /// Keys that share one budget in addition to their own.
    pub teams: BTreeMap<String, Team>,
    /// Responses that upstreams store.
    pub stored: Stored,
    /// The other routers with which this one shares what it knows.
    pub replicas: Replicas,
    /// Receiver of budget notices.
    #[serde(skip_serializing_if = "ProgramTable::is_absent")]
    pub notify: ProgramTable,
    /// The collector to which spans of requests go.
    #[serde(skip_serializing_if = "ProgramTable::is_absent")]
    pub traces: ProgramTable,
}

/// The table `[routing]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Routing {
    /// From this score on a task counts as reasoning, 0 to 1; 0.5.
    pub threshold: Option<f64>,
    /// `route`: scores choose the role; `observe`: they are only recorded; route.
    pub mode: Option<String>,
    /// The role that serves all that is scored in the mode `observe`: `reasoning` or `chat`; chat.
    pub default_role: Option<String>,
    /// The number that chooses between chat and reasoning: `type`, `benefit` or `value`; type.
    pub choose: Option<String>,
    /// From this benefit on, `choose = "benefit"` gives reasoning, 0 to 1; 0.1.
    pub benefit_threshold: Option<f64>,
    /// Values of `answer_value_usd` and `second_cost_usd` for `choose = "value"`: `quality`, `balanced` or `thrift`; balanced.
    pub value_preset: Option<String>,
    /// Worth of a correct answer in place of a wrong one, 0 to 1000 USD; that of the preset.
    pub answer_value_usd: Option<f64>,
    /// Cost of a second that the caller waits longer, 0 to 1000 USD; that of the preset.
    pub second_cost_usd: Option<f64>,
    /// The role that serves whatever names no model, scored or not: `reasoning` or `chat`; no default: none.
    pub force_role: Option<String>,
    /// Preference of requests that state none: `cost`, `fast` or `balanced`; balanced.
    pub prefer: Option<String>,
    /// The area in which every request must be processed; global.
    pub residency: Option<String>,
    /// True if a deployment requested by its bare name may not fall back; false.
    pub strict_deployment: Option<bool>,
    /// True if a deployment is left out from its model's retirement day on; false.
    pub exclude_retired: Option<bool>,
    /// Treatment of fields that a model rejects: `adapt` or `reject`; adapt.
    pub unsupported: Option<String>,
    /// `derive`: requests without a `prompt_cache_key` get one, hashed from their conversation; `off`: they do not; off.
    pub prompt_cache_key: Option<String>,
    /// A scorer's model file in place of the built-in one.
    pub scorer_model: Option<PathBuf>,
    /// The rule for requests in other languages than English and Korean: `score`, `chat`, `reasoning` or `caller`; score.
    pub other_languages: Option<String>,
    /// Segments (sentences, list items, labels) whose features are remembered, 0 to 1000000; 8192.
    pub segments_max: Option<i64>,
    /// Signals added to the score of the last turn.
    pub signals: Signals,
}

/// The table `[residency]`: what else holds where a residency binds a request.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Residency {
    /// Treatment of tools that the service itself runs: `allow` or `reject`; allow.
    pub hosted_tools: Option<String>,
}

/// A table `[endpoints.NAME]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Endpoint {
    /// Scheme and host, such as `https://r.openai.azure.com`.
    pub url: Option<String>,
    /// The form of its URLs: `azure`, `azure_v1` or `openai`.
    pub api: Option<String>,
    /// The Azure region of the resource, such as `koreacentral`; needed by deployments whose `sku` processes there.
    pub region: Option<String>,
    /// The api-version of all its deployments, such as `2024-10-21`; only for `azure`.
    pub api_version: Option<String>,
    /// The key, sent as the api wants it: `api-key` to Azure, `Authorization: Bearer` to OpenAI.
    pub api_key: Option<SecretReference>,
    /// A token, sent as `Authorization: Bearer`.
    pub bearer: Option<SecretReference>,
    /// An identity of Entra ID, whose token is sent as `Authorization: Bearer`.
    pub identity: Option<Identity>,
    /// True if it needs no credential; false.
    pub anonymous: Option<bool>,
    /// A PEM file of certificate authorities trusted in addition to the system's.
    pub ca_file: Option<PathBuf>,
    /// The proxy by which it is reached: its URL, or `none`; what the environment says.
    pub proxy: Option<String>,
    /// True if HTTP/2 is used where it is offered, false for HTTP/1.1 alone; true.
    pub http2: Option<bool>,
}

/// A table `[endpoints.NAME.identity]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Identity {
    /// Issuer and proof of identity: `instance_metadata`, `app_service`, `workload` or `client_secret`.
    pub kind: Option<String>,
    /// Scope of tokens; `https://ai.azure.com/.default`.
    pub scope: Option<String>,
    /// The tenant; of `workload`, where it is `AZURE_TENANT_ID`, and required of `client_secret`.
    pub tenant_id: Option<String>,
    /// The application or managed identity; of `workload` `AZURE_CLIENT_ID`, required of `client_secret`.
    pub client_id: Option<String>,
    /// The cluster's token; only for `workload`; `AZURE_FEDERATED_TOKEN_FILE`.
    pub token_file: Option<PathBuf>,
    /// The application's secret, required of `client_secret`; of `app_service` `IDENTITY_HEADER`.
    pub secret: Option<SecretReference>,
    /// Address of the issuer, in place of the kind's own.
    pub url: Option<String>,
}

/// Source of a secret; exactly one of the two.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct SecretReference {
    /// The name of an environment variable.
    pub env: Option<String>,
    /// The path of a file.
    pub file: Option<PathBuf>,
}

/// A table `[deployments.NAME]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Deployment {
    /// The key of its endpoint.
    pub endpoint: Option<String>,
    /// The name of its model.
    pub model: Option<String>,
    /// The name under which the endpoint knows it: Azure's deployment, OpenAI's model id; the model's name.
    pub azure_deployment: Option<String>,
    /// Azure's deployment type, such as `GlobalStandard`, in place of `billing` and `area`.
    pub sku: Option<String>,
    /// Billing: `provisioned` or `pay_as_you_go`.
    pub billing: Option<String>,
    /// Area of processing: `global`, `zone:eu`, `geo:kr`, `region:koreacentral`.
    pub area: Option<String>,
    /// The api-version in place of the endpoint's.
    pub api_version: Option<String>,
    /// Its size in provisioned throughput units; only for `provisioned`.
    pub ptu: Option<i64>,
    /// Normalized tokens per minute for each PTU, in place of the model's; only for `provisioned`.
    pub input_tpm_per_ptu: Option<f64>,
    /// Normalized tokens per output token, in place of the model's; only for `provisioned`.
    pub output_ratio: Option<f64>,
    /// Hourly price of one PTU, in dollars; no default; only for `provisioned`.
    pub usd_per_ptu_hour: Option<f64>,
    /// Price of one PTU for a month of 730 hours, in place of the hourly one, as reservations are priced; only for `provisioned`.
    pub usd_per_ptu_month: Option<f64>,
    /// Time that a full bucket takes to drain; 10000; only for `provisioned`.
    pub window_ms: Option<i64>,
    /// Its quota of requests; only for `pay_as_you_go`.
    pub requests_per_minute: Option<i64>,
    /// Its quota of tokens; only for `pay_as_you_go`.
    pub tokens_per_minute: Option<i64>,
    /// A name for the quota that it shares with other deployments of the subscription, region and model; only for
    /// `pay_as_you_go`; no default: a quota of its own.
    pub quota_pool: Option<String>,
    /// The service tiers in which the router may ask for it: `default`, `priority`, `flex`; only for `pay_as_you_go`; no
    /// default: the caller's own `service_tier` goes on unchanged.
    pub tiers: Option<Vec<String>>,
    /// The maximum number of concurrent requests; no bound.
    pub max_in_flight: Option<i64>,
    /// True if requests may be sent to it; true.
    pub enabled: Option<bool>,
    /// Its tier, 1 to 1000: a higher one is tried once no deployment of a lower one can serve the request; 1.
    pub order: Option<i64>,
    /// Its share of conversations among deployments of one tier and price, 1 to 1000000; its PTUs, or 1.
    pub weight: Option<i64>,
    /// Token prices, in place of the model's; only for `pay_as_you_go`.
    pub price: Option<Prices>,
    /// Prices of hosted tool calls, in place of the service's list prices.
    pub tool_price: Option<ToolPrices>,
    /// The discount on the model's prices by your contract, in percent; 0; only for `pay_as_you_go`.
    pub discount_percent: Option<f64>,
}

/// The table `[passthrough]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Passthrough {
    /// Paths below `/v1/` that are sent on as they come; those of images, audio and moderations.
    pub paths: Option<Vec<String>>,
    /// Collections of stored objects below `/v1/` that are passed through: `files`, `uploads`, `vector_stores`, `containers`; none.
    pub objects: Option<Vec<String>>,
    /// The endpoint at which those objects are stored; the only one, if there is one.
    pub endpoint: Option<String>,
}

/// The table `[stored]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Stored {
    /// Treatment of an id that this router does not know: `refuse` or `ask`; `refuse` if there are keys, else `ask`.
    pub unknown: Option<String>,
}

/// The table `[capacity]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Capacity {
    /// Longest wait for a full provisioned deployment before the request goes to pay-as-you-go; 450.
    pub max_wait_ms: Option<i64>,
    /// The same if no pay-as-you-go deployment is inside its residency; the client's own timeout, else 10000 for chat and
    /// 60000 for reasoning.
    pub bound_wait_ms: Option<i64>,
    /// The most requests that wait for one deployment; 256.
    pub queue_max: Option<i64>,
    /// Order of waiting requests: `fair`, `controlled_delay` or `first_come`; fair.
    pub queue_order: Option<String>,
    /// Share of a provisioned deployment that batch requests may use, 0 to 1; 0.8.
    pub batch_limit_ratio: Option<f64>,
    /// Cap that a request reserves: `asked` or `learned`; learned for requests without a pay-as-you-go deployment inside their
    /// residency, else asked.
    pub reserve: Option<String>,
    /// The share of answers that a learned cap lets end by themselves, 0.5 to 0.9999; 0.999.
    pub learned_quantile: Option<f64>,
    /// Answers needed before a length is predicted; 200.
    pub learned_samples: Option<i64>,
    /// The most callers whose answers are distinguished; 4096.
    pub callers_max: Option<i64>,
    /// The answer that a provisioned deployment assumes of a request without a cap; 4096.
    pub missing_output_tokens: Option<i64>,
    /// The share of cached prompt tokens that counts nothing on a provisioned deployment, 0 to 1; 1.
    pub cached_discount_ratio: Option<f64>,
    /// Time for which a conversation prefers the deployment that holds its prompt cache; 300000.
    pub affinity_ms: Option<i64>,
    /// The most conversations remembered; 65536.
    pub conversations_max: Option<i64>,
    /// Time from the end of a deployment's faults to full traffic; 10000.
    pub ramp_ms: Option<i64>,
}
