//! The operation of a request (chat completions, Responses API and so on), which determines how its
//! body is read.

/// An operation of OpenAI's API that has a body of its own kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Chat completions.
    #[default]
    Chat,
    /// The Responses API.
    Responses,
    /// Legacy completions: a prompt without turns.
    Completions,
    /// Embeddings.
    Embeddings,
    /// A path that is passed through: images, audio, moderations.
    Passed,
}

impl Operation {
    /// True if a request is a conversation, so that it says which kind of task it is. All others name their model.
    pub fn is_scored(self) -> bool {
        matches!(self, Self::Chat | Self::Responses)
    }

    /// The field that holds what the model reads.
    pub fn prompt_field(self) -> &'static str {
        match self {
            Self::Chat => "messages",
            Self::Completions => "prompt",
            Self::Responses | Self::Embeddings | Self::Passed => "input",
        }
    }

    /// The word used in metrics.
    ///
    /// **Source:** `OpenTelemetry`, semantic conventions for generative AI, `gen_ai.operation.name`: the Responses API
    /// counts as chat.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chat | Self::Responses => "chat",
            Self::Completions => "text_completion",
            Self::Embeddings => "embeddings",
            Self::Passed => "passthrough",
        }
    }
}
