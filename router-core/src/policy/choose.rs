//! Chooses between chat and reasoning for a scored request by the type of the task, the benefit of reasoning, or the value
//! of that benefit after its cost.
//!
//! Costs and times come from the deployments; `decision/tradeoff.rs` collects them and applies these settings.

/// The number by which the task of a scored request is chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Choose {
    /// The score: the kind of task.
    #[default]
    Type,
    /// The benefit: the probability that a reasoning model is right and a chat model is wrong.
    Benefit,
    /// The worth of the benefit, less the added cost and the added time.
    Value,
}

impl Choose {
    /// The word used in config, logs and metric labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Type => "type",
            Self::Benefit => "benefit",
            Self::Value => "value",
        }
    }

    /// The choice of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Type, Self::Benefit, Self::Value].into_iter().find(|one| one.as_str() == word)
    }
}

/// The settings of the choice between chat and reasoning.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct ChoiceSettings {
    /// The number that chooses.
    pub choose: Choose,
    /// From this benefit on, [`Choose::Benefit`] gives reasoning; 0 to 1.
    pub benefit_threshold: f32,
    /// The worth of a correct answer in place of a wrong one, in dollars.
    pub(crate) answer_usd: f64,
    /// The cost of a second that the caller waits longer, in dollars.
    pub(crate) second_usd: f64,
}

impl Default for ChoiceSettings {
    fn default() -> Self {
        let Preset { answer_usd, second_usd } = Preset::BALANCED;
        Self { choose: Choose::Type, benefit_threshold: 0.1, answer_usd, second_usd }
    }
}

/// Named pairs of worth and cost.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub(crate) struct Preset {
    /// The worth of a correct answer in place of a wrong one, in dollars.
    pub(crate) answer_usd: f64,
    /// The cost of a second that the caller waits longer, in dollars.
    pub(crate) second_usd: f64,
}

impl Preset {
    /// Reasoning wherever it is likely to help.
    pub(crate) const QUALITY: Self = Self { answer_usd: 0.50, second_usd: 0.000_5 };
    /// Reasoning if it probably pays.
    pub(crate) const BALANCED: Self = Self { answer_usd: 0.10, second_usd: 0.000_5 };
    /// Reasoning only if it certainly pays.
    pub(crate) const THRIFT: Self = Self { answer_usd: 0.04, second_usd: 0.000_5 };

    /// The preset of that word of config.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        match word {
            "quality" => Some(Self::QUALITY),
            "balanced" => Some(Self::BALANCED),
            "thrift" => Some(Self::THRIFT),
            _ => None,
        }
    }
}

/// The probability, money and time that reasoning adds to one request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Added {
    /// The probability that a reasoning model is right and a chat model is wrong; 0 to 1.
    pub benefit: f32,
    /// The cost of the reasoning model less that of the chat model, in dollars; the lost cache is part of it.
    pub cost_usd: f64,
    /// The part of the cost for prompt tokens that are cached at the chat model and not at the reasoning model, in dollars;
    /// negative if it is the other way round.
    pub lost_cache_usd: f64,
    /// The time of the reasoning model less that of the chat model, in seconds.
    pub seconds: f64,
}

/// The value of reasoning for one request, with its terms.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct ReasoningValue {
    /// The addition by reasoning.
    pub added: Added,
    /// The benefit times the worth of a correct answer, in dollars.
    pub worth_usd: f64,
    /// The added seconds times the cost of a second, in dollars.
    pub seconds_usd: f64,
    /// The worth less the added cost and the cost of the added seconds, in dollars. Reasoning is chosen above zero.
    pub net_usd: f64,
}

impl ChoiceSettings {
    /// The value of what reasoning adds.
    ///
    /// ```
    /// use router_core::policy::{Added, ChoiceSettings};
    /// let added = Added { benefit: 0.3, cost_usd: 0.01, lost_cache_usd: 0.0, seconds: 10.0 };
    /// let value = ChoiceSettings::default().value(added);
    /// assert!((value.net_usd - (0.3 * 0.10 - 0.01 - 10.0 * 0.0005)).abs() < 1e-6);
    /// ```
    pub fn value(&self, added: Added) -> ReasoningValue {
        let worth_usd = f64::from(added.benefit) * self.answer_usd;
        let seconds_usd = added.seconds * self.second_usd;
        ReasoningValue {
            added,
            worth_usd,
            seconds_usd,
            net_usd: worth_usd - added.cost_usd - seconds_usd,
        }
    }
}
