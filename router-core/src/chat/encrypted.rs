//! Encrypted items of the Responses API: identifies them by a hash, and removes those that an
//! endpoint cannot decrypt.
//!
//! Only the resource that created an encrypted item can decrypt it. The content is remembered as a
//! hash, because it holds a conversation. Removing an item also removes the ids of the other
//! generated items: a service looks up an item by its id and then misses the reasoning that belongs
//! to it.
//!
//! Not done here: which endpoint can decrypt an item (`encrypted_items`), and when to remove one
//! (`adapt_responses`). A `compaction` item is never removed, because it replaces the conversation
//! itself.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use xxhash_rust::xxh3::xxh3_128;

use super::message::Text;
use super::splice::Splice;

/// The hash of an encrypted content. Not a secret, and not proof against forgery: who forges one misleads the own request
/// alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContentHash(u128);

impl ContentHash {
    /// The hash of this content, the same in every process.
    pub fn of(content: &str) -> Self {
        Self(xxh3_128(content.as_bytes()))
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:032x}", self.0)
    }
}

/// Encrypted reasoning in an `input`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Hidden {
    /// The encrypted contents, in the order of the items.
    pub(super) encrypted: Vec<ContentHash>,
    /// True if a `reasoning` item is among the items.
    pub(super) reasoning: bool,
}

/// The kind of an item of hidden reasoning.
pub(super) const REASONING: &str = "reasoning";

/// The generated items that are understood without their id.
const NAMELESS: [&str; 3] = ["message", "function_call", "custom_tool_call"];

/// Leaves out each `reasoning` item for which `unwanted` says so, by the hash of its encrypted content, together with
/// the ids of messages and calls; true if there was one.
pub(super) fn leave_out(
    splice: &mut Splice<'_, '_>,
    body: &[u8],
    unwanted: impl Fn(Option<ContentHash>) -> bool,
) -> bool {
    #[derive(Deserialize)]
    struct Whole<'a> {
        #[serde(borrow)]
        input: Vec<&'a RawValue>,
    }
    let Ok(Whole { input }) = serde_json::from_slice(body) else { return false };
    let mut found = false;
    let mut ids = Vec::new();
    for item in input {
        let Ok(read) = serde_json::from_str::<Item<'_>>(item.get()) else { continue };
        let kind = read.kind.as_deref().unwrap_or("message");
        if kind == REASONING && unwanted(read.content) {
            splice.remove_item(item.get());
            found = true;
        } else if NAMELESS.contains(&kind) {
            ids.extend(read.id);
        }
    }
    if found {
        for id in ids {
            splice.remove_value(id.get());
        }
    }
    found
}

/// One item, as far as it is looked at.
#[derive(Default)]
struct Item<'a> {
    kind: Option<Cow<'a, str>>,
    id: Option<&'a RawValue>,
    content: Option<ContentHash>,
}

impl<'de> Deserialize<'de> for Item<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(ItemVisitor)
    }
}

struct ItemVisitor;

impl<'de> Visitor<'de> for ItemVisitor {
    type Value = Item<'de>;
    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an item: an object")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut item = Item::default();
        while let Some(Text(name)) = map.next_key()? {
            match name.as_ref() {
                "type" => item.kind = map.next_value::<Option<Text<'de>>>()?.map(|Text(kind)| kind),
                "id" => item.id = Some(map.next_value()?),
                "encrypted_content" => {
                    let content = map.next_value::<Option<Text<'de>>>()?;
                    item.content = content.map(|Text(content)| ContentHash::of(&content));
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(item)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::operation::Operation;
    use super::super::request::ChatRequest;
    use super::*;

    #[track_caller]
    fn check(input: &Value, unwanted: &[&str], expected: &Value) {
        for gap in ["", " "] {
            let body = json!({"model": "m", "input": input, "store": false}).to_string();
            let body = body.replace(',', &format!("{gap},{gap}"));
            let request = ChatRequest::read(Operation::Responses, body.as_bytes()).unwrap();
            let mut splice = Splice::of(&request);
            let unwanted: Vec<_> = unwanted.iter().map(|text| ContentHash::of(text)).collect();
            let is = |hash: Option<ContentHash>| hash.is_some_and(|hash| unwanted.contains(&hash));
            let found = leave_out(&mut splice, body.as_bytes(), is);
            assert_eq!(found, input != expected);
            let sent: Value = serde_json::from_slice(&splice.apply()).unwrap();
            assert_eq!(sent, json!({"model": "m", "input": expected, "store": false}));
        }
    }

    #[test]
    fn reasoning_that_cannot_be_read_goes_with_the_ids_that_need_it() {
        let user = json!({"role": "user", "content": "hi"});
        let hidden = |id: &str, content: &str| json!({"type": "reasoning", "id": id, "summary": [], "encrypted_content": content});
        let said = json!({"id": "msg_1", "type": "message", "role": "assistant", "content": "x"});
        let call = json!({"type": "function_call", "call_id": "c", "id": "fc_1", "name": "f", "arguments": "{}"});
        let search = json!({"type": "web_search_call", "id": "ws_1"});
        let (said_bare, call_bare) = (
            json!({"type": "message", "role": "assistant", "content": "x"}),
            json!({"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}),
        );
        let all = json!([user, hidden("rs_1", "a"), said, hidden("rs_2", "b"), call, search]);
        check(&all, &["a"], &json!([user, said_bare, hidden("rs_2", "b"), call_bare, search]));
        check(&all, &["a", "b"], &json!([user, said_bare, call_bare, search]));
        check(&all, &["c"], &all);
        check(&json!([hidden("r", "a"), hidden("s", "b")]), &["a", "b"], &json!([]));
        check(&json!([user, hidden("r", "a")]), &["a"], &json!([user]));
        check(
            &json!([{"type": "compaction", "encrypted_content": "a"}]),
            &["b"],
            &json!([{"type": "compaction", "encrypted_content": "a"}]),
        );
        check(&json!("text"), &["a"], &json!("text"));
    }

    #[test]
    fn a_compaction_stays_although_it_is_encrypted() {
        let item = json!([{"type": "compaction", "encrypted_content": "a"}]);
        check(&item, &["a"], &item);
    }

    #[test]
    fn the_hash_is_the_same_in_every_process() {
        let hash = ContentHash::of("gAAA").to_string();
        assert_eq!(hash.len(), 32);
        assert_eq!(hash, ContentHash::of("gAAA").to_string());
        assert_ne!(hash, ContentHash::of("gAAB").to_string());
    }
}
