//! Reads the `input` of the Responses API as the turns of a conversation: one text, or a list of
//! items.
//!
//! There are many kinds of items, and every new tool adds some. Items with a role are messages.
//! Tool calls and tool results are recognized by the ending of their type. Of all other items, only
//! the reference to a stored item is read.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::encrypted::{ContentHash, Hidden, REASONING};
use super::message::{Content, Message, Role, Text, once};

/// The turns of an `input`, and the stored items that they need.
#[derive(Default)]
pub(super) struct Input<'a> {
    pub(super) turns: Vec<Message<'a>>,
    pub(super) references: Vec<Reference<'a>>,
    pub(super) hidden: Hidden,
    /// The lists of tools that items bring.
    pub(super) tools: Vec<&'a RawValue>,
}

/// A stored item that an `input` needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference<'a> {
    /// The item's id.
    pub id: Cow<'a, str>,
    /// True of an `item_reference`, which is nothing but the id; false of hidden reasoning whose text only the service has,
    /// if it has stored it.
    pub bare: bool,
}

impl<'a> Input<'a> {
    fn said(text: Cow<'a, str>) -> Self {
        let turns = vec![Message::of(Role::User, Content::Text(text))];
        Self { turns, ..Self::default() }
    }
}

impl<'de> Deserialize<'de> for Input<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(InputVisitor)
    }
}

struct InputVisitor;

impl<'de> Visitor<'de> for InputVisitor {
    type Value = Input<'de>;
    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a string or a list of items")
    }
    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Input::said(Cow::Borrowed(text)))
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Input::said(Cow::Owned(text.to_owned())))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut turns = Vec::with_capacity(list.size_hint().unwrap_or(4));
        let (mut references, mut hidden) = (Vec::new(), Hidden::default());
        let mut tools = Vec::new();
        while let Some(item) = list.next_element_seed(ItemSeed)? {
            turns.push(item.turn);
            references.extend(item.reference);
            hidden.encrypted.extend(item.encrypted);
            hidden.reasoning |= item.reasoning;
            tools.extend(item.tools);
        }
        Ok(Input { turns, references, hidden, tools })
    }
}

/// One item of an `input`.
struct Item<'a> {
    turn: Message<'a>,
    reference: Option<Reference<'a>>,
    encrypted: Option<ContentHash>,
    reasoning: bool,
    tools: Option<&'a RawValue>,
}

/// Reads one item.
struct ItemSeed;

impl<'de> DeserializeSeed<'de> for ItemSeed {
    type Value = Item<'de>;
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ItemSeed {
    type Value = Item<'de>;
    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an item: an object")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut role, mut kind, mut id) = (None, None, None);
        let (mut encrypted, mut content, mut output, mut tools) = (None, None, None, None);
        while let Some(Text(name)) = map.next_key()? {
            match name.as_ref() {
                "role" => once(&mut role, &name, map.next_value::<Option<Text<'de>>>()?)?,
                "type" => once(&mut kind, &name, map.next_value::<Option<Text<'de>>>()?)?,
                "id" => once(&mut id, &name, map.next_value::<Option<Text<'de>>>()?)?,
                "encrypted_content" => {
                    once(&mut encrypted, &name, map.next_value::<Option<Text<'de>>>()?)?;
                }
                "content" => once(&mut content, &name, map.next_value()?)?,
                "tools" => once(&mut tools, &name, map.next_value::<&'de RawValue>()?)?,
                "output" => once(&mut output, &name, map.next_value::<&'de RawValue>()?)?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        let (role, id) = (role.flatten(), id.flatten());
        let kind = kind.flatten().map(|Text(kind)| kind);
        let encrypted = encrypted.flatten().filter(|Text(content)| !content.is_empty());
        let encrypted = encrypted.map(|Text(content)| ContentHash::of(&content));
        // Nothing but a stored item's id, whatever else stands in it: a reference, with a role or without, or what neither
        // says its kind nor has a content.
        let bare = kind.as_deref().map_or(content.is_none(), |kind| kind == REFERENCE);
        let reasoning = kind.as_deref() == Some(REASONING);
        let needed = bare || (reasoning && encrypted.is_none());
        let reference = id.filter(|_| needed).map(|Text(id)| Reference { id, bare });
        let turn = match (role, kind.as_deref()) {
            (Some(Text(role)), _) => {
                Message::of(Role::from_text(&role), content.unwrap_or(Content::Empty))
            }
            (None, Some(kind)) if kind.ends_with("_output") => {
                // A text, parts, or whatever the tool at hand returns.
                let output = output.and_then(|raw| serde_json::from_str(raw.get()).ok());
                Message::of(Role::Tool, output.unwrap_or(Content::Empty))
            }
            (None, Some(kind)) if kind.ends_with("_call") => {
                Message { calls_tools: true, ..Message::of(Role::Assistant, Content::Empty) }
            }
            (None, _) => Message::of(Role::Other, Content::Empty),
        };
        let tools = tools.filter(|tools| tools.get() != "null");
        Ok(Item { turn, reference, encrypted, reasoning, tools })
    }
}

/// The kind of an item that only names a stored one.
const REFERENCE: &str = "item_reference";

#[cfg(test)]
mod tests {
    use super::super::operation::Operation;
    use super::super::request::ChatRequest;
    use super::*;

    #[track_caller]
    fn check(body: &str, expected: &[(Role, &str)]) {
        let request = ChatRequest::read(Operation::Responses, body.as_bytes()).unwrap();
        let said: Vec<(Role, String)> = request
            .messages()
            .iter()
            .map(|message| (message.role, message.texts().collect()))
            .collect();
        let said: Vec<(Role, &str)> = said.iter().map(|(role, text)| (*role, &**text)).collect();
        assert_eq!(said, expected, "{body}");
    }

    #[test]
    fn texts_and_items_are_turns() {
        check(r#"{"input":"안녕"}"#, &[(Role::User, "안녕")]);
        check(r#"{"input":"a\"b"}"#, &[(Role::User, "a\"b")]);
        check(
            r#"{"input":[{"role":"user","content":"x"}],"instructions":"be brief"}"#,
            &[(Role::System, "be brief"), (Role::User, "x")],
        );
        check(
            r#"{"instructions":null,"input":[
                {"type":"message","role":"developer","content":[{"type":"input_text","text":"d"}]},
                {"type":"message","role":"assistant","id":"m","content":[{"type":"output_text","text":"said"}]},
                {"type":"reasoning","id":"r","summary":[]},
                {"type":"function_call","call_id":"c","name":"f","arguments":"{}"},
                {"type":"function_call_output","call_id":"c","output":"found"},
                {"type":"computer_call_output","output":{"type":"computer_screenshot"}},
                {"type":"item_reference","id":"i"}]}"#,
            &[
                (Role::Developer, "d"),
                (Role::Assistant, "said"),
                (Role::Other, ""),
                (Role::Assistant, ""),
                (Role::Tool, "found"),
                (Role::Tool, ""),
                (Role::Other, ""),
            ],
        );
        check(r#"{"previous_response_id":"resp_1"}"#, &[]);
        check(r#"{"input":null}"#, &[]);
    }

    #[test]
    fn stored_items_are_named_by_what_cannot_do_without_them() {
        let body = r#"{"input":[{"type":"item_reference","id":"msg_1"},{"id":"msg_2"},
            {"type":"reasoning","id":"rs_1","summary":[]},
            {"type":"reasoning","id":"rs_2","encrypted_content":"x"},
            {"type":"reasoning","id":"rs_3","encrypted_content":null},
            {"type":"message","role":"assistant","id":"msg_3","content":"said"},
            {"type":"function_call","id":"fc_1","call_id":"c"},
            {"type":"item_reference","role":"user","id":"msg_4","content":"x"},
            {"role":"assistant","id":"msg_5"},{"role":"assistant","id":"msg_6","content":"said"},
            {"type":"reasoning","id":"rs_4","encrypted_content":""}]}"#;
        let request = ChatRequest::read(Operation::Responses, body.as_bytes()).unwrap();
        let named: Vec<(&str, bool)> =
            request.references().iter().map(|named| (&*named.id, named.bare)).collect();
        let bare = [("msg_1", true), ("msg_2", true)];
        let hidden = [("rs_1", false), ("rs_3", false)];
        let more = [("msg_4", true), ("msg_5", true), ("rs_4", false)];
        assert_eq!(named, [&bare[..], &hidden, &more].concat());
    }

    #[test]
    fn an_item_has_each_field_once() {
        for item in [
            r#"{"type":"message","type":"item_reference","id":"m","role":"user","content":"x"}"#,
            r#"{"type":"item_reference","id":"a","id":"b"}"#,
            r#"{"role":"user","role":"user","content":"x"}"#,
            r#"{"role":"user","content":"x","content":"y"}"#,
            r#"{"role":"user","content":[{"type":"input_text","type":"input_file","text":"x"}]}"#,
            r#"{"type":"reasoning","id":"r","encrypted_content":"x","encrypted_content":null}"#,
            r#"{"type":"item_reference","i\u0064":"a","id":"b"}"#,
        ] {
            let body = format!(r#"{{"input":[{item}]}}"#);
            let fault = ChatRequest::read(Operation::Responses, body.as_bytes()).unwrap_err();
            assert!(fault.problem.contains("is given twice"), "{item}: {fault}");
        }
    }

    #[test]
    fn images_are_counted_and_calls_noticed() {
        let body = r#"{"input":[{"role":"user","content":[{"type":"input_image","image_url":"data:"}]},
            {"type":"web_search_call","id":"w"}]}"#;
        let request = ChatRequest::read(Operation::Responses, body.as_bytes()).unwrap();
        assert_eq!(request.images(), 1);
        assert!(request.messages()[1].calls_tools);
    }

    #[test]
    fn faults_name_the_place() {
        for (body, field) in [
            (r#"{"input":5}"#, "input"),
            (r#"{"input":[5]}"#, "input[0]"),
            (r#"{"input":[{"role":"user","content":5}]}"#, "input[0].content"),
            (r#"{"input":"a","input":"b"}"#, "input"),
            (r#"{"input":"a","stream":1}"#, "stream"),
            (r#"{"input":"a","reasoning":"high"}"#, "reasoning"),
            (r#"{"input":"a","text":5}"#, "text"),
        ] {
            let fault = ChatRequest::read(Operation::Responses, body.as_bytes()).unwrap_err();
            assert!(fault.field.starts_with(field) || fault.problem.contains(field), "{fault}");
        }
    }
}
