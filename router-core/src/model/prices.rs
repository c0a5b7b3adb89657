//! Token prices of a model on pay-as-you-go, by service tier and prompt length.
//!
//! These are facts from price lists. What an answer costs is computed in `deployment/pricing.rs`.

use crate::units::Tokens;
use crate::units::UsdPerMillionTokens;

/// Service tier of an answer (`service_tier`); each tier has its own prices.
///
/// **Source:** Microsoft, "Priority processing" and "Flex processing"; `OpenAI` API reference, `service_tier`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum ServiceTier {
    /// At the standard price.
    #[default]
    Standard,
    /// Faster and dearer.
    Priority,
    /// Slower and cheaper.
    Flex,
    /// Within a day and cheaper.
    Batch,
    /// A tier that no record prices, such as `scale`.
    Other,
}

impl ServiceTier {
    /// The tiers that a request can choose, as config lists them.
    pub(crate) const ONLINE: [Self; 3] = [Self::Standard, Self::Priority, Self::Flex];

    /// The tier that a request or an answer names; `None` of a word that names none. `auto` names none: services write it
    /// before they have chosen, and correct it at the end of a stream.
    pub fn named(word: &str) -> Option<Self> {
        match word {
            "" | "auto" => None,
            "default" | "standard" => Some(Self::Standard),
            "priority" => Some(Self::Priority),
            "flex" => Some(Self::Flex),
            "batch" => Some(Self::Batch),
            _ => Some(Self::Other),
        }
    }

    /// The tier of that word of config.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ONLINE.into_iter().find(|tier| tier.as_str() == word)
    }

    /// True for a tier with prices other than the standard one's.
    pub(crate) fn is_special(self) -> bool {
        self != Self::Standard
    }

    /// The word of the wire, of config and of logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "default",
            Self::Priority => "priority",
            Self::Flex => "flex",
            Self::Batch => "batch",
            Self::Other => "other",
        }
    }
}

/// Token prices of a model on pay-as-you-go, at the global rate.
#[derive(Debug, Clone, PartialEq)]
pub struct Prices {
    /// At standard processing.
    pub standard: Rates,
    /// In the service tiers whose prices are known.
    pub tiers: TierRates,
    /// The factor on all of them inside a data zone; 1.1 in the US and the EU.
    pub(crate) data_zone_factor: f64,
}

impl Prices {
    /// The rates of a tier; `None` if they are not known.
    pub fn rates(&self, tier: ServiceTier) -> Option<&Rates> {
        match tier {
            ServiceTier::Standard => Some(&self.standard),
            ServiceTier::Priority => self.tiers.priority.as_ref(),
            ServiceTier::Flex => self.tiers.flex.as_ref(),
            ServiceTier::Batch => self.tiers.batch.as_ref(),
            ServiceTier::Other => None,
        }
    }
}

/// The rates of service tiers; `None` for a tier whose price is not known.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct TierRates {
    /// `priority`.
    pub priority: Option<Rates>,
    /// `flex`.
    pub flex: Option<Rates>,
    /// `batch`.
    pub batch: Option<Rates>,
}

/// The prices of one tier.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rates {
    /// A prompt token.
    pub input: UsdPerMillionTokens,
    /// A prompt token read from the cache; `input` if `None`.
    pub cached_input: Option<UsdPerMillionTokens>,
    /// A prompt token written to the cache; `None` if that is not billed separately.
    pub cache_write: Option<UsdPerMillionTokens>,
    /// An answer's token, hidden reasoning included.
    pub output: UsdPerMillionTokens,
    /// Another tariff for long prompts.
    pub long_context: Option<LongContext>,
}

/// The tariff of a request whose prompt is longer than `above`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LongContext {
    /// Prompts with more tokens than this pay the tariff, for the whole request.
    pub above: Tokens,
    /// A prompt token.
    pub input: UsdPerMillionTokens,
    /// A prompt token read from the cache.
    pub cached_input: UsdPerMillionTokens,
    /// A prompt token written to the cache; `None` if that is not billed separately.
    pub cache_write: Option<UsdPerMillionTokens>,
    /// An answer's token.
    pub output: UsdPerMillionTokens,
}
