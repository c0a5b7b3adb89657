//! Parses the JSON of a request once: reads the conversation and keeps the rest as written.
//!
//! Not done here: the meaning of the other fields (`scalars.rs`), and requirements on a request
//! (`request.rs`).

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::encrypted::Hidden;
use super::input::{Input, Reference};
use super::message::{Message, Text, once};
use super::operation::Operation;

/// The reason why a body is not a chat request: which field, and what was expected there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
#[non_exhaustive]
pub struct RequestFault {
    /// Path of the field, such as `messages[2].role`; `body` if no field can be named.
    pub field: String,
    /// The fault and the expected form; never text of a message.
    pub problem: String,
}

impl RequestFault {
    pub(super) fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { field: field.into(), problem: problem.into() }
    }
}

/// One top-level field of the body as it was written.
#[derive(Debug, Clone)]
pub(super) struct Field<'a> {
    pub(super) name: Cow<'a, str>,
    pub(super) value: &'a RawValue,
}

/// A body taken apart: the conversation, and all other fields as they were written.
pub(super) struct RawBody<'a> {
    pub(super) messages: Option<Vec<Message<'a>>>,
    pub(super) references: Vec<Reference<'a>>,
    pub(super) hidden: Hidden,
    /// The lists of tools that items of the input bring.
    pub(super) item_tools: Vec<&'a RawValue>,
    pub(super) fields: Vec<Field<'a>>,
}

impl<'a> RawBody<'a> {
    /// Takes a body apart. If the quick parse fails, a second one that keeps track of the path runs, so that the error
    /// names the field; no good request pays. A large body is not parsed twice: its error names the place.
    pub(super) fn read(operation: Operation, body: &'a str) -> Result<Self, RequestFault> {
        parsed(operation, body).map_err(|quick| {
            let small = body.len() <= PARSED_TWICE;
            small.then(|| named(operation, body)).flatten().unwrap_or_else(|| at(&quick))
        })
    }
}

/// The longest body that is parsed a second time to name the field at fault.
const PARSED_TWICE: usize = 256 << 10;

fn parsed(operation: Operation, body: &str) -> serde_json::Result<RawBody<'_>> {
    let mut json = serde_json::Deserializer::from_str(body);
    let raw = BodySeed(operation).deserialize(&mut json)?;
    json.end()?;
    Ok(raw)
}

/// Parses again, keeping track of the path, to name the field at fault.
fn named(operation: Operation, body: &str) -> Option<RequestFault> {
    let mut json = serde_json::Deserializer::from_str(body);
    let mut track = serde_path_to_error::Track::new();
    let json = serde_path_to_error::Deserializer::new(&mut json, &mut track);
    let fault = BodySeed(operation).deserialize(json).err()?;
    let path = track.path().to_string();
    // A `?` stands for a name that was not read to its end.
    let path = path.trim_end_matches('?').trim_end_matches('.');
    let field = if path.is_empty() { "body" } else { path };
    Some(RequestFault::new(field, described(&fault)))
}

fn at(fault: &serde_json::Error) -> RequestFault {
    RequestFault::new("body", described(fault))
}

fn described(fault: &serde_json::Error) -> String {
    let broken = if fault.is_syntax() || fault.is_eof() { "not valid JSON: " } else { "" };
    format!("{broken}{}", without_values(fault))
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

/// Reads a body of an operation.
struct BodySeed(Operation);

impl<'de> DeserializeSeed<'de> for BodySeed {
    type Value = RawBody<'de>;
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for BodySeed {
    type Value = RawBody<'de>;
    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON object")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut messages, mut instructions, mut input) = (None, None, None);
        let mut fields: Vec<Field<'de>> = Vec::with_capacity(12);
        let (mut names, mut hidden) = (Names::default(), Hidden::default());
        while let Some(Text(name)) = map.next_key()? {
            match (self.0, name.as_ref()) {
                (Operation::Chat, "messages") => {
                    once(&mut messages, &name, map.next_value::<Option<Vec<Message<'de>>>>()?)?;
                }
                (Operation::Responses, "instructions") => {
                    once(&mut instructions, &name, map.next_value::<Option<Text<'de>>>()?)?;
                }
                (Operation::Responses, "input") => {
                    once(&mut input, &name, map.next_value::<Option<Input<'de>>>()?)?;
                }
                _ => {
                    let field = Field { name, value: map.next_value()? };
                    if names.has(&field, &fields) {
                        let name = field.name;
                        return Err(A::Error::custom(format_args!("`{name}` is given twice")));
                    }
                    fields.push(field);
                }
            }
        }
        let (mut messages, mut references) = (messages.flatten(), Vec::new());
        let mut item_tools = Vec::new();
        if self.0 == Operation::Responses {
            let said = instructions.flatten().map(|Text(text)| Message::instructing(text));
            let input = input.flatten().unwrap_or_default();
            messages = Some(said.into_iter().chain(input.turns).collect());
            (references, hidden) = (input.references, input.hidden);
            item_tools = input.tools;
        }
        Ok(RawBody { messages, references, hidden, item_tools, fields })
    }
}

/// The names of an object's fields, so that none is taken twice: the upstream could go by the other value.
#[derive(Default)]
struct Names<'a>(HashSet<Cow<'a, str>>);

/// Up to so many fields are looked through one by one, which is quicker than hashing them.
const FEW: usize = 32;

impl<'a> Names<'a> {
    /// True if a field's name is among those of `fields`; called once for each field, before it is among them.
    fn has(&mut self, field: &Field<'a>, fields: &[Field<'a>]) -> bool {
        if fields.len() < FEW {
            return fields.iter().any(|known| known.name == field.name);
        }
        if self.0.is_empty() {
            self.0.extend(fields.iter().map(|field| field.name.clone()));
        }
        !self.0.insert(field.name.clone())
    }
}
