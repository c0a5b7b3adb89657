//! The content of a model's answer, apart from its wire format: text or tool calls, why it ended, and
//! what that used.

/// The reason why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// The model had said everything.
    Stop,
    /// The cap was reached.
    Length,
    /// It calls tools.
    ToolCalls,
    /// The content filter ended it.
    ContentFilter,
}

impl Finish {
    /// Form in `finish_reason`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool_calls",
            Self::ContentFilter => "content_filter",
        }
    }
}

/// A call of one of the caller's functions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolCall {
    /// `call_...`
    pub id: String,
    /// The function.
    pub name: String,
    /// A JSON object, as text.
    pub arguments: String,
}

/// One choice of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// The text, in the pieces in which it is said; one piece is one token.
    pub pieces: Vec<String>,
    /// Calls instead of text.
    pub calls: Vec<ToolCall>,
    /// The reason why it ended.
    pub finish: Finish,
    /// Hidden tokens spent before the first piece.
    pub reasoning_tokens: u64,
    /// All tokens written, hidden ones included.
    pub completion_tokens: u64,
}

impl Said {
    /// The whole text.
    pub fn text(&self) -> String {
        self.pieces.concat()
    }
}

/// Usage of a complete answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Tokens of the prompt, cached ones included.
    pub prompt: u64,
    /// Prompt tokens found in the prompt cache.
    pub cached: u64,
    /// Tokens written, hidden ones included.
    pub completion: u64,
    /// Hidden tokens among them.
    pub reasoning: u64,
}

impl Usage {
    /// Sums the choices of an answer.
    pub fn of(prompt: u64, cached: u64, choices: &[Said]) -> Self {
        Self {
            prompt,
            cached,
            completion: choices.iter().map(|said| said.completion_tokens).sum(),
            reasoning: choices.iter().map(|said| said.reasoning_tokens).sum(),
        }
    }
}
