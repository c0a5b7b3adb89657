//! The tables of model records as written. A part of [`super::raw`].

use serde::{Deserialize, Serialize};

/// A table `[models."NAME"]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Model {
    /// True if it answers chat completions; true unless it embeds.
    pub chat_completions: Option<bool>,
    /// True if it answers the Responses API; true unless it embeds.
    pub responses: Option<bool>,
    /// True if it answers legacy completions; false.
    pub completions: Option<bool>,
    /// True if it makes embeddings instead of answers; false.
    pub embeddings: Option<bool>,
    /// Media that it serves instead of text: `images`, `speech`, `transcription`, `moderation`, true
    /// for any of them, or false; false.
    pub media: Option<MediaSetting>,
    /// True if it streams; true.
    pub streaming: Option<bool>,
    /// True if it takes tools; true.
    pub tools: Option<bool>,
    /// True if it takes `parallel_tool_calls`; as `tools`.
    pub parallel_tools: Option<bool>,
    /// True if it takes images; true.
    pub images: Option<bool>,
    /// True if it answers by a JSON schema; true.
    pub structured_outputs: Option<bool>,
    /// The efforts it accepts, empty where it takes no such field; missing for a model that does not reason.
    pub efforts: Option<Vec<String>>,
    /// Its effort where nothing is said; medium.
    pub default_effort: Option<String>,
    /// Whether the Responses API takes the effort `max`, which chat completions refuse; false.
    pub max_effort: Option<bool>,
    /// The field that caps answers: `max_completion_tokens` or `either`; the first for models that reason.
    pub cap_field: Option<String>,
    /// True if it takes temperature and its kin: `free`, `free_without_effort`, `fixed`; fixed for models that reason.
    pub sampling: Option<String>,
    /// True if it takes `stop`; false for models that reason.
    pub stop: Option<bool>,
    /// True if it takes `prediction`; false for models that reason.
    pub prediction: Option<bool>,
    /// True if it takes `verbosity` (`text.verbosity` in the Responses API); true for models that reason.
    pub verbosity: Option<bool>,
    /// Other fields that it refuses, which are then left out, such as `prompt_cache_retention` or `reasoning.summary`; none.
    pub refuses: Option<Vec<String>>,
    /// Role of instructions: `system`, `either` or `user`; either for models that reason, else system.
    pub instructions: Option<String>,
    /// The longest prompt; required.
    pub context_window_tokens: Option<i64>,
    /// The longest answer with its hidden reasoning; required unless it embeds.
    pub max_output_tokens: Option<i64>,
    /// The oldest dated api-version that serves it, as a day.
    pub oldest_api_version: Option<String>,
    /// The day on which it is due to retire, such as `2027-04-14`.
    pub retires: Option<String>,
    /// The model named as its successor.
    pub successor: Option<String>,
    /// Token prices, at the global rate.
    pub usd_per_million_tokens: Option<Prices>,
    /// The service tiers, besides `default`, in which Azure offers it: `priority`, `flex`; none.
    pub azure_tiers: Option<Vec<String>>,
    /// The longest prompt that is processed with priority; the whole window.
    pub priority_max_prompt_tokens: Option<i64>,
    /// The factor on its prices in a data zone; 1.1.
    pub data_zone_price_factor: Option<f64>,
    /// Throughput of one PTU.
    pub ptu: Option<PtuRate>,
}

/// Prices in US dollars per million tokens.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Prices {
    /// Prompt tokens; required.
    pub input: Option<f64>,
    /// Prompt tokens read from the cache; `input`.
    pub cached_input: Option<f64>,
    /// Prompt tokens written to the cache, if billed separately.
    pub cache_write: Option<f64>,
    /// Output tokens, hidden reasoning included; required unless the model embeds.
    pub output: Option<f64>,
    /// Another tariff for long prompts.
    pub long_context: Option<LongContext>,
    /// In the service tier `priority`; without it the cost of its answers is unknown.
    pub priority: Option<TierPrices>,
    /// In the service tier `flex`; without it the cost of its answers is unknown.
    pub flex: Option<TierPrices>,
    /// In the service tier `batch`; without it the cost of its answers is unknown.
    pub batch: Option<TierPrices>,
}

/// Prices of hosted tool calls in US dollars; the default of each is the service's list price.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct ToolPrices {
    /// A search of the web.
    pub web_search_usd: Option<f64>,
    /// A search of files.
    pub file_search_usd: Option<f64>,
    /// A container in which code runs.
    pub container_usd: Option<f64>,
}

/// Prices in a service tier, in US dollars per million tokens.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct TierPrices {
    /// Prompt tokens; required.
    pub input: Option<f64>,
    /// Prompt tokens read from the cache; `input`.
    pub cached_input: Option<f64>,
    /// Prompt tokens written to the cache; `input`.
    pub cache_write: Option<f64>,
    /// Output tokens, hidden reasoning included; required unless the model embeds.
    pub output: Option<f64>,
    /// The tariff for long prompts; required if the standard price has one, or their cost is unknown.
    pub long_context: Option<LongContext>,
}

/// The prices of requests with a long prompt; all but `cache_write` are required.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct LongContext {
    /// Prompts with more tokens than this pay this tariff.
    pub above_tokens: Option<i64>,
    /// Prompt tokens.
    pub input: Option<f64>,
    /// Prompt tokens read from the cache.
    pub cached_input: Option<f64>,
    /// Prompt tokens written to the cache, if billed separately.
    pub cache_write: Option<f64>,
    /// Output tokens.
    pub output: Option<f64>,
}

/// Throughput of one PTU; either all sizes are given or none.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct PtuRate {
    /// Normalized tokens per minute for each PTU; required.
    pub input_tpm_per_ptu: Option<f64>,
    /// Normalized tokens per output token; required.
    pub output_ratio: Option<f64>,
    /// The smallest deployment, global or in a data zone, in PTU.
    pub global_min: Option<i64>,
    /// The step above it.
    pub global_step: Option<i64>,
    /// The smallest deployment in one region, in PTU.
    pub regional_min: Option<i64>,
    /// The step above it.
    pub regional_step: Option<i64>,
}

/// The value of `media`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum MediaSetting {
    /// Any, or none.
    Any(bool),
    /// One of them.
    One(String),
}
