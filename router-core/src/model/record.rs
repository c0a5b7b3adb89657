//! The record of one model: accepted parameters, capabilities, prices, retirement.
//!
//! Rules that test a model's name ("starts with o1") fail for deployments with their own names and
//! for every later model. Every difference between models is therefore a field of the record,
//! filled from one dated data file and from config. The record holds facts and makes no decisions.

use std::fmt;

use crate::units::Day;
use crate::units::ModelName;
use crate::units::Tokens;

use super::medium::Media;
use super::prices::Prices;
use super::prices::ServiceTier;

/// Properties of a model: limits, capabilities and prices.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelRecord {
    /// The model's name as its maker writes it.
    pub name: ModelName,
    /// Capabilities.
    pub abilities: Abilities,
    /// The field that caps the answer's length.
    pub cap_field: CapField,
    /// Acceptance of temperature, `top_p` and the like.
    pub sampling: Sampling,
    /// True if it takes `stop`.
    pub stop: bool,
    /// True if it takes `prediction`.
    pub prediction: bool,
    /// True if it takes another verbosity than `medium`: `verbosity` in chat, `text.verbosity` in the Responses API.
    pub verbosity: bool,
    /// Other fields that it refuses, and parts of fields by their path (`reasoning.summary`): they are left out.
    pub refuses: Box<[&'static str]>,
    /// Role of instructions.
    pub instructions: InstructionRole,
    /// The efforts it knows; `None` for a model without reasoning.
    pub efforts: Option<Efforts>,
    /// The longest prompt.
    pub context_window: Tokens,
    /// The longest answer, hidden reasoning included.
    pub max_output: Tokens,
    /// Token prices on pay-as-you-go; `None` if no price is known.
    pub prices: Option<Prices>,
    /// The service tiers, besides the standard one, in which Azure offers it.
    pub(crate) azure_tiers: Vec<ServiceTier>,
    /// The longest prompt that is processed with priority; `None` for the whole window.
    pub(crate) priority_max_prompt: Option<Tokens>,
    /// Throughput of one PTU; `None` if the model is not offered on PTU or the figure is unknown.
    pub ptu: Option<PtuRate>,
    /// The oldest dated api-version that serves it; `None` if every one in use does.
    pub(crate) oldest_api_version: Option<Day>,
    /// The day on which it is due to retire.
    pub retires: Option<Day>,
    /// The model named as its successor.
    pub successor: Option<ModelName>,
}

impl ModelRecord {
    /// True if the model thinks before it answers.
    pub fn reasons(&self) -> bool {
        self.efforts.is_some()
    }
}

/// Capabilities of a model; a request that needs more is not sent to it.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a yes or no of the model's documentation"
)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Abilities {
    /// Chat completions.
    pub chat_completions: bool,
    /// The Responses API.
    pub responses: bool,
    /// Legacy completions.
    pub completions: bool,
    /// Streamed answers; if it lacks them, the router streams its complete answer.
    pub streaming: bool,
    /// Tools.
    pub tools: bool,
    /// The field `parallel_tool_calls`.
    pub parallel_tools: bool,
    /// Images in the prompt.
    pub images: bool,
    /// Answers of a given JSON schema.
    pub(crate) structured_outputs: bool,
    /// Embeddings instead of answers.
    pub embeddings: bool,
    /// Images, sound or moderations instead of answers: served by the paths that are passed through, and by no other.
    pub media: Media,
}

/// The field that caps the answer's length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CapField {
    /// `max_completion_tokens` alone; `max_tokens` is refused.
    MaxCompletionTokens,
    /// Either field.
    Either,
}

impl CapField {
    /// Both, for tables.
    pub const ALL: [Self; 2] = [Self::MaxCompletionTokens, Self::Either];

    /// The word used in config.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MaxCompletionTokens => "max_completion_tokens",
            Self::Either => "either",
        }
    }

    /// The cap field of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.as_str() == word)
    }
}

/// A model's acceptance of temperature, `top_p`, log probabilities, penalties and `logit_bias`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sampling {
    /// It takes them all.
    Free,
    /// It takes temperature, `top_p` and log probabilities while its effort is `none`; penalties and `logit_bias` never.
    FreeWithoutEffort,
    /// It refuses them, except a temperature of 1.
    Fixed,
}

impl Sampling {
    /// All, for tables.
    pub const ALL: [Self; 3] = [Self::Free, Self::FreeWithoutEffort, Self::Fixed];

    /// The word used in config.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::FreeWithoutEffort => "free_without_effort",
            Self::Fixed => "fixed",
        }
    }

    /// The kind of sampling of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|sampling| sampling.as_str() == word)
    }
}

/// Role in which a model accepts instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstructionRole {
    /// `system`; `developer` is rejected.
    System,
    /// `system` or `developer`, but not both in one request.
    Either,
    /// Not at all: they travel as a user's message.
    User,
}

impl InstructionRole {
    /// All, for tables.
    pub const ALL: [Self; 3] = [Self::System, Self::Either, Self::User];

    /// The word used in config.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Either => "either",
            Self::User => "user",
        }
    }

    /// The role of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == word)
    }
}

/// Reasoning effort.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effort {
    /// Not at all.
    None,
    /// Nearly not.
    Minimal,
    /// A little.
    Low,
    /// The usual.
    Medium,
    /// Much.
    High,
    /// More.
    ExtraHigh,
    /// All it can.
    Max,
}

impl Effort {
    /// All, least first.
    pub const ALL: [Self; 7] = [
        Self::None,
        Self::Minimal,
        Self::Low,
        Self::Medium,
        Self::High,
        Self::ExtraHigh,
        Self::Max,
    ];

    /// The word of the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::ExtraHigh => "xhigh",
            Self::Max => "max",
        }
    }

    /// The effort of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|effort| effort.as_str() == word)
    }
}

impl fmt::Display for Effort {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// The efforts that a model knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Efforts {
    /// The accepted ones; empty if it accepts no such field.
    pub accepted: Vec<Effort>,
    /// Default effort.
    pub default: Effort,
    /// True if the Responses API takes [`Effort::Max`], which chat completions refuse.
    pub max_by_responses: bool,
}

impl Efforts {
    /// The accepted effort nearest to `wished`; between two equally near, the harder. `None` if none is accepted.
    ///
    /// ```
    /// use router_core::model::{Effort, Efforts};
    /// let accepted = vec![Effort::Low, Effort::Medium, Effort::High];
    /// let o1 = Efforts { accepted, default: Effort::Medium, max_by_responses: false };
    /// assert_eq!(o1.nearest(Effort::Minimal), Some(Effort::Low));
    /// assert_eq!(o1.nearest(Effort::Max), Some(Effort::High));
    /// ```
    pub fn nearest(&self, wished: Effort) -> Option<Effort> {
        let place = |effort: Effort| Effort::ALL.iter().position(|other| *other == effort);
        let distance = |effort: Effort| Some(place(effort)?.abs_diff(place(wished)?));
        self.accepted
            .iter()
            .copied()
            .min_by_key(|effort| (distance(*effort), std::cmp::Reverse(*effort)))
    }

    /// The effort at which the model answers: the caller's, else the role's, else its own default.
    pub fn used(&self, asked: Option<Effort>, of_role: Option<Effort>) -> Effort {
        asked.or(of_role).and_then(|effort| self.nearest(effort)).unwrap_or(self.default)
    }

    /// The effort to send for a role's if the caller sets none; `None` if that is what the model does by itself.
    pub(crate) fn in_place_of_default(&self, of_role: Option<Effort>) -> Option<Effort> {
        self.nearest(of_role?).filter(|effort| *effort != self.default)
    }
}

/// Throughput of one PTU.
///
/// **Source:** Microsoft, "Determine PTU sizing", the table of throughput per PTU.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PtuRate {
    /// Normalized tokens per minute for each PTU; a prompt token counts one.
    pub input_tpm_per_ptu: f64,
    /// Normalized tokens per output token.
    pub output_ratio: f64,
    /// In which sizes it is sold; `None` if that is not known.
    pub sizes: Option<PtuSizes>,
}

/// In which sizes provisioned deployments of a model are sold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PtuSizes {
    /// Global and in a data zone.
    pub global: PtuSize,
    /// In one region.
    pub regional: PtuSize,
}

/// The smallest size and the step above it, in PTU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PtuSize {
    /// The smallest deployment.
    pub min: u32,
    /// The step above the smallest.
    pub step: u32,
}

impl PtuSize {
    /// True if a deployment of this size can be bought.
    ///
    /// ```
    /// use router_core::model::PtuSize;
    /// let global = PtuSize { min: 15, step: 5 };
    /// assert!(global.sells(25.0) && !global.sells(10.0) && !global.sells(17.0));
    /// ```
    pub fn sells(self, ptu: f64) -> bool {
        let above = ptu - f64::from(self.min);
        above >= 0.0 && above % f64::from(self.step) == 0.0
    }
}
