//! The program's configuration file: TOML -> [`Settings`].
//!
//! `default.toml` describes every key and is used without a file. A file replaces the defaults
//! rather than extending them, so that all deployments are in one place.

use crate::bucket::BucketSettings;
use crate::dice::Lengths;
use crate::quota::QuotaSettings;
use crate::quota::RequestSlices;
use crate::settings::Billing;
use crate::settings::Deployment;
use crate::settings::Latency;
use crate::settings::Settings;
use crate::tier::Rates;
use crate::tier::Tier;
use crate::tier::TierName;
use crate::wire::filter::Filter;
use figment::Figment;
use figment::providers::Format;
use figment::providers::Toml;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// Configuration that applies without a file.
pub const DEFAULT: &str = include_str!("../default.toml");

/// Fault of a configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigFault {
    /// It is no TOML, or a key is unknown or of the wrong type.
    #[error("{0}")]
    Written(Box<figment::Error>),
    /// A deployment's keys do not fit together.
    #[error("deployments.{name}: {fault}")]
    Deployment {
        /// The deployment.
        name: String,
        /// The fault.
        fault: &'static str,
    },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    listen: Option<SocketAddr>,
    #[serde(default)]
    seed: u64,
    resource: Option<String>,
    #[serde(default)]
    api_keys: Vec<String>,
    #[serde(default)]
    tokens_only: bool,
    #[serde(default)]
    deployments: BTreeMap<String, WrittenDeployment>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenDeployment {
    model: String,
    ptu: Option<f64>,
    input_tpm_per_ptu: Option<f64>,
    output_ratio: Option<f64>,
    window_ms: Option<u64>,
    cached_discount_ratio: Option<f64>,
    utilization_header: Option<bool>,
    rpm: Option<u64>,
    tpm: Option<u64>,
    request_slices: Option<WrittenSlices>,
    count_rejected: Option<bool>,
    missing_max_tokens: Option<u64>,
    prompt_weight: Option<f64>,
    cached_weight: Option<f64>,
    cap_weight: Option<f64>,
    retry_after_ms_only: Option<bool>,
    first_token_ms: Option<u64>,
    tokens_per_second: Option<f64>,
    output_tokens: Option<WrittenLengths>,
    reasoning_tokens: Option<WrittenLengths>,
    echo: Option<bool>,
    prompt_cache_seconds: Option<u64>,
    region: Option<String>,
    served_model: Option<String>,
    content_filter: Option<WrittenFilter>,
    chunk_tokens: Option<usize>,
    #[serde(default)]
    tiers: BTreeMap<WrittenTier, WrittenTierLimits>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WrittenTier {
    Default,
    Priority,
    Flex,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenTierLimits {
    first_token_ms: Option<u64>,
    tokens_per_second: Option<f64>,
    rpm: Option<u64>,
    #[serde(default)]
    downgrades: bool,
    input_usd_per_million: f64,
    output_usd_per_million: f64,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WrittenSlices {
    Second,
    TenSeconds,
    Both,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WrittenFilter {
    Synchronous,
    Asynchronous,
    Absent,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(untagged)]
enum WrittenLengths {
    Fixed(u64),
    Uniform { min: u64, max: u64 },
    Skewed { median: u64, spread: f64 },
}

/// Reads a configuration.
///
/// # Errors
/// The first fault found, with its key.
pub fn read(toml: &str) -> Result<Settings, ConfigFault> {
    let written: Written = Figment::from(Toml::string(toml))
        .extract()
        .map_err(|fault| ConfigFault::Written(Box::new(fault)))?;
    let mut settings = Settings {
        seed: written.seed,
        resource: written.resource,
        api_keys: written.api_keys,
        tokens_only: written.tokens_only,
        ..Settings::default()
    };
    if let Some(listen) = written.listen {
        settings.listen = listen;
    }
    for (name, deployment) in written.deployments {
        let read = deployment
            .read(&name)
            .map_err(|fault| ConfigFault::Deployment { name: name.clone(), fault })?;
        settings = settings.deployment(read);
    }
    Ok(settings)
}

impl WrittenDeployment {
    fn read(&self, name: &str) -> Result<Deployment, &'static str> {
        let mut deployment = match self.billing()? {
            Billing::Provisioned(bucket) => Deployment::provisioned(name, &self.model, bucket),
            Billing::PayAsYouGo(quota) => Deployment::pay_as_you_go(name, &self.model, quota),
        };
        put(self.first_token_ms.map(Duration::from_millis), &mut deployment.latency.first_token);
        put(self.tokens_per_second, &mut deployment.latency.tokens_per_second);
        put(self.output_tokens.map(WrittenLengths::read), &mut deployment.voice.output);
        put(self.reasoning_tokens.map(WrittenLengths::read), &mut deployment.voice.reasoning);
        put(self.echo, &mut deployment.voice.echo);
        put(self.region.clone(), &mut deployment.region);
        put(self.served_model.clone(), &mut deployment.served_model);
        put(self.utilization_header, &mut deployment.utilization_header);
        put(self.chunk_tokens, &mut deployment.chunk_tokens);
        put(self.content_filter.map(WrittenFilter::read), &mut deployment.filter);
        let kept = self.prompt_cache_seconds.filter(|seconds| *seconds > 0);
        deployment.prompt_cache = kept.map(Duration::from_secs);
        put(self.retry_after_ms_only, &mut deployment.milliseconds_only);
        for (name, tier) in &self.tiers {
            let read = tier.read(deployment.latency);
            deployment = deployment.tier(name.read(), read);
        }
        Ok(deployment)
    }

    fn billing(&self) -> Result<Billing, &'static str> {
        match (self.ptu, self.rpm, self.tpm) {
            (Some(ptu), None, None) => self.bucket(ptu).map(Billing::Provisioned),
            (None, Some(rpm), Some(tpm)) => Ok(Billing::PayAsYouGo(self.quota(rpm, tpm))),
            _ => Err("needs either ptu, or both rpm and tpm"),
        }
    }

    fn bucket(&self, ptu: f64) -> Result<BucketSettings, &'static str> {
        let published = BucketSettings::for_model(&self.model, ptu);
        let mut bucket = match (published, self.input_tpm_per_ptu, self.output_ratio) {
            (Some(published), ..) => published,
            (None, Some(tpm), Some(ratio)) => BucketSettings::new(ptu, tpm, ratio),
            (None, ..) => {
                return Err("no rates are known for this model: input_tpm_per_ptu and \
                            output_ratio must be given");
            }
        };
        put(self.input_tpm_per_ptu, &mut bucket.input_tpm_per_ptu);
        put(self.output_ratio, &mut bucket.output_ratio);
        put(self.window_ms.map(Duration::from_millis), &mut bucket.window);
        put(self.missing_max_tokens, &mut bucket.missing_max_tokens);
        put(self.cached_discount_ratio, &mut bucket.cached_discount);
        Ok(bucket)
    }

    fn quota(&self, rpm: u64, tpm: u64) -> QuotaSettings {
        let mut quota = QuotaSettings::new(rpm, tpm);
        put(self.request_slices.map(WrittenSlices::read), &mut quota.slices);
        put(self.count_rejected, &mut quota.count_rejected);
        put(self.missing_max_tokens, &mut quota.missing_max_tokens);
        put(self.prompt_weight, &mut quota.weights.prompt);
        put(self.cached_weight, &mut quota.weights.cached);
        put(self.cap_weight, &mut quota.weights.cap);
        quota
    }
}

impl WrittenTier {
    const fn read(self) -> TierName {
        match self {
            Self::Default => TierName::Default,
            Self::Priority => TierName::Priority,
            Self::Flex => TierName::Flex,
        }
    }
}

impl WrittenTierLimits {
    /// A tier; as fast as the deployment where nothing else is written.
    fn read(&self, latency: Latency) -> Tier {
        let first_token = self.first_token_ms.map_or(latency.first_token, Duration::from_millis);
        let tokens_per_second = self.tokens_per_second.unwrap_or(latency.tokens_per_second);
        Tier {
            latency: Latency { first_token, tokens_per_second },
            // Only requests are counted: the tokens are the deployment's to count.
            capacity: self.rpm.map(|rpm| QuotaSettings::new(rpm, u64::MAX)),
            downgrades: self.downgrades,
            rates: Rates { input: self.input_usd_per_million, output: self.output_usd_per_million },
        }
    }
}

impl WrittenSlices {
    const fn read(self) -> RequestSlices {
        match self {
            Self::Second => RequestSlices::Second,
            Self::TenSeconds => RequestSlices::TenSeconds,
            Self::Both => RequestSlices::Both,
        }
    }
}

impl WrittenFilter {
    const fn read(self) -> Filter {
        match self {
            Self::Synchronous => Filter::Synchronous,
            Self::Asynchronous => Filter::Asynchronous,
            Self::Absent => Filter::Absent,
        }
    }
}

impl WrittenLengths {
    const fn read(self) -> Lengths {
        match self {
            Self::Fixed(length) => Lengths::Fixed(length),
            Self::Uniform { min, max } => Lengths::Uniform { min, max },
            Self::Skewed { median, spread } => Lengths::Skewed { median, spread },
        }
    }
}

/// Sets `into` where something is written.
fn put<T>(written: Option<T>, into: &mut T) {
    if let Some(written) = written {
        *into = written;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_sound_and_names_every_key() {
        let settings = read(DEFAULT).unwrap();
        assert_eq!(settings.deployments.len(), 8);
        assert!(settings.deployments.iter().any(|deployment| {
            deployment.name == "gpt-4o-ptu" && matches!(deployment.billing, Billing::Provisioned(_))
        }));
        let source = include_str!("config.rs");
        let written = source.split("struct WrittenDeployment {").nth(1).unwrap();
        let fields = written
            .split('}')
            .next()
            .unwrap()
            .lines()
            .filter_map(|line| line.trim().split_once(": "));
        for (field, _) in fields {
            assert!(DEFAULT.contains(&format!("\n{field} = ")), "{field} is not in default.toml");
        }
    }

    #[test]
    fn what_is_left_out_has_the_librarys_default() {
        let settings = read("[deployments.a]\nmodel = \"gpt-4o\"\nrpm = 60\ntpm = 1000").unwrap();
        let plain = Deployment::pay_as_you_go("a", "gpt-4o", QuotaSettings::new(60, 1_000));
        assert_eq!(settings.deployments, [plain]);
    }

    #[test]
    fn mistakes_are_named() {
        let check = |toml: &str, part: &str| {
            let fault = read(toml).unwrap_err().to_string();
            assert!(fault.contains(part), "{fault}");
        };
        check("port = 1", "port");
        check("[deployments.a]\nmodel = \"gpt-4o\"", "deployments.a: needs either ptu");
        check("[deployments.a]\nmodel = \"mine\"\nptu = 5", "deployments.a: no rates");
        check("[deployments.a]\nmodel = 5", "deployments.a.model");
    }
}
