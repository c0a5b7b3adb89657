//! Reads the delta of a chunk: how many bytes of output it has, and whether the caller sees
//! anything of it.
//!
//! An unknown field counts as content unless it is empty, because a caller may act on it. Arguments
//! of tool calls count as output. Nothing is copied.
//!
//! Not done here: the other fields of a chunk, and events of the Responses API (`stream`).

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::message::{Content, Part, Text};

/// Content of a delta.
#[derive(Default)]
pub(super) struct Said<'a> {
    /// Bytes of text and of arguments.
    pub(super) bytes: usize,
    /// True if a caller sees something of it.
    pub(super) content: bool,
    /// The reason why the choice ended: some gateways put it here.
    pub(super) finish_reason: Option<Text<'a>>,
}

/// One call of a tool, or of a function in the older form.
#[derive(Deserialize)]
struct Call<'a> {
    #[serde(default, borrow)]
    function: Option<Called<'a>>,
    #[serde(default, borrow)]
    custom: Option<Called<'a>>,
}

#[derive(Deserialize)]
struct Called<'a> {
    #[serde(default, borrow)]
    name: Option<Text<'a>>,
    #[serde(default, borrow)]
    arguments: Option<Text<'a>>,
    #[serde(default, borrow)]
    input: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Audio<'a> {
    #[serde(default, borrow)]
    transcript: Option<Text<'a>>,
}

impl Called<'_> {
    fn bytes(&self) -> usize {
        [&self.name, &self.arguments, &self.input].into_iter().flatten().map(|it| it.0.len()).sum()
    }
}

/// True for JSON without content: null, false, an empty text, list or object.
pub(super) fn is_blank(raw: &RawValue) -> bool {
    let raw = raw.get();
    let inside =
        |open, close| raw.strip_prefix(open).and_then(|rest: &str| rest.strip_suffix(close));
    let empty =
        inside('[', ']').or_else(|| inside('{', '}')).is_some_and(|it| it.trim().is_empty());
    empty || matches!(raw, "null" | "false" | "\"\"")
}

fn of_calls(raw: &RawValue) -> usize {
    let calls = serde_json::from_str::<Vec<Call<'_>>>(raw.get());
    calls.map_or(raw.get().len(), |calls| {
        let called = calls.iter().flat_map(|call| [&call.function, &call.custom]);
        called.flatten().map(Called::bytes).sum()
    })
}

fn of_function(raw: &RawValue) -> usize {
    serde_json::from_str::<Called<'_>>(raw.get()).map_or(raw.get().len(), |called| called.bytes())
}

/// Sound is not counted by its bytes, which are many for a token; its transcript is.
fn of_audio(raw: &RawValue) -> usize {
    let audio = serde_json::from_str::<Audio<'_>>(raw.get()).ok();
    audio.and_then(|audio| audio.transcript).map_or(0, |text| text.0.len())
}

impl Said<'_> {
    fn text(&mut self, bytes: usize) {
        self.bytes += bytes;
        self.content |= bytes > 0;
    }

    fn value(&mut self, raw: &RawValue, bytes: fn(&RawValue) -> usize) {
        if !is_blank(raw) {
            self.bytes += bytes(raw);
            self.content = true;
        }
    }

    fn parts(&mut self, content: &Content<'_>) {
        match content {
            Content::Empty => {}
            Content::Text(text) => self.text(text.len()),
            Content::Parts(parts) => {
                for part in parts {
                    match part {
                        Part::Text(text) => self.text(text.len()),
                        Part::Image | Part::Attached(_) | Part::Other => self.content = true,
                    }
                }
            }
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Said<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Delta<'a>(PhantomData<&'a ()>);

        impl<'de: 'a, 'a> Visitor<'de> for Delta<'a> {
            type Value = Said<'a>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a delta")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut said = Said::default();
                while let Some(Text(name)) = map.next_key::<Text<'a>>()? {
                    match name.as_ref() {
                        "role" => {
                            map.next_value::<IgnoredAny>()?;
                        }
                        "content" => {
                            if let Some(content) = map.next_value::<Option<Content<'a>>>()? {
                                said.parts(&content);
                            }
                        }
                        "refusal" | "reasoning_content" => {
                            let text = map.next_value::<Option<Text<'a>>>()?;
                            said.text(text.map_or(0, |text| text.0.len()));
                        }
                        "finish_reason" => said.finish_reason = map.next_value()?,
                        "tool_calls" => said.value(map.next_value()?, of_calls),
                        "function_call" => said.value(map.next_value()?, of_function),
                        "audio" => said.value(map.next_value()?, of_audio),
                        _ => said.value(map.next_value()?, |raw| raw.get().len()),
                    }
                }
                Ok(said)
            }
        }

        from.deserialize_map(Delta(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_caller_sees_is_content_and_what_is_empty_is_not() {
        for (delta, bytes, content) in [
            (r#"{"role":"assistant","content":""}"#, 0, false),
            (r#"{"role":"assistant","content":null,"refusal":null}"#, 0, false),
            (r#"{"content":"안"}"#, 3, true),
            (r#"{"content":[{"type":"text","text":"hi"}]}"#, 2, true),
            (r#"{"content":[]}"#, 0, false),
            (r#"{"content":[{"type":"thinking"}]}"#, 0, true),
            (r#"{"tool_calls":[]}"#, 0, false),
            (r#"{"tool_calls":[ ],"function_call":{},"annotations":[],"audio":null}"#, 0, false),
            (r#"{"tool_calls":[{"index":0}]}"#, 0, true),
            (
                r#"{"tool_calls":[{"index":0,"function":{"name":"f","arguments":"{\"a\":1}"}}]}"#,
                8,
                true,
            ),
            (r#"{"tool_calls":[{"index":0,"custom":{"name":"f","input":"abc"}}]}"#, 4, true),
            (r#"{"tool_calls":7}"#, 1, true),
            (r#"{"function_call":{"arguments":"1234"}}"#, 4, true),
            (r#"{"audio":{"id":"a","data":"AAAA"}}"#, 0, true),
            (r#"{"audio":{"transcript":"hi"}}"#, 2, true),
            (r#"{"something_new":{"x":1}}"#, 7, true),
            (r#"{"something_new":""}"#, 0, false),
            ("{}", 0, false),
        ] {
            let said: Said<'_> = serde_json::from_str(delta).unwrap();
            assert_eq!((said.bytes, said.content), (bytes, content), "{delta}");
        }
        let said: Said<'_> = serde_json::from_str(r#"{"finish_reason":"stop"}"#).unwrap();
        assert_eq!(said.finish_reason.map(|reason| reason.0.into_owned()).as_deref(), Some("stop"));
    }
}
