//! Decodes the small fields of a body that routing reads; all others are left as they are.

use std::borrow::Cow;

use serde::Deserialize;

use super::body::{Field, RequestFault};
use super::operation::Operation;
use super::request::ResponseFormat;

/// The small fields that routing reads, decoded.
#[expect(clippy::struct_excessive_bools, reason = "each is a field of the wire")]
#[derive(Debug, Clone, Default)]
pub(super) struct Scalars<'a> {
    pub(super) model: Option<Cow<'a, str>>,
    pub(super) stream: bool,
    pub(super) include_usage: bool,
    pub(super) max_tokens: Option<u64>,
    pub(super) max_completion_tokens: Option<u64>,
    pub(super) n: Option<u64>,
    pub(super) reasoning_effort: Option<Cow<'a, str>>,
    pub(super) user: Option<Cow<'a, str>>,
    pub(super) prompt_cache_key: Option<Cow<'a, str>>,
    pub(super) response_format: ResponseFormat,
    pub(super) tools: bool,
    pub(super) store: Option<bool>,
    pub(super) previous_response: Option<Cow<'a, str>>,
    pub(super) conversation: Option<Cow<'a, str>>,
    pub(super) background: bool,
}

impl<'a> Scalars<'a> {
    /// Decodes what an operation's requests have.
    pub(super) fn read(operation: Operation, fields: &[Field<'a>]) -> Result<Self, RequestFault> {
        let mut scalars = Self::default();
        for field in fields {
            match operation {
                Operation::Chat | Operation::Completions => scalars.take_chat(field)?,
                Operation::Responses | Operation::InputTokens | Operation::Compact => {
                    scalars.take_responses(field)?;
                }
                Operation::Embeddings | Operation::Passed(_) => scalars.take_common(field)?,
            }
        }
        Ok(scalars)
    }

    /// The fields that every operation has.
    fn take_common(&mut self, field: &Field<'a>) -> Result<(), RequestFault> {
        match field.name.as_ref() {
            "model" => self.model = decode(field, "a string or null")?,
            "user" => self.user = decode(field, "a string or null")?,
            _ => {}
        }
        Ok(())
    }

    fn take_chat(&mut self, field: &Field<'a>) -> Result<(), RequestFault> {
        let scalars = self;
        {
            match field.name.as_ref() {
                "stream" => scalars.stream = decode(field, BOOLEAN)?.unwrap_or(false),
                "stream_options" => {
                    let options: Option<StreamOptions> = decode(field, "an object or null")?;
                    scalars.include_usage =
                        options.and_then(|options| options.include_usage).unwrap_or(false);
                }
                "max_tokens" => scalars.max_tokens = decode(field, COUNT)?,
                "max_completion_tokens" => scalars.max_completion_tokens = decode(field, COUNT)?,
                "n" => scalars.n = decode(field, COUNT)?,
                "reasoning_effort" => scalars.reasoning_effort = decode(field, "a string or null")?,
                "prompt_cache_key" => scalars.prompt_cache_key = decode(field, "a string or null")?,
                "response_format" => {
                    let format: Option<Typed<'a>> =
                        decode(field, "an object with a `type`, or null")?;
                    scalars.response_format = format_of(format.as_ref());
                }
                "tools" | "functions" => scalars.tools |= list_has_items(field)?,
                "store" => scalars.store = decode(field, BOOLEAN)?,
                _ => return scalars.take_common(field),
            }
        }
        Ok(())
    }

    fn take_responses(&mut self, field: &Field<'a>) -> Result<(), RequestFault> {
        match field.name.as_ref() {
            "stream" => self.stream = decode(field, BOOLEAN)?.unwrap_or(false),
            "max_output_tokens" => self.max_completion_tokens = decode(field, COUNT)?,
            "reasoning" => {
                let reasoning: Option<Reasoning<'a>> = decode(field, "an object or null")?;
                self.reasoning_effort = reasoning.and_then(|reasoning| reasoning.effort);
            }
            "text" => {
                let text: Option<TextOptions<'a>> = decode(field, "an object or null")?;
                let format = text.and_then(|text| text.format);
                self.response_format = format_of(format.as_ref());
            }
            "tools" => self.tools = list_has_items(field)?,
            "store" => self.store = decode(field, BOOLEAN)?,
            "background" => self.background = decode(field, BOOLEAN)?.unwrap_or(false),
            "previous_response_id" => {
                let id: Option<Cow<'a, str>> = decode(field, "a string or null")?;
                self.previous_response = id.filter(|id| !id.is_empty());
            }
            "conversation" => {
                let named: Option<Named<'a>> =
                    decode(field, "an id, an object with an `id`, or null")?;
                self.conversation = named.map(Named::id).filter(|id| !id.is_empty());
            }
            "prompt_cache_key" => self.prompt_cache_key = decode(field, "a string or null")?,
            _ => return self.take_common(field),
        }
        Ok(())
    }
}

fn format_of(format: Option<&Typed<'_>>) -> ResponseFormat {
    match format.map(|typed| typed.kind.as_ref()) {
        Some("json_schema") => ResponseFormat::JsonSchema,
        Some("json_object") => ResponseFormat::JsonObject,
        Some(_) | None => ResponseFormat::Text,
    }
}

const BOOLEAN: &str = "true, false or null";
const COUNT: &str = "a whole number of at least 0, or null";

/// Decodes a small field; `null` is `None`.
fn decode<'a, T: Deserialize<'a>>(
    field: &Field<'a>,
    expected: &str,
) -> Result<Option<T>, RequestFault> {
    serde_json::from_str(field.value.get()).map_err(|fault| {
        // An upstream could read the other one of two values.
        let twice = fault.to_string().starts_with("duplicate field");
        let found = if twice { "a field in it twice" } else { kind_of(field.value.get()) };
        RequestFault::new(field.name.clone(), format!("expected {expected}, found {found}"))
    })
}

fn list_has_items(field: &Field<'_>) -> Result<bool, RequestFault> {
    let text = field.value.get();
    match text.strip_prefix('[') {
        Some(rest) => Ok(!rest.trim_start().starts_with(']')),
        None if text == "null" => Ok(false),
        None => Err(RequestFault::new(
            field.name.clone(),
            format!("expected a list or null, found {}", kind_of(text)),
        )),
    }
}

/// The kind of a JSON value in words; numbers are told apart because "a negative number" is a usual fault.
fn kind_of(text: &str) -> &'static str {
    match text.as_bytes().first() {
        Some(b'"') => "a string",
        Some(b'{') => "an object",
        Some(b'[') => "a list",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        Some(b'-') => "a negative number",
        Some(_) if text.contains(['.', 'e', 'E']) => "a fraction",
        Some(_) => "a number",
        None => "nothing",
    }
}

#[derive(Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
}

#[derive(Deserialize)]
struct Typed<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Reasoning<'a> {
    #[serde(default, borrow)]
    effort: Option<Cow<'a, str>>,
}

/// A conversation, by its id or as an object that has one.
#[derive(Deserialize)]
#[serde(untagged)]
enum Named<'a> {
    Id(#[serde(borrow)] Cow<'a, str>),
    Object {
        #[serde(borrow)]
        id: Cow<'a, str>,
    },
}

impl<'a> Named<'a> {
    fn id(self) -> Cow<'a, str> {
        match self {
            Self::Id(id) | Self::Object { id } => id,
        }
    }
}

#[derive(Deserialize)]
struct TextOptions<'a> {
    #[serde(default, borrow)]
    format: Option<Typed<'a>>,
}
