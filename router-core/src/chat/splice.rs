//! Edits a body without serializing it again: changes are spliced in, all other bytes stay as
//! received.
//!
//! Serializing JSON costs more than parsing it and loses what a caller sent (key order, number
//! forms, unknown fields). An edit is therefore a position in the body and a new text. Positions
//! come from the parsed view; names of removed fields are found by walking back from their values.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;

use super::request::ChatRequest;

/// A list of edits to one request's body.
///
/// ```
/// use router_core::chat::{ChatRequest, Splice};
/// let body = br#"{"temperature":0.2, "messages":[{"role":"user","content":"Hi"}], "max_tokens":5}"#;
/// let request = ChatRequest::parse(body)?;
/// let mut splice = Splice::of(&request);
/// splice.remove("temperature");
/// splice.remove("max_tokens");
/// splice.set("max_completion_tokens", "500");
/// assert_eq!(
///     splice.apply(),
///     r#"{"max_completion_tokens":500,"messages":[{"role":"user","content":"Hi"}]}"#,
/// );
/// # Ok::<(), router_core::chat::RequestFault>(())
/// ```
#[derive(Debug)]
pub struct Splice<'r, 'a> {
    request: &'r ChatRequest<'a>,
    removed: Vec<Range<usize>>,
    replaced: Vec<(Range<usize>, Cow<'static, str>)>,
    inserted: String,
}

impl<'r, 'a> Splice<'r, 'a> {
    /// No edits yet.
    pub fn of(request: &'r ChatRequest<'a>) -> Self {
        Self { request, removed: Vec::new(), replaced: Vec::new(), inserted: String::new() }
    }

    /// True if nothing changes.
    pub fn is_empty(&self) -> bool {
        self.removed.is_empty() && self.replaced.is_empty() && self.inserted.is_empty()
    }

    /// Gives a top-level field the value `json` (which must be JSON), whether or not the body has it.
    pub fn set(&mut self, name: &'static str, json: impl Into<Cow<'static, str>>) {
        if let Some(field) = self.request.field(name) {
            let value = self.forget(field.value.get());
            self.replaced.push((value, json.into()));
        } else {
            self.inserted.push('"');
            self.inserted.push_str(name);
            self.inserted.push_str("\":");
            self.inserted.push_str(&json.into());
            self.inserted.push(',');
        }
    }

    /// Value of a top-level field after the edits so far; `None` if the field is absent or was removed.
    pub(super) fn current(&self, name: &str) -> Option<&str> {
        let value = self.request.field(name)?.value.get();
        let place = self.range(value);
        if self.removed.iter().any(|removed| removed.end == place.end) {
            return None;
        }
        let edit = self.replaced.iter().find(|(replaced, _)| *replaced == place);
        Some(edit.map_or(value, |(_, text)| text))
    }

    /// Leaves a top-level field out; true where the body had it.
    pub fn remove(&mut self, name: &str) -> bool {
        let Some(field) = self.request.field(name) else { return false };
        let value = self.forget(field.value.get());
        let name_start = self.name_start(value.start);
        self.removed.push(name_start..value.end);
        true
    }

    /// Leaves out an item of a list; `item` is a slice of the body.
    pub(super) fn remove_item(&mut self, item: &str) {
        let place = self.forget(item);
        self.removed.push(place);
    }

    /// Leaves out a field by its value, at whatever depth; `value` is a slice of the body.
    pub(super) fn remove_value(&mut self, value: &str) {
        let value = self.forget(value);
        let name_start = self.name_start(value.start);
        self.removed.push(name_start..value.end);
    }

    /// Position of a value. Earlier edits of it are dropped, because the last one counts.
    fn forget(&mut self, value: &str) -> Range<usize> {
        let place = self.range(value);
        self.replaced.retain(|(replaced, _)| *replaced != place);
        self.removed.retain(|removed| removed.end != place.end);
        place
    }

    /// Gives the message at `index` another role; `role` is a plain word.
    pub(crate) fn set_role(&mut self, index: usize, role: &'static str) {
        if let Some(message) = self.request.messages().get(index) {
            let range = message.role_raw.map(|raw| self.range(raw.get()));
            self.replaced.extend(range.map(|range| (range, format!("\"{role}\"").into())));
        }
    }

    /// The body with all edits; the bytes as they came if there are none.
    pub fn apply(mut self) -> Bytes {
        let body = self.request.body();
        let mut edits = std::mem::take(&mut self.replaced);
        edits.extend(self.removals().into_iter().map(|range| (range, Cow::Borrowed(""))));
        if !self.inserted.is_empty() {
            let start = body.iter().position(|byte| *byte == b'{').map_or(0, |brace| brace + 1);
            let mut inserted = std::mem::take(&mut self.inserted);
            if self.leaves_nothing(start, &edits) {
                inserted.pop();
            }
            edits.push((start..start, inserted.into()));
        }
        edits.sort_by_key(|(range, _)| (range.start, range.end));
        let added: usize = edits.iter().map(|(_, text)| text.len()).sum();
        let mut out = Vec::with_capacity(body.len() + added);
        let mut done = 0;
        for (range, text) in &edits {
            out.extend_from_slice(between(body, done, range.start));
            out.extend_from_slice(text.as_bytes());
            done = range.end.max(done);
        }
        out.extend_from_slice(between(body, done, body.len()));
        out.into()
    }

    /// True if no field follows what is put in front: all there were are removed.
    fn leaves_nothing(&self, start: usize, edits: &[(Range<usize>, Cow<'static, str>)]) -> bool {
        let body = self.request.body();
        let kept = |at: &usize| {
            let removed = |(range, text): &(Range<usize>, Cow<'_, str>)| {
                text.is_empty() && range.contains(at)
            };
            !edits.iter().any(removed)
        };
        let bytes = body.iter().enumerate().skip(start);
        let mut left = bytes.filter(|(at, byte)| !byte.is_ascii_whitespace() && kept(at));
        left.next().is_none_or(|(_, byte)| *byte == b'}')
    }

    /// Position of `part`, a slice of the body.
    fn range(&self, part: &str) -> Range<usize> {
        let start = part.as_ptr().addr().saturating_sub(self.request.body().as_ptr().addr());
        start..start + part.len()
    }

    /// Start of the name of the field whose value starts at `value`: back over the colon to the opening quote.
    fn name_start(&self, value: usize) -> usize {
        let bytes = self.request.body();
        let before = |end: usize, wanted: u8| {
            bytes.get(..end).and_then(|head| head.iter().rposition(|byte| *byte == wanted))
        };
        let Some(mut quote) = before(value, b':').and_then(|colon| before(colon, b'"')) else {
            return value;
        };
        // The quote found closes the name; the one that opens it is the next one back that is not escaped.
        while let Some(earlier) = before(quote, b'"') {
            quote = earlier;
            let escapes = bytes.get(..earlier).unwrap_or_default().iter().rev();
            if escapes.take_while(|byte| **byte == b'\\').count() % 2 == 0 {
                break;
            }
        }
        quote
    }

    /// The places to leave out, neighbours joined, each with one comma: the one after it, or for the last field of
    /// the object the one before.
    fn removals(&mut self) -> Vec<Range<usize>> {
        let body = self.request.body();
        let mut ranges = std::mem::take(&mut self.removed);
        ranges.sort_by_key(|range| range.start);
        let mut joined: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
        for range in ranges {
            match joined.last_mut() {
                Some(last) if only_separators(between(body, last.end, range.start)) => {
                    last.end = range.end.max(last.end);
                }
                _ => joined.push(range),
            }
        }
        for range in &mut joined {
            let after = between(body, range.end, body.len());
            let gap = after.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            if after.get(gap) == Some(&b',') {
                range.end += gap + 1;
                let rest = after.get(gap + 1..).unwrap_or_default();
                range.end += rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            } else {
                let head = between(body, 0, range.start);
                let kept = head.iter().rposition(|byte| !byte.is_ascii_whitespace());
                if let Some(comma) = kept.filter(|at| head.get(*at) == Some(&b',')) {
                    range.start = comma;
                }
            }
        }
        joined
    }
}

fn between(body: &[u8], from: usize, to: usize) -> &[u8] {
    body.get(from..to).unwrap_or_default()
}

fn only_separators(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| byte.is_ascii_whitespace() || *byte == b',')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    const NAMES: [&str; 4] = ["temperature", "max_tokens", "stop", "x\\\"y"];

    fn body_of(fields: &[(usize, String)], at: usize, gap: &str) -> String {
        let mut parts: Vec<String> = fields
            .iter()
            .map(|(name, value)| {
                let name = NAMES.get(*name).copied().unwrap_or_default();
                format!("{gap}\"{name}\"{gap}:{gap}{value}{gap}")
            })
            .collect();
        parts.insert(
            at.min(parts.len()),
            format!(r#"{gap}"messages":[{{"role":"user","content":"a,\"b\":{{"}}]{gap}"#),
        );
        format!("{{{}}}", parts.join(","))
    }

    proptest! {
        #[test]
        fn edits_equal_edits_of_the_parsed_value(
            names in proptest::sample::subsequence(vec![0usize, 1, 2, 3], 0..=4).prop_shuffle(),
            values in proptest::collection::vec(
                prop_oneof![Just("1.50"), Just("\"a:,}\""), Just("[1, {\"q\":\",\"}]"), Just("null")], 4),
            at in 0usize..5,
            gap in prop_oneof![Just(""), Just(" "), Just("\n\t")],
            removed in proptest::sample::subsequence(vec![0usize, 1, 2], 0..=3),
            set in any::<bool>(),
        ) {
            let fields: Vec<(usize, String)> =
                names.into_iter().zip(values.into_iter().map(str::to_owned)).collect();
            let body = body_of(&fields, at, gap);
            // `max_tokens` must be a count to be a request at all.
            let body = fields.iter().filter(|(name, _)| *name == 1).fold(body, |body, (_, value)| {
                body.replacen(&format!("\"max_tokens\"{gap}:{gap}{value}"), "\"max_tokens\":7", 1)
            });
            let request = ChatRequest::parse(body.as_bytes()).unwrap();
            let mut expected: Value = serde_json::from_str(&body).unwrap();
            let object = expected.as_object_mut().unwrap();
            let mut splice = Splice::of(&request);
            for index in removed {
                let had = object.remove(NAMES[index]).is_some();
                prop_assert_eq!(splice.remove(NAMES[index]), had);
            }
            if set {
                // The last edit of a field counts.
                if request.raw("temperature").is_some() {
                    splice.set("temperature", "0");
                    splice.remove("temperature");
                    object.remove("temperature");
                }
                splice.set("stream", "true");
                object.insert("stream".into(), Value::Bool(true));
            }
            splice.set_role(0, "developer");
            object["messages"][0]["role"] = "developer".into();
            let edited = splice.apply();
            let actual: Value = serde_json::from_slice(&edited).unwrap();
            prop_assert_eq!(actual, expected);
        }
    }

    #[test]
    fn nothing_to_do_leaves_every_byte() {
        let body = r#" {"messages" : [ {"role":"user","content":null} ] , "b":1.0e0 } "#;
        let request = ChatRequest::parse(body.as_bytes()).unwrap();
        let splice = Splice::of(&request);
        assert!(splice.is_empty());
        assert_eq!(splice.apply(), body);
    }
}
