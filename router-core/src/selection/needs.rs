//! Capabilities that a request needs from a model, and its size in tokens.

use crate::capacity::Load;
use crate::chat::ChatRequest;
use crate::chat::Operation;
use crate::chat::ResponseFormat;
use crate::chat::Weight;
use crate::chat::tokens;
use crate::chat::tokens::Size;
use crate::deployment::Deployment;
use crate::model::Medium;
use crate::model::ModelRecord;
use crate::units::Tokens;

/// Capabilities that a request needs from a model.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a yes or no that a model's record answers"
)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// The prompt, approximately.
    pub prompt: Tokens,
    /// The longest text that must fit the model's window at once.
    pub longest: Weight,
    /// The characters of the prompt.
    pub characters: u64,
    /// The caller's cap on all its answers together; `None` if it names none.
    pub cap: Option<Tokens>,
    /// The answer: its maximum, or an estimate.
    pub output: Tokens,
    /// True if the answer is streamed, so that the time to the first token counts.
    pub streamed: bool,
    /// The features that the request uses.
    pub operation: Operation,
    tools: bool,
    images: bool,
    schema: bool,
}

/// Assumed output tokens if the caller gives no cap; used only to rank by cost.
const USUAL_OUTPUT: Tokens = Tokens(512);

impl Needs {
    /// Needs of a chat request of a caller, named by its key.
    pub fn of(request: &ChatRequest<'_>, caller: Option<&str>) -> Self {
        let Size { tokens: prompt, characters } = tokens::size_of_prompt(request, caller);
        let inputs = request.inputs().map_or(0, |inputs| inputs.characters);
        // Only the service knows how much of the context window a file takes.
        let read = Tokens(prompt.0.saturating_sub(request.attached().0));
        let longest = request.inputs().map_or(Weight::estimated(read), |inputs| inputs.longest);
        Self {
            prompt,
            longest,
            characters: characters.saturating_add(inputs),
            cap: cap(request),
            output: request.max_output().map_or(USUAL_OUTPUT, |cap| cap.min(USUAL_OUTPUT)),
            streamed: request.stream(),
            operation: request.operation(),
            tools: request.offers_tools(),
            images: request.images() > 0,
            schema: request.response_format() == ResponseFormat::JsonSchema,
        }
    }

    /// The size of the request on arrival, without cached parts.
    pub fn load(&self) -> Load {
        let Self { prompt, characters, cap, .. } = *self;
        Load { prompt, cached: Tokens::ZERO, characters, cap }
    }

    /// Words for the optional features that the request uses.
    pub fn features(&self) -> impl Iterator<Item = &'static str> + use<> {
        let all =
            [(self.tools, "tools"), (self.images, "images"), (self.schema, "structured_outputs")];
        all.into_iter().filter_map(|(used, word)| used.then_some(word))
    }

    /// The first required feature that the deployment lacks.
    pub(super) fn lacking(&self, deployment: &Deployment) -> Option<&'static str> {
        let abilities = &deployment.model.abilities;
        let responses = abilities.responses && deployment.api.serves_responses();
        let (serves, name) = match self.operation {
            Operation::Chat => (abilities.chat_completions, "chat completions"),
            Operation::Responses | Operation::InputTokens | Operation::Compact => {
                (responses, "Responses API")
            }
            Operation::Completions => (abilities.completions, "legacy completions"),
            Operation::Embeddings => (abilities.embeddings, "embeddings"),
            Operation::Passed(medium) => (
                abilities.media.serves(medium),
                medium.map_or("images, sound or moderations", Medium::as_str),
            ),
        };
        [
            (!serves, name),
            (self.tools && !abilities.tools, "tools"),
            (self.images && !abilities.images, "images"),
            (self.schema && !abilities.structured_outputs, "structured outputs"),
        ]
        .into_iter()
        .find_map(|(lacking, name)| lacking.then_some(name))
    }

    /// True if the prompt, or one of several inputs, certainly exceeds the limit. In doubt the upstream decides.
    pub(super) fn too_long_for(&self, model: &ModelRecord) -> bool {
        self.longest.least() > model.context_window
    }
}

/// The caller's cap on all its answers together; what writes no text needs none.
fn cap(request: &ChatRequest<'_>) -> Option<Tokens> {
    match request.operation() {
        Operation::Chat | Operation::Responses | Operation::Compact | Operation::Completions => {
            request.max_output().map(|cap| Tokens(cap.0.saturating_mul(request.n().max(1))))
        }
        Operation::InputTokens | Operation::Embeddings | Operation::Passed(_) => Some(Tokens::ZERO),
    }
}
