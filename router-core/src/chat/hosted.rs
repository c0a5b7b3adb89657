//! Counts calls of hosted tools in a Responses API answer; services bill them separately from
//! tokens.
//!
//! It reads only types, actions and containers. Prices are in `deployment/hosted_tools.rs`.

use std::fmt;

use serde::Deserialize;
use serde::Deserializer;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::message::Text;

/// The billed calls of hosted tools in one answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HostedCalls {
    /// Searches of the web.
    pub(crate) web_searches: u32,
    /// Searches of files.
    pub(crate) file_searches: u32,
    /// Containers in which code ran.
    pub containers: u32,
    /// Calls of tools whose way of billing is not known here.
    pub others: u32,
}

/// One item of an answer's output, as far as billing goes.
#[derive(Default)]
pub(super) struct Item<'a> {
    kind: Option<Text<'a>>,
    /// Action of a web search.
    action: Option<Text<'a>>,
    container: Option<Text<'a>>,
}

/// Items that cost nothing but tokens.
///
/// **Source:** `OpenAI`, "Pricing", built-in tools; a computer's use is billed by tokens, an MCP server's by its operator.
const TOKENS_ALONE: [&str; 6] = [
    "function_call",
    "custom_tool_call",
    "mcp_call",
    "computer_call",
    "local_shell_call",
    "apply_patch_call",
];

impl Item<'_> {
    /// The type of the item.
    pub(super) fn kind(&self) -> Option<&str> {
        self.kind.as_ref().map(|kind| kind.0.as_ref())
    }
}

impl HostedCalls {
    /// True if no hosted tool was called.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Counts the calls of some items. Code that runs in the container of the item before it is not counted again.
    pub(super) fn of_items<'a>(items: impl IntoIterator<Item = Item<'a>>) -> Self {
        let (mut calls, mut last) = (Self::default(), None);
        for item in items {
            let container = item.container.as_ref().map(|id| id.0.clone());
            if container.is_none() || container != last {
                calls.count(&item);
            }
            last = container.or(last);
        }
        calls
    }

    fn count(&mut self, item: &Item<'_>) {
        let kind = item.kind.as_ref().map_or("", |kind| kind.0.as_ref());
        let counter = match kind {
            // Opening a page and looking for a word in it are not billed.
            "web_search_call" => match item.action.as_ref().map_or("search", |action| &action.0) {
                "search" => &mut self.web_searches,
                _ => return,
            },
            "file_search_call" => &mut self.file_searches,
            "code_interpreter_call" => &mut self.containers,
            other if other.ends_with("_call") && !TOKENS_ALONE.contains(&other) => &mut self.others,
            _ => return,
        };
        *counter = counter.saturating_add(1);
    }

    /// These calls and others of the same answer.
    #[must_use]
    pub fn and(self, more: Self) -> Self {
        Self {
            web_searches: self.web_searches.saturating_add(more.web_searches),
            file_searches: self.file_searches.saturating_add(more.file_searches),
            containers: self.containers.saturating_add(more.containers),
            others: self.others.saturating_add(more.others),
        }
    }
}

/// Scalars are no items.
macro_rules! scalars {
    ($value:ty) => {
        fn visit_bool<E>(self, _: bool) -> Result<$value, E> {
            Ok(Default::default())
        }
        fn visit_i64<E>(self, _: i64) -> Result<$value, E> {
            Ok(Default::default())
        }
        fn visit_u64<E>(self, _: u64) -> Result<$value, E> {
            Ok(Default::default())
        }
        fn visit_f64<E>(self, _: f64) -> Result<$value, E> {
            Ok(Default::default())
        }
        fn visit_str<E>(self, _: &str) -> Result<$value, E> {
            Ok(Default::default())
        }
        fn visit_unit<E>(self) -> Result<$value, E> {
            Ok(Default::default())
        }
    };
}

/// The calls in a field `output`; none if it holds anything but a list.
pub(super) fn of_output<'de, D: Deserializer<'de>>(from: D) -> Result<HostedCalls, D::Error> {
    struct Output;
    impl<'de> Visitor<'de> for Output {
        type Value = HostedCalls;
        fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            out.write_str("the output of an answer")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<HostedCalls, A::Error> {
            let mut all = Vec::new();
            while let Some(item) = items.next_element::<Item<'de>>()? {
                // Most items are messages or reasoning.
                let calls = item.kind.as_ref().is_some_and(|kind| kind.0.ends_with("_call"));
                all.extend(calls.then_some(item));
            }
            Ok(HostedCalls::of_items(all))
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<HostedCalls, A::Error> {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            Ok(HostedCalls::default())
        }
        scalars!(HostedCalls);
    }
    from.deserialize_any(Output)
}

impl<'de: 'a, 'a> Deserialize<'de> for Item<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ItemVisitor)
    }
}

struct ItemVisitor;

impl<'de> Visitor<'de> for ItemVisitor {
    type Value = Item<'de>;
    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an item")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Item<'de>, A::Error> {
        let mut item = Item::default();
        while let Some(Text(key)) = map.next_key()? {
            match key.as_ref() {
                "type" => item.kind = map.next_value::<LooseText<'de>>()?.0,
                "container_id" => item.container = map.next_value::<LooseText<'de>>()?.0,
                "action" => item.action = map.next_value::<Item<'de>>()?.kind,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(item)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Item<'de>, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Item::default())
    }
    scalars!(Item<'de>);
}

/// A text, or nothing if the value is anything else.
pub(super) struct LooseText<'a>(pub(super) Option<Text<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for LooseText<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let raw = <&serde_json::value::RawValue>::deserialize(from)?;
        Ok(Self(serde_json::from_str(raw.get()).ok()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Answer {
        #[serde(default, deserialize_with = "of_output")]
        output: HostedCalls,
    }

    #[track_caller]
    fn check(output: &str, expected: [u32; 4]) {
        let answer: Answer = serde_json::from_str(&format!(r#"{{"output":{output}}}"#)).unwrap();
        let [web_searches, file_searches, containers, others] = expected;
        let expected = HostedCalls { web_searches, file_searches, containers, others };
        assert_eq!(answer.output, expected, "{output}");
    }

    #[test]
    fn calls_are_counted_as_they_are_billed() {
        check("[]", [0; 4]);
        check(r#"[{"type":"message"},{"type":"reasoning"},{"type":"function_call"}]"#, [0; 4]);
        check(
            r#"[{"type":"web_search_call","action":{"type":"search","query":"x"}},
                {"type":"web_search_call","action":{"type":"open_page"}},{"type":"web_search_call"}]"#,
            [2, 0, 0, 0],
        );
        check(r#"[{"type":"file_search_call"},{"type":"file_search_call"}]"#, [0, 2, 0, 0]);
        check(
            r#"[{"type":"code_interpreter_call","container_id":"a"},
                {"type":"code_interpreter_call","container_id":"a"},
                {"type":"code_interpreter_call","container_id":"b"}]"#,
            [0, 0, 2, 0],
        );
        check(r#"[{"type":"image_generation_call"},{"type":"mcp_call"}]"#, [0, 0, 0, 1]);
    }

    #[test]
    fn what_is_no_list_of_items_calls_nothing() {
        for output in ["null", "5", "-5", "1.5", "true", "\"x\"", "{\"a\":[1]}"] {
            check(output, [0; 4]);
        }
        check(
            r#"[5,null,"x",[{}],{"type":7},{"type":null,"action":3},{"type":"file_search_call"}]"#,
            [0, 1, 0, 0],
        );
    }
}
