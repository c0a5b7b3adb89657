//! Lists the operations of OpenAI's and Azure's APIs and whether each is served, passed through or refused.
//!
//! It decides nothing: which path meets which handler is decided in `app.rs`, and a test compares both.

/// Treatment of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Support {
    /// Scored or looked up, sent to the best deployment, with fallback.
    Routed,
    /// Led to the deployment that has the object, for the key that created it.
    Stored,
    /// Answered by the router itself.
    Own,
    /// Sent on as it came, to a model of its kind; `[passthrough] paths`.
    Passed,
    /// The same for collections of objects, by `[passthrough] objects` only.
    PassedByConfig,
    /// Refused.
    Refused,
}

impl Support {
    /// The words of the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Routed => "routed",
            Self::Stored => "at its owner",
            Self::Own => "answered here",
            Self::Passed => "passed through",
            Self::PassedByConfig => "passed through if configured",
            Self::Refused => "refused",
        }
    }
}

/// One operation.
#[derive(Debug, Clone, Copy)]
pub struct Operation {
    /// The methods of its path.
    pub methods: &'static str,
    /// The path below `/v1`, or a whole one.
    pub path: &'static str,
    /// Treatment of the operation.
    pub support: Support,
    /// Note for readers.
    pub note: &'static str,
}

const fn row(
    methods: &'static str,
    path: &'static str,
    support: Support,
    note: &'static str,
) -> Operation {
    Operation { methods, path, support, note }
}

/// All of them.
pub const OPERATIONS: &[Operation] = &[
    row("POST", "/v1/chat/completions", Support::Routed, "also in Azure's dated form"),
    row("GET", "/v1/chat/completions", Support::Stored, "the caller's own stored completions"),
    row(
        "GET POST DELETE",
        "/v1/chat/completions/{id}",
        Support::Stored,
        "made with `store: true`, not streamed",
    ),
    row("GET", "/v1/chat/completions/{id}/messages", Support::Stored, ""),
    row("POST", "/v1/responses", Support::Routed, ""),
    row("POST", "/v1/responses/input_tokens", Support::Routed, "counts no tokens of the key"),
    row("POST", "/v1/responses/compact", Support::Routed, ""),
    row("GET DELETE", "/v1/responses/{id}", Support::Stored, ""),
    row("POST", "/v1/responses/{id}/cancel", Support::Stored, ""),
    row("GET", "/v1/responses/{id}/input_items", Support::Stored, ""),
    row(
        "POST",
        "/v1/conversations",
        Support::Stored,
        "created where the chat role's first model is",
    ),
    row("GET POST DELETE", "/v1/conversations/{id}", Support::Stored, ""),
    row("GET POST", "/v1/conversations/{id}/items", Support::Stored, ""),
    row("GET DELETE", "/v1/conversations/{id}/items/{item}", Support::Stored, ""),
    row("POST", "/v1/completions", Support::Routed, "the model must be named"),
    row("POST", "/v1/embeddings", Support::Routed, "the model must be named"),
    row("GET", "/v1/models", Support::Own, "names that the key may ask for"),
    row("GET", "/v1/models/{id}", Support::Own, ""),
    row("GET", "/v1/usage", Support::Own, "the caller's own usage and budgets"),
    row("POST", "/v1/route", Support::Own, "the decision alone; operators"),
    row("POST", "/models/chat/completions", Support::Routed, "Azure AI Inference"),
    row("POST", "/models/embeddings", Support::Routed, "Azure AI Inference"),
    row("GET", "/info", Support::Own, "Azure AI Inference"),
    row("POST", "/v1/images/generations", Support::Passed, "models with `media = \"images\"`"),
    row("POST", "/v1/images/edits", Support::Passed, ""),
    row("POST", "/v1/images/variations", Support::Passed, ""),
    row("POST", "/v1/audio/speech", Support::Passed, "models with `media = \"speech\"`"),
    row(
        "POST",
        "/v1/audio/transcriptions",
        Support::Passed,
        "models with `media = \"transcription\"`",
    ),
    row("POST", "/v1/audio/translations", Support::Passed, ""),
    row("POST", "/v1/moderations", Support::Passed, "models with `media = \"moderation\"`"),
    row("GET POST", "/v1/files", Support::PassedByConfig, "objects belong to their key"),
    row("GET POST DELETE", "/v1/files/{id}", Support::PassedByConfig, "and what lies below"),
    row("GET POST", "/v1/uploads", Support::PassedByConfig, ""),
    row("GET POST DELETE", "/v1/uploads/{id}", Support::PassedByConfig, "and what lies below"),
    row("GET POST", "/v1/vector_stores", Support::PassedByConfig, ""),
    row(
        "GET POST DELETE",
        "/v1/vector_stores/{id}",
        Support::PassedByConfig,
        "and what lies below",
    ),
    row("GET POST", "/v1/containers", Support::PassedByConfig, ""),
    row("GET POST DELETE", "/v1/containers/{id}", Support::PassedByConfig, "and what lies below"),
    row("GET", "/v1/realtime", Support::Refused, "501: WebSockets are not served"),
    row("POST", "/v1/fine_tuning/jobs", Support::Refused, "404"),
    row(
        "POST",
        "/v1/assistants",
        Support::Refused,
        "404; retired by OpenAI in favour of responses",
    ),
    row("POST", "/v1/threads", Support::Refused, "404"),
    row("POST", "/v1/evals", Support::Refused, "404"),
    row("POST", "/v1/videos", Support::Refused, "404"),
];
