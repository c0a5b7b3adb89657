//! Messages: role and content, read directly from the body.
//!
//! Texts are borrowed wherever JSON escapes allow. Parts and fields that routing does not read are
//! skipped, not copied; they reach the upstream because the body itself is forwarded.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::value::RawValue;

use crate::units::Tokens;

use super::attachments;

/// The role of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Instructions, in the older word.
    System,
    /// Instructions, in the word of reasoning models.
    Developer,
    /// The person or program that asks.
    User,
    /// The model.
    Assistant,
    /// The answer of a tool.
    Tool,
    /// The answer of a function (the older form of tools).
    Function,
    /// A role that this version does not know; it is forwarded as it came.
    Other,
}

impl Role {
    pub(super) fn from_text(text: &str) -> Self {
        match text {
            "system" => Self::System,
            "developer" => Self::Developer,
            "user" => Self::User,
            "assistant" => Self::Assistant,
            "tool" => Self::Tool,
            "function" => Self::Function,
            _ => Self::Other,
        }
    }

    /// True for the roles of instructions.
    pub(crate) fn instructs(self) -> bool {
        matches!(self, Self::System | Self::Developer)
    }
}

/// Content of a message.
#[derive(Debug, Clone, PartialEq)]
pub enum Content<'a> {
    /// Nothing: `null` or absent, as in an assistant's message that only calls tools.
    Empty,
    /// One text.
    Text(Cow<'a, str>),
    /// A list of parts.
    Parts(Vec<Part<'a>>),
}

/// One part of a message.
#[derive(Debug, Clone, PartialEq)]
pub enum Part<'a> {
    /// A text.
    Text(Cow<'a, str>),
    /// An image, by address or inline.
    Image,
    /// A file or sound, with the tokens that it counts by its size.
    Attached(Tokens),
    /// A kind that this version does not know.
    Other,
}

/// One message: role and content.
#[derive(Debug, Clone)]
pub struct Message<'a> {
    /// The role.
    pub role: Role,
    /// Content.
    pub content: Content<'a>,
    /// True if the message calls tools or a function.
    pub calls_tools: bool,
    /// The role as written, quotes included: a place in the body that can be replaced. `None` if the body has none.
    pub(super) role_raw: Option<&'a RawValue>,
}

impl<'a> Message<'a> {
    /// A message that stands in the body without a role of its own.
    pub(super) fn of(role: Role, content: Content<'a>) -> Self {
        Self { role, content, calls_tools: false, role_raw: None }
    }

    /// Instructions outside the conversation.
    pub(super) fn instructing(text: Cow<'a, str>) -> Self {
        Self::of(Role::System, Content::Text(text))
    }
}

impl Message<'_> {
    /// The texts of the message, in order.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        let (one, parts) = match &self.content {
            Content::Empty => (None, &[][..]),
            Content::Text(text) => (Some(text.as_ref()), &[][..]),
            Content::Parts(parts) => (None, parts.as_slice()),
        };
        one.into_iter().chain(parts.iter().filter_map(|part| match part {
            Part::Text(text) => Some(text.as_ref()),
            Part::Image | Part::Attached(_) | Part::Other => None,
        }))
    }

    /// Number of images.
    pub fn images(&self) -> usize {
        match &self.content {
            Content::Empty | Content::Text(_) => 0,
            Content::Parts(parts) => {
                parts.iter().filter(|part| matches!(part, Part::Image)).count()
            }
        }
    }

    /// Tokens of its files and its sound, estimated by size.
    pub fn attached(&self) -> Tokens {
        let parts = match &self.content {
            Content::Empty | Content::Text(_) => &[][..],
            Content::Parts(parts) => parts,
        };
        let tokens = parts.iter().filter_map(|part| match part {
            Part::Attached(tokens) => Some(*tokens),
            Part::Text(_) | Part::Image | Part::Other => None,
        });
        tokens.sum()
    }
}

/// A string, borrowed if it has no escapes.
pub(super) struct Text<'a>(pub(super) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_str(TextVisitor("a string")).map(Text)
    }
}

struct TextVisitor(&'static str);

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Cow<'de, str>;
    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.0)
    }
    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
    fn visit_string<E: de::Error>(self, text: String) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text))
    }
}

impl<'de> Deserialize<'de> for Message<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(MessageVisitor)
    }
}

struct MessageVisitor;

impl<'de> Visitor<'de> for MessageVisitor {
    type Value = Message<'de>;
    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a message: an object with a role")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut role_raw: Option<&'de RawValue> = None;
        let (mut content, mut calls, mut call) = (None, None, None);
        while let Some(Text(name)) = map.next_key()? {
            match name.as_ref() {
                "role" => {
                    let raw: &'de RawValue = map.next_value()?;
                    if !raw.get().starts_with('"') || role_raw.replace(raw).is_some() {
                        return Err(A::Error::custom("expected one `role`, a string"));
                    }
                }
                "content" => once(&mut content, &name, map.next_value()?)?,
                "tool_calls" => once(&mut calls, &name, map.next_value::<&'de RawValue>()?)?,
                "function_call" => once(&mut call, &name, map.next_value::<&'de RawValue>()?)?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let role_raw = role_raw.ok_or_else(|| A::Error::missing_field("role"))?;
        let Text(role) = serde_json::from_str(role_raw.get()).map_err(A::Error::custom)?;
        let role = Role::from_text(&role);
        let mut calls = calls.into_iter().chain(call);
        let calls_tools = calls.any(|raw| !matches!(raw.get(), "null" | "[]"));
        let content = content.unwrap_or(Content::Empty);
        Ok(Message { role, content, calls_tools, role_raw: Some(role_raw) })
    }
}

/// Takes the value of a field that an object may have once: the upstream could go by another one than the router.
pub(super) fn once<T, E: Error>(slot: &mut Option<T>, name: &str, value: T) -> Result<(), E> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(E::custom(format_args!("`{name}` is given twice"))),
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Content<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct ContentVisitor;
        impl<'de> Visitor<'de> for ContentVisitor {
            type Value = Content<'de>;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a string, a list of parts or null")
            }
            fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
                Ok(Content::Empty)
            }
            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Content::Text(Cow::Borrowed(text)))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Content::Text(Cow::Owned(text.to_owned())))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut parts = Vec::with_capacity(list.size_hint().unwrap_or(2));
                while let Some(part) = list.next_element_seed(PartSeed)? {
                    parts.push(part);
                }
                Ok(Content::Parts(parts))
            }
        }
        from.deserialize_any(ContentVisitor)
    }
}

/// Reads one part: `{"type":"text","text":..}`, `{"type":"image_url",..}` or another kind.
struct PartSeed;

impl<'de> DeserializeSeed<'de> for PartSeed {
    type Value = Part<'de>;
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for PartSeed {
    type Value = Part<'de>;
    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a part: an object with a type")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut kind, mut text) = (None, None);
        let (mut file, mut data, mut sound) = (None, None, None);
        while let Some(Text(name)) = map.next_key()? {
            match name.as_ref() {
                "type" => once(&mut kind, &name, map.next_value::<Text<'de>>()?)?,
                "text" => once(&mut text, &name, map.next_value::<Option<Text<'de>>>()?)?,
                "file" => once(&mut file, &name, map.next_value::<&'de RawValue>()?)?,
                "file_data" => once(&mut data, &name, map.next_value::<&'de RawValue>()?)?,
                "input_audio" => once(&mut sound, &name, map.next_value::<&'de RawValue>()?)?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let Some(Text(kind)) = kind else { return Err(A::Error::missing_field("type")) };
        Ok(match (kind.as_ref(), text.flatten()) {
            ("text" | "input_text" | "output_text", Some(Text(text))) => Part::Text(text),
            ("image_url" | "input_image", _) => Part::Image,
            ("file", _) => {
                let whole = file.map(|file| attachments::of_file(file.get()));
                Part::Attached(whole.unwrap_or_default())
            }
            ("input_file", _) => {
                let whole = data.map(|data| attachments::of_file_data(data.get()));
                Part::Attached(whole.unwrap_or_else(attachments::of_file_elsewhere))
            }
            ("input_audio", _) => {
                let whole = sound.map(|sound| attachments::of_sound(sound.get()));
                Part::Attached(whole.unwrap_or_default())
            }
            _ => Part::Other,
        })
    }
}
