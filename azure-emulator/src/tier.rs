//! The service tiers of a pay-as-you-go deployment: how fast each is, how much it takes, what it costs.
//!
//! All tiers share the deployment's quota. A tier may have a limit of its own, which stands for the
//! capacity that the service has left for it. **Source:** Azure OpenAI docs, "priority processing"
//! (requests beyond a ramp limit are processed at standard and say so) and "flex processing" (429
//! without capacity, 400 for models without it).

use crate::quota::QuotaSettings;
use crate::wire::sse::Pace;

/// A service tier that a request can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TierName {
    /// `default`: the standard tier.
    Default,
    /// `priority`: faster and dearer.
    Priority,
    /// `flex`: slower and cheaper.
    Flex,
}

impl TierName {
    /// The word of the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Priority => "priority",
            Self::Flex => "flex",
        }
    }

    /// The tier that a request's `service_tier` names; `None` of a word that is none.
    pub fn asked(word: Option<&str>) -> Option<Self> {
        match word {
            None | Some("auto" | "default") => Some(Self::Default),
            Some("priority") => Some(Self::Priority),
            Some("flex") => Some(Self::Flex),
            Some(_) => None,
        }
    }
}

/// Token prices, in US dollars per million.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rates {
    /// A token of the prompt.
    pub input: f64,
    /// A token of the answer.
    pub output: f64,
}

/// A service tier that a deployment offers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tier {
    /// Speed of the tier's answers.
    pub latency: Pace,
    /// A limit of its own; `None` for the deployment's quota alone.
    pub capacity: Option<QuotaSettings>,
    /// True if a request beyond that limit is answered in the standard tier rather than refused.
    pub downgrades: bool,
    /// Token prices.
    pub rates: Rates,
}
