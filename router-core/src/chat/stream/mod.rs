//! Classifies the events of a stream and reads the few fields that routing needs.
//!
//! An event is relayed once its last byte has arrived (`event_splitter`), so a broken upstream
//! leaves no partial event before the error event that follows.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::model::ServiceTier;

use super::event_splitter::data_of;
use super::hosted;
use super::hosted::{HostedCalls, LooseText};
use super::message::Text;
use super::reported::Reported;
use super::said::{Said, is_blank};
use super::usage::{RawUsage, Usage, loosely};

pub use super::event_splitter::Splitter;

/// Kind of a stream's event, of any operation; kinds are told apart by their fields.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A comment, an empty event, or one that holds nothing we know.
    Nothing,
    /// A chunk of the answer.
    Chunk(Chunk),
    /// The upstream reports an error instead of a chunk.
    Error(Reported),
    /// `[DONE]`.
    Done,
    /// A `data` line that is no chunk: no object of JSON, or one of another shape. A gateway's own word.
    Foreign,
    /// A `data` line that begins as an object and is broken JSON.
    Malformed,
}

/// Parts of a chunk that routing needs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Chunk {
    /// True if the chunk carries anything that a caller acts upon: content, a refusal, reasoning, sound, a tool call, a hosted
    /// tool at work, the id of an answer in the background. From here on the caller has seen something.
    pub content: bool,
    /// The number of bytes of content.
    pub(crate) content_bytes: usize,
    /// The choices that the chunk is about, as bits by their index.
    pub choices: u128,
    /// Those of them that end with it.
    pub finished: u128,
    /// The reason why a choice ended, if this chunk has it.
    pub finish_reason: Option<Box<str>>,
    /// Usage, if this chunk reports it.
    pub usage: Option<Usage>,
    /// True for the chunk that only reports usage: it has no choice.
    pub(crate) reports_usage: bool,
    /// True for the last event of a stream.
    pub last: bool,
    /// The model that answers, by its own word.
    pub model: Option<Box<str>>,
    /// The place in the stream of an event of the Responses API; `None` for chunks of chat.
    pub sequence: Option<u64>,
    /// The id of the response, if the event contains one.
    pub response_id: Option<Box<str>>,
    /// The service tier, by the chunk's own word.
    pub tier: Option<ServiceTier>,
    /// The hosted tools that the whole answer called, if the chunk holds it.
    pub hosted: HostedCalls,
    /// The hosted tool that was called by the item which is done with this chunk.
    pub(crate) hosted_item: HostedCalls,
}

#[derive(Deserialize)]
struct RawChunk<'a> {
    #[serde(default, borrow)]
    choices: Option<Vec<RawChoice<'a>>>,
    #[serde(default, borrow)]
    usage: Option<&'a RawValue>,
    #[serde(default, borrow)]
    model: Option<Text<'a>>,
    #[serde(default, borrow)]
    error: Option<&'a RawValue>,
    /// The kind of an event of the Responses API, or of what is passed through.
    #[serde(default, borrow, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(default)]
    sequence_number: Option<u64>,
    #[serde(default, borrow)]
    delta: Option<&'a RawValue>,
    #[serde(default, borrow)]
    response: Option<RawResponse<'a>>,
    #[serde(default, borrow)]
    service_tier: Option<LooseText<'a>>,
    #[serde(default, borrow)]
    item: Option<hosted::Item<'a>>,
}

/// The response that an event of the Responses API is about.
#[derive(Deserialize)]
struct RawResponse<'a> {
    #[serde(default, borrow)]
    id: Option<Text<'a>>,
    #[serde(default, borrow)]
    model: Option<Text<'a>>,
    #[serde(default, deserialize_with = "loosely")]
    usage: Option<RawUsage>,
    #[serde(default)]
    error: Option<Value>,
    /// True for an answer that is created in the background.
    #[serde(default, borrow)]
    background: Option<&'a RawValue>,
    #[serde(default, borrow)]
    service_tier: Option<LooseText<'a>>,
    #[serde(default, deserialize_with = "hosted::of_output")]
    output: HostedCalls,
}

#[derive(Deserialize)]
struct RawChoice<'a> {
    #[serde(default)]
    index: Option<u32>,
    #[serde(default, borrow)]
    delta: Option<Said<'a>>,
    /// Text of legacy completions, which have no delta.
    #[serde(default, borrow)]
    text: Option<Text<'a>>,
    #[serde(default, borrow)]
    finish_reason: Option<Text<'a>>,
}

impl Event {
    /// Reads one event as the splitter gave it.
    pub fn read(event: &[u8]) -> Self {
        match data_of(event) {
            None => Self::Nothing,
            Some(data) => Self::of_data(&data),
        }
    }

    fn of_data(data: &[u8]) -> Self {
        if data == b"[DONE]" {
            return Self::Done;
        }
        if data.first() != Some(&b'{') {
            return Self::Foreign;
        }
        let Ok(raw) = serde_json::from_slice::<RawChunk<'_>>(data) else {
            let readable = serde_json::from_slice::<serde::de::IgnoredAny>(data).is_ok();
            return if readable { Self::Foreign } else { Self::Malformed };
        };
        let kind = raw.kind.as_ref().map(|kind| kind.0.as_ref());
        if kind == Some("error") && raw.error.is_none() {
            return Self::Error(Reported::flat(data));
        }
        let typed = kind.is_some_and(is_typed);
        // Some gateways send an error that says nothing with every chunk.
        let answers = typed || raw.choices.is_some();
        if let Some(error) = raw.error.filter(|error| !(answers && is_blank(error))) {
            let error = serde_json::from_str(error.get()).unwrap_or_default();
            return Self::Error(Reported::read(&error));
        }
        if typed {
            return Self::of_response(raw);
        }
        let choices = raw.choices.unwrap_or_default();
        let mut chunk = Chunk {
            usage: raw.usage.and_then(usage_of),
            reports_usage: choices.is_empty() && raw.usage.is_some(),
            model: raw.model.filter(|model| !model.0.is_empty()).map(|model| model.0.into()),
            tier: raw.service_tier.as_ref().and_then(tier),
            ..Chunk::default()
        };
        for choice in choices {
            let place = place(choice.index);
            chunk.choices |= place;
            let delta = choice.delta.unwrap_or_default();
            let text = choice.text.map_or(0, |text| text.0.len());
            chunk.content |= delta.content || text > 0;
            chunk.content_bytes += delta.bytes + text;
            // Some services write an empty reason while the choice goes on.
            let reason = |reason: &Text<'_>| !reason.0.is_empty();
            let finished =
                choice.finish_reason.filter(reason).or(delta.finish_reason.filter(reason));
            let finished = finished.map(|reason| reason.0.into());
            chunk.finished |= if finished.is_some() { place } else { 0 };
            chunk.finish_reason = finished.or(chunk.finish_reason);
        }
        Self::Chunk(chunk)
    }

    /// An event of the Responses API, or of speech, a transcript or images that are passed through. What the model says comes
    /// in events whose kind ends with `.delta`.
    ///
    /// **Source:** `OpenAI` API reference, "Streaming events" of the Responses API, "Create speech", "Create transcription",
    /// "Create image".
    fn of_response(raw: RawChunk<'_>) -> Self {
        let kind = raw.kind.map(|kind| kind.0).unwrap_or_default();
        let mut hosted_tools = HostedCalls::default();
        let mut served_by = None;
        let mut background = false;
        let (id, model, usage, failed) = match raw.response {
            Some(about) => {
                hosted_tools = about.output;
                served_by = about.service_tier.as_ref().and_then(tier);
                background = about.background.is_some_and(|raw| raw.get() == "true");
                (about.id, about.model, about.usage, about.error)
            }
            None => (None, None, None, None),
        };
        let item = raw.item.as_ref().and_then(hosted::Item::kind);
        let content = background || is_content(&kind, item);
        let done = raw.item.filter(|_| kind == "response.output_item.done");
        if kind == "response.failed" {
            let usage = usage.and_then(RawUsage::usage);
            return Self::Error(Reported { usage, ..Reported::read(&failed.unwrap_or_default()) });
        }
        let said = kind.ends_with(".delta");
        let delta = raw.delta.map_or(0, |delta| delta.get().len().saturating_sub(2));
        let boxed = |text: Text<'_>| -> Box<str> { text.0.into() };
        Self::Chunk(Chunk {
            content,
            content_bytes: if said { delta } else { 0 },
            choices: 0,
            finished: 0,
            finish_reason: ENDS.contains(&kind.as_ref()).then(|| kind.as_ref().into()),
            usage: usage.and_then(RawUsage::usage).or(raw.usage.and_then(usage_of)),
            reports_usage: false,
            last: LAST.contains(&kind.as_ref()),
            model: model.filter(|model| !model.0.is_empty()).map(boxed),
            sequence: Some(raw.sequence_number.unwrap_or_default()),
            response_id: id.map(boxed),
            tier: served_by,
            hosted: hosted_tools,
            hosted_item: HostedCalls::of_items(done),
        })
    }
}

fn tier(word: &LooseText<'_>) -> Option<ServiceTier> {
    word.0.as_ref().and_then(|word| ServiceTier::named(&word.0))
}

fn usage_of(raw: &RawValue) -> Option<Usage> {
    let raw: Option<RawUsage> = serde_json::from_str(raw.get()).ok().flatten();
    raw.and_then(RawUsage::usage)
}

/// The kinds of the last event of a stream of the Responses API that went well.
const LAST: [&str; 3] = ["response.completed", "response.incomplete", "response.cancelled"];

/// The kinds after which a stream is whole: several images end one by one.
const ENDS: [&str; 7] = [
    "response.completed",
    "response.incomplete",
    "response.cancelled",
    "speech.audio.done",
    "transcript.text.done",
    "image_generation.completed",
    "image_edit.completed",
];

/// The families of events that name their kind.
const TYPED: [&str; 5] =
    ["response.", "speech.", "transcript.", "image_generation.", "image_edit."];

/// The kinds by which an answer only announces itself: until another event comes, another deployment can still answer.
const PREAMBLE: [&str; 5] = [
    "response.created",
    "response.queued",
    "response.in_progress",
    "response.content_part.added",
    "response.reasoning_summary_part.added",
];

/// The items that announce text to come; any other is a tool at work.
const TEXT_ITEMS: [&str; 2] = ["message", "reasoning"];

fn is_typed(kind: &str) -> bool {
    TYPED.iter().any(|family| kind.starts_with(family))
}

/// True for an event that matters to the caller. Unknown kinds do: they may belong to a tool.
fn is_content(kind: &str, item: Option<&str>) -> bool {
    if kind == "response.output_item.added" {
        return item.is_some_and(|item| !TEXT_ITEMS.contains(&item));
    }
    !PREAMBLE.contains(&kind) && !LAST.contains(&kind)
}

/// The bit of a choice.
///
/// **Source:** `OpenAI` API reference, "Create chat completion", `n`: at most 128 choices. One beyond is not counted.
fn place(index: Option<u32>) -> u128 {
    1u128.checked_shl(index.unwrap_or_default()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
