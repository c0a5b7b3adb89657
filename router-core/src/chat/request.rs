//! What did the caller ask for? A view over the JSON body: the fields we read, over the bytes we keep.
//!
//! The body is parsed once. Texts are borrowed from it wherever JSON escapes allow, and fields that we do not know are
//! skipped, not copied: they travel to the upstream byte for byte because the body itself does. Only what routing
//! needs is checked here; whether a value makes sense to a model is the upstream's to say. Where the quick parse
//! fails, a second one that keeps track of the path runs, so that the error names the field; no good request pays.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::units::Tokens;

use super::message::{Message, Text};

/// Why a body is not a chat request: which field, and what was expected there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct RequestFault {
    /// Path of the field, such as `messages[2].role`; `body` where no field can be named.
    pub field: String,
    /// What is wrong and what is expected; never text of a message.
    pub problem: String,
}

impl RequestFault {
    fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }
}

/// The form that the answer shall have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ResponseFormat {
    /// Free text, also where nothing was asked.
    #[default]
    Text,
    /// Any JSON object.
    JsonObject,
    /// JSON of a given schema ("structured outputs").
    JsonSchema,
}

/// One top-level field of the body as it was written.
#[derive(Debug, Clone)]
pub(super) struct Field<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) value: &'a RawValue,
}

/// A chat completion request: a view over its JSON body.
///
/// ```
/// use router_core::chat::ChatRequest;
/// let body = br#"{"model":"auto","messages":[{"role":"user","content":"Hi"}],"x_own":1}"#;
/// let request = ChatRequest::parse(body)?;
/// assert_eq!(request.model(), Some("auto"));
/// assert_eq!(request.messages().len(), 1);
/// assert_eq!(request.raw("x_own"), Some("1"));
///
/// let fault = ChatRequest::parse(br#"{"messages":[{"content":"Hi"}]}"#).unwrap_err();
/// assert_eq!(fault.field, "messages[0]");
/// # Ok::<(), router_core::chat::RequestFault>(())
/// ```
#[derive(Debug, Clone)]
pub struct ChatRequest<'a> {
    body: &'a str,
    messages: Vec<Message<'a>>,
    /// All top-level fields but `messages`, in the order of the body.
    fields: Vec<Field<'a>>,
    scalars: Scalars<'a>,
}

/// The small fields that routing reads, decoded.
#[expect(clippy::struct_excessive_bools, reason = "they mirror the booleans of the wire format")]
#[derive(Debug, Clone, Default)]
struct Scalars<'a> {
    model: Option<Cow<'a, str>>,
    stream: bool,
    include_usage: bool,
    max_tokens: Option<u64>,
    max_completion_tokens: Option<u64>,
    n: Option<u64>,
    reasoning_effort: Option<Cow<'a, str>>,
    user: Option<Cow<'a, str>>,
    prompt_cache_key: Option<Cow<'a, str>>,
    response_format: ResponseFormat,
    tools: bool,
    store: bool,
}

impl<'a> ChatRequest<'a> {
    /// Reads a request body.
    ///
    /// # Errors
    /// Names the first field that is not what a chat request has there: text that is not JSON, a body that is not an
    /// object, `messages` missing or empty, a message without a role, a field of the wrong type, or a field that
    /// routing reads given twice.
    pub fn parse(body: &'a [u8]) -> Result<Self, RequestFault> {
        let body = std::str::from_utf8(body)
            .map_err(|fault| RequestFault::new("body", format!("expected UTF-8 text: {fault}")))?;
        let raw: RawBody<'a> = serde_json::from_str(body)
            .map_err(|quick| named(body).unwrap_or_else(|| at(&quick)))?;
        let messages = raw
            .messages
            .ok_or_else(|| RequestFault::new("messages", "expected a list of messages"))?;
        if messages.is_empty() {
            return Err(RequestFault::new("messages", "expected at least one message, found none"));
        }
        let scalars = Scalars::read(&raw.fields)?;
        Ok(Self { body, messages, fields: raw.fields, scalars })
    }

    /// The body as it came.
    pub fn body(&self) -> &'a str {
        self.body
    }

    /// The messages, oldest first; never empty.
    pub fn messages(&self) -> &[Message<'a>] {
        &self.messages
    }

    /// The model that the caller named; `None` where it is absent or null.
    pub fn model(&self) -> Option<&str> {
        self.scalars.model.as_deref()
    }

    /// True where the answer shall be streamed.
    pub fn stream(&self) -> bool {
        self.scalars.stream
    }

    /// True where the caller asked for usage at the end of the stream.
    pub fn include_usage(&self) -> bool {
        self.scalars.include_usage
    }

    /// The cap on the answer's length, whichever of the two fields names it; the newer one wins.
    pub fn max_output(&self) -> Option<Tokens> {
        self.scalars.max_completion_tokens.or(self.scalars.max_tokens).map(Tokens)
    }

    /// How many answers are wished; 1 where nothing was said.
    pub fn n(&self) -> u64 {
        self.scalars.n.unwrap_or(1)
    }

    /// The effort that the caller asked of a reasoning model, as written.
    pub fn reasoning_effort(&self) -> Option<&str> {
        self.scalars.reasoning_effort.as_deref()
    }

    /// The caller's own name for its user.
    pub fn user(&self) -> Option<&str> {
        self.scalars.user.as_deref()
    }

    /// The caller's key for the prompt cache.
    pub fn prompt_cache_key(&self) -> Option<&str> {
        self.scalars.prompt_cache_key.as_deref()
    }

    /// The form that the answer shall have.
    pub fn response_format(&self) -> ResponseFormat {
        self.scalars.response_format
    }

    /// True where tools or functions are offered to the model.
    pub fn offers_tools(&self) -> bool {
        self.scalars.tools
    }

    /// True where the caller asked that the answer be stored.
    pub fn stores(&self) -> bool {
        self.scalars.store
    }

    /// How many images the messages carry.
    pub fn images(&self) -> usize {
        self.messages.iter().map(Message::images).sum()
    }

    /// A top-level field as it was written; `None` where it is absent or `messages`.
    pub fn raw(&self, name: &str) -> Option<&'a str> {
        self.field(name).map(|field| field.value.get())
    }

    /// The names of the top-level fields, `messages` left out.
    pub fn field_names(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(|field| field.name.as_ref())
    }

    pub(super) fn field(&self, name: &str) -> Option<&Field<'a>> {
        self.fields.iter().find(|field| field.name == name)
    }
}

/// The fields that routing reads; given twice they would mean two things, so that is refused.
const READ_ONCE: [&str; 16] = [
    "model",
    "messages",
    "stream",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "n",
    "reasoning_effort",
    "user",
    "prompt_cache_key",
    "response_format",
    "tools",
    "functions",
    "store",
    "temperature",
    "parallel_tool_calls",
];

impl<'a> Scalars<'a> {
    fn read(fields: &[Field<'a>]) -> Result<Self, RequestFault> {
        let mut scalars = Self::default();
        for field in fields {
            match field.name.as_ref() {
                "model" => scalars.model = decode(field, "a string or null")?,
                "stream" => scalars.stream = decode(field, "true, false or null")?.unwrap_or(false),
                "stream_options" => {
                    let options: Option<StreamOptions> = decode(field, "an object or null")?;
                    scalars.include_usage =
                        options.and_then(|options| options.include_usage).unwrap_or(false);
                }
                "max_tokens" => scalars.max_tokens = decode(field, COUNT)?,
                "max_completion_tokens" => scalars.max_completion_tokens = decode(field, COUNT)?,
                "n" => scalars.n = decode(field, COUNT)?,
                "reasoning_effort" => scalars.reasoning_effort = decode(field, "a string or null")?,
                "user" => scalars.user = decode(field, "a string or null")?,
                "prompt_cache_key" => scalars.prompt_cache_key = decode(field, "a string or null")?,
                "response_format" => {
                    let format: Option<Typed<'a>> =
                        decode(field, "an object with a `type`, or null")?;
                    scalars.response_format = match format.as_ref().map(|typed| typed.kind.as_ref())
                    {
                        Some("json_schema") => ResponseFormat::JsonSchema,
                        Some("json_object") => ResponseFormat::JsonObject,
                        Some(_) | None => ResponseFormat::Text,
                    };
                }
                "tools" | "functions" => scalars.tools |= list_has_items(field)?,
                "store" => scalars.store = decode(field, "true, false or null")?.unwrap_or(false),
                _ => {}
            }
        }
        Ok(scalars)
    }
}

const COUNT: &str = "a whole number of at least 0, or null";

/// Decodes a small field; `null` is `None`.
fn decode<'a, T: Deserialize<'a>>(
    field: &Field<'a>,
    expected: &str,
) -> Result<Option<T>, RequestFault> {
    serde_json::from_str(field.value.get()).map_err(|_| {
        let found = kind_of(field.value.get());
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

/// Parses again, keeping track of the path, to name the field at fault.
fn named(body: &str) -> Option<RequestFault> {
    let mut json = serde_json::Deserializer::from_str(body);
    let fault = serde_path_to_error::deserialize::<_, RawBody<'_>>(&mut json).err()?;
    let path = fault.path().to_string();
    let field = if path == "." || path.is_empty() { "body".to_owned() } else { path };
    Some(RequestFault::new(field, without_values(&fault.into_inner())))
}

fn at(fault: &serde_json::Error) -> RequestFault {
    RequestFault::new("body", without_values(fault))
}

/// serde's text of a fault, but without the value found: it may be text of a message.
fn without_values(fault: &serde_json::Error) -> String {
    let text = fault.to_string();
    match (text.find("string \""), text.rfind("\", expected")) {
        (Some(from), Some(to)) if from < to => {
            let (head, tail) = (text.get(..from), text.get(to + 1..));
            format!("{}string{}", head.unwrap_or_default(), tail.unwrap_or_default())
        }
        _ => text,
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

#[derive(Default)]
struct RawBody<'a> {
    messages: Option<Vec<Message<'a>>>,
    fields: Vec<Field<'a>>,
}

impl<'de> Deserialize<'de> for RawBody<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Body;
        impl<'de> Visitor<'de> for Body {
            type Value = RawBody<'de>;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a JSON object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut body = RawBody { messages: None, fields: Vec::with_capacity(12) };
                while let Some(Text(name)) = map.next_key()? {
                    let again = if name == "messages" {
                        body.messages.is_some()
                    } else {
                        READ_ONCE.contains(&name.as_ref())
                            && body.fields.iter().any(|field| field.name == name)
                    };
                    if again {
                        return Err(A::Error::custom(format!("`{name}` is given twice")));
                    }
                    if name == "messages" {
                        body.messages = map.next_value::<Option<Vec<Message<'de>>>>()?;
                    } else {
                        body.fields.push(Field { name, value: map.next_value()? });
                    }
                }
                Ok(body)
            }
        }
        from.deserialize_map(Body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, field: &str, part: &str) {
        let fault = ChatRequest::parse(body.as_bytes()).unwrap_err();
        assert_eq!(fault.field, field, "{fault}");
        assert!(fault.problem.contains(part), "{fault}");
    }

    const SAID: &str = r#""messages":[{"role":"user","content":"x"}]"#;

    #[test]
    fn faults_name_the_field_and_what_was_expected() {
        check("", "body", "EOF");
        check("[]", "body", "expected a JSON object");
        check("{\"a\":}", "a", "expected value");
        check("{}", "messages", "expected a list");
        check(r#"{"messages":[]}"#, "messages", "at least one");
        check(r#"{"messages":"geheim"}"#, "messages", "expected a sequence");
        check(
            r#"{"messages":[{"role":"user","content":"x"},{"content":"x"}]}"#,
            "messages[1]",
            "role",
        );
        check(
            r#"{"messages":[{"role":"user","content":5}]}"#,
            "messages[0].content",
            "a list of parts",
        );
        check(
            r#"{"messages":[{"role":"user","content":[{"text":"x"}]}]}"#,
            "messages[0].content[0]",
            "type",
        );
        check(
            &format!(r#"{{{SAID},"stream":"yes"}}"#),
            "stream",
            "expected true, false or null, found a string",
        );
        check(&format!(r#"{{{SAID},"max_tokens":-1}}"#), "max_tokens", "found a negative number");
        check(&format!(r#"{{{SAID},"n":1.5}}"#), "n", "found a fraction");
        check(&format!(r#"{{{SAID},"tools":{{}}}}"#), "tools", "expected a list or null");
        check(&format!(r#"{{{SAID},"model":"a","model":"b"}}"#), "body", "`model` is given twice");
    }

    #[test]
    fn faults_hold_no_text_of_a_message() {
        for body in [
            r#"{"messages":"geheim"}"#,
            r#"{"messages":["geheim"]}"#,
            r#"{"messages":[{"role":"user","content":[{"type":"text","text":["geheim"]}]}]}"#,
            r#"{"messages":[{"role":"user","content":["geheim \", expected"]}]}"#,
        ] {
            let fault = ChatRequest::parse(body.as_bytes()).unwrap_err();
            assert!(!fault.to_string().contains("geheim"), "{fault}");
        }
    }

    #[test]
    fn nulls_are_absent_and_unknown_fields_stay() {
        let body = r#"{"model":null,"messages":[{"role":"assistant","content":null,"tool_calls":[{}]}],
            "tools":null,"stream":null,"x_own":{"a":[1.0]},"response_format":{"type":"json_schema"}}"#;
        let request = ChatRequest::parse(body.as_bytes()).unwrap();
        assert_eq!(request.model(), None);
        assert!(!request.stream() && !request.offers_tools());
        assert_eq!(request.raw("x_own"), Some(r#"{"a":[1.0]}"#));
        assert_eq!(request.response_format(), ResponseFormat::JsonSchema);
        assert!(request.messages()[0].calls_tools);
    }

    #[test]
    fn texts_are_read_through_parts_and_escapes_in_both_languages() {
        let body = r#"{"messages":[{"role":"user","content":[
            {"type":"text","text":"\uc548\ub155"},{"type":"image_url","image_url":{"url":"x"}},
            {"type":"text","text":"Hi \"you\""}]}],"max_tokens":5,"max_completion_tokens":7}"#;
        let request = ChatRequest::parse(body.as_bytes()).unwrap();
        let texts: Vec<&str> = request.messages()[0].texts().collect();
        assert_eq!(texts, ["안녕", "Hi \"you\""]);
        assert_eq!(request.images(), 1);
        assert_eq!(request.max_output(), Some(Tokens(7)));
    }

    proptest::proptest! {
        #[test]
        fn no_input_panics(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            drop(ChatRequest::parse(&bytes));
        }

        #[test]
        fn no_cut_or_changed_request_panics(at in 0usize..150, byte in 0u8..) {
            let mut body = br#"{"model":"auto","messages":[{"role":"user","content":[{"type":"text","text":"\u00e9"}]}],"n":1,"stream":true}"#.to_vec();
            drop(ChatRequest::parse(&body[..at.min(body.len())]));
            let place = at % body.len();
            body[place] = byte;
            drop(ChatRequest::parse(&body));
        }
    }
}
