//! The operation of a request (chat completions, Responses API and so on), which determines how its
//! body is read.

use crate::model::Medium;

/// An operation of OpenAI's API that has a body of its own kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Chat completions.
    #[default]
    Chat,
    /// The Responses API.
    Responses,
    /// The tokens that a request of the Responses API would count, without an answer.
    InputTokens,
    /// A conversation of the Responses API made shorter.
    Compact,
    /// Legacy completions: a prompt without turns.
    Completions,
    /// Embeddings.
    Embeddings,
    /// A path that is passed through: images, audio, moderations; `None` if its kind is not known.
    Passed(Option<Medium>),
}

impl Operation {
    /// True if a request is a conversation, so that it says which kind of task it is. All others name their model.
    pub fn is_scored(self) -> bool {
        matches!(self, Self::Chat | Self::Responses | Self::InputTokens | Self::Compact)
    }

    /// The operation whose body it has: all parts of the Responses API have one form.
    #[must_use]
    pub(crate) fn read_as(self) -> Self {
        match self {
            Self::InputTokens | Self::Compact => Self::Responses,
            Self::Chat
            | Self::Responses
            | Self::Completions
            | Self::Embeddings
            | Self::Passed(_) => self,
        }
    }

    /// False for what costs nothing: counting tokens.
    pub(crate) fn is_billed(self) -> bool {
        self != Self::InputTokens
    }

    /// True for a passed-through path.
    pub fn is_passed(self) -> bool {
        matches!(self, Self::Passed(_))
    }

    /// The field that holds what the model reads.
    pub(crate) fn prompt_field(self) -> &'static str {
        match self {
            Self::Chat => "messages",
            Self::Completions => "prompt",
            Self::Responses
            | Self::InputTokens
            | Self::Compact
            | Self::Embeddings
            | Self::Passed(_) => "input",
        }
    }

    /// The word used in metrics.
    ///
    /// **Source:** `OpenTelemetry`, semantic conventions for generative AI, `gen_ai.operation.name`: the Responses API
    /// counts as chat.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chat | Self::Responses => "chat",
            Self::InputTokens => "input_tokens",
            Self::Compact => "compact",
            Self::Completions => "text_completion",
            Self::Embeddings => "embeddings",
            Self::Passed(_) => "passthrough",
        }
    }
}
