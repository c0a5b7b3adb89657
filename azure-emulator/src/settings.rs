//! The settings of an emulator: address, keys, seed, and deployments.
//!
//! Plain values with chained setters, for tests; the program's configuration file uses the same
//! types. Only what [`crate::Emulator::start`] needs is validated.

use crate::answer::speak::Voice;
use crate::bucket::BucketSettings;
use crate::dice::Lengths;
use crate::profile::Profile;
use crate::quota::QuotaSettings;
use crate::tier::Tier;
use crate::tier::TierName;
use crate::wire::filter::Filter;
use crate::wire::sse::Pace;
use std::net::SocketAddr;
use std::time::Duration;

/// Billing of a deployment, which decides how it is limited.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Billing {
    /// By units: a utilization bucket.
    Provisioned(BucketSettings),
    /// By tokens: requests and tokens per minute.
    PayAsYouGo(QuotaSettings),
}

/// Speed of a deployment.
pub type Latency = Pace;

/// The longest prompt of the gpt-4.1 family and gpt-5.4 on provisioned throughput; above it they
/// answer 400. **Source:** Azure OpenAI docs, "provisioned throughput sizing".
const PROVISIONED_LONG_CONTEXT: u64 = 128_000;

/// One deployment of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Deployment {
    /// Its name, which Azure's paths carry.
    pub name: String,
    /// The model behind it.
    pub model: String,
    /// Billing and limits.
    pub billing: Billing,
    /// Fields that the model accepts.
    pub profile: Profile,
    /// Speed of its answers.
    pub latency: Latency,
    /// Length of its answers.
    pub voice: Voice,
    /// The `model` its answers name.
    pub served_model: String,
    /// `x-ms-region`.
    pub region: String,
    /// True if answers of a provisioned deployment carry its utilization.
    pub utilization_header: bool,
    /// Time for which prompt prefixes stay in the prompt cache; `None` for no cache.
    pub prompt_cache: Option<Duration>,
    /// Mode of content filtering on Azure's paths.
    pub filter: Filter,
    /// Tokens in each chunk of a stream. Azure's filter buffers, so more than one.
    pub chunk_tokens: usize,
    /// The service tiers that it offers. Without any, it does not look at `service_tier`.
    pub tiers: Vec<(TierName, Tier)>,
    /// True if a 429 names its wait in `retry-after-ms` alone, as pay-as-you-go deployments do.
    pub milliseconds_only: bool,
}

impl Deployment {
    fn new(name: &str, model: &str, billing: Billing) -> Self {
        Self {
            name: name.to_owned(),
            model: model.to_owned(),
            billing,
            profile: Profile::for_model(model),
            latency: Latency { first_token: Duration::from_millis(5), tokens_per_second: 5_000.0 },
            voice: Voice { output: Lengths::Fixed(24), reasoning: Lengths::Fixed(64), echo: false },
            served_model: model.to_owned(),
            region: "koreacentral".to_owned(),
            utilization_header: true,
            prompt_cache: None,
            filter: Filter::Synchronous,
            chunk_tokens: 4,
            tiers: Vec::new(),
            milliseconds_only: false,
        }
    }

    /// A provisioned deployment. Fast by default (5 ms, 5,000 tokens/s), answers of 24 tokens.
    pub fn provisioned(name: &str, model: &str, bucket: BucketSettings) -> Self {
        let mut deployment = Self::new(name, model, Billing::Provisioned(bucket));
        if model.starts_with("gpt-4.1") || model == "gpt-5.4" {
            let window = &mut deployment.profile.context_tokens;
            *window = PROVISIONED_LONG_CONTEXT.min(*window);
        }
        deployment
    }

    /// A pay-as-you-go deployment, with the same defaults.
    pub fn pay_as_you_go(name: &str, model: &str, quota: QuotaSettings) -> Self {
        Self::new(name, model, Billing::PayAsYouGo(quota))
    }

    /// Sets how fast it answers.
    #[must_use]
    pub const fn latency(mut self, latency: Latency) -> Self {
        self.latency = latency;
        self
    }

    /// Sets how many tokens of text it says.
    #[must_use]
    pub const fn output(mut self, lengths: Lengths) -> Self {
        self.voice.output = lengths;
        self
    }

    /// Sets how many hidden tokens it spends at medium effort, if its model reasons.
    #[must_use]
    pub const fn reasoning(mut self, lengths: Lengths) -> Self {
        self.voice.reasoning = lengths;
        self
    }

    /// Lets it repeat the last user message as its answer.
    #[must_use]
    pub const fn echo(mut self, echo: bool) -> Self {
        self.voice.echo = echo;
        self
    }

    /// Simulates a prompt cache that forgets after `keep`.
    #[must_use]
    pub const fn prompt_cache(mut self, keep: Duration) -> Self {
        self.prompt_cache = Some(keep);
        self
    }

    /// Sends or withholds the utilization header.
    #[must_use]
    pub const fn utilization_header(mut self, sent: bool) -> Self {
        self.utilization_header = sent;
        self
    }

    /// Sets `x-ms-region`.
    #[must_use]
    pub fn region(mut self, region: &str) -> Self {
        region.clone_into(&mut self.region);
        self
    }

    /// Sets the `model` that answers name.
    #[must_use]
    pub fn served_model(mut self, model: &str) -> Self {
        model.clone_into(&mut self.served_model);
        self
    }

    /// Sets what the model accepts.
    #[must_use]
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// Sets how content filtering shows.
    #[must_use]
    pub const fn filter(mut self, filter: Filter) -> Self {
        self.filter = filter;
        self
    }

    /// Offers a service tier; a later one of the same name replaces it.
    #[must_use]
    pub fn tier(mut self, name: TierName, tier: Tier) -> Self {
        self.tiers.retain(|(other, _)| *other != name);
        self.tiers.push((name, tier));
        self
    }

    /// Leaves `retry-after` out of a 429.
    #[must_use]
    pub const fn milliseconds_only(mut self) -> Self {
        self.milliseconds_only = true;
        self
    }

    /// Sets how many tokens a chunk of a stream holds.
    #[must_use]
    pub const fn chunk_tokens(mut self, count: usize) -> Self {
        self.chunk_tokens = count;
        self
    }
}

/// A whole emulator: one endpoint with its deployments.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Address to listen at; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Keys that are accepted. While there is none, and tokens are not asked for, anybody is.
    pub api_keys: Vec<String>,
    /// True if a token from the identity doubles (or a key) is asked for even without keys.
    pub tokens_only: bool,
    /// Seed of all randomness.
    pub seed: u64,
    /// Identity of the Azure resource: other resources refuse its encrypted reasoning. `None`: its address.
    pub resource: Option<String>,
    /// Requests kept in the journal; the oldest leave first.
    pub journal_length: usize,
    /// The deployments.
    pub deployments: Vec<Deployment>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            api_keys: Vec::new(),
            tokens_only: false,
            seed: 0,
            resource: None,
            journal_length: 5_000,
            deployments: Vec::new(),
        }
    }
}

impl Settings {
    /// A free port of 127.0.0.1, no key asked, seed 0, no deployment.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets where to listen.
    #[must_use]
    pub const fn listen(mut self, listen: SocketAddr) -> Self {
        self.listen = listen;
        self
    }

    /// Adds a key that is accepted.
    #[must_use]
    pub fn api_key(mut self, key: &str) -> Self {
        self.api_keys.push(key.to_owned());
        self
    }

    /// Asks for a token of the identity doubles.
    #[must_use]
    pub const fn tokens_only(mut self) -> Self {
        self.tokens_only = true;
        self
    }

    /// Sets what all chance comes from.
    #[must_use]
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets which Azure resource this is; two emulators of one name read each other's encrypted reasoning.
    #[must_use]
    pub fn resource(mut self, resource: &str) -> Self {
        self.resource = Some(resource.to_owned());
        self
    }

    /// Adds a deployment; a later one of the same name replaces it.
    #[must_use]
    pub fn deployment(mut self, deployment: Deployment) -> Self {
        self.deployments.retain(|other| other.name != deployment.name);
        self.deployments.push(deployment);
        self
    }
}
