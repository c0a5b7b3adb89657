//! Checks the form of a JSON body in one pass before it is parsed: nesting depth, number of fields,
//! values and messages. It also estimates the memory of the parsed body, which is several times its
//! bytes if its values are tiny.
//!
//! It does not check that the body is valid JSON; the parser does. An invalid body is measured as
//! far as possible.

use memchr::memchr;

use super::body::RequestFault;

/// Maximum nesting of a body; upstreams' parsers have similar limits.
pub(crate) const MAX_DEPTH: usize = 100;
/// Maximum number of top-level fields; the APIs define about 40.
pub(crate) const MAX_FIELDS: usize = 256;
/// Maximum number of objects, lists and texts in a body.
pub(crate) const MAX_VALUES: usize = 1_000_000;

/// Bytes that one parsed object, list or text takes, including the reserve of lists.
const VALUE_BYTES: usize = 80;

/// Measured size of a body.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Measured {
    values: usize,
}

impl Measured {
    /// An estimate of the bytes that its parsed form takes in addition to the body.
    pub(crate) fn parsed_bytes(self) -> usize {
        self.values * VALUE_BYTES
    }
}

/// Measures a body of JSON. `max_messages` bounds the objects in each list of the body's own fields: messages, input items,
/// tools.
///
/// # Errors
/// Names the bound that it exceeds.
pub(crate) fn measure(body: &[u8], max_messages: usize) -> Result<Measured, RequestFault> {
    let mut walk = Walk { max_messages, ..Walk::default() };
    let mut rest = body;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match first {
            b'"' => {
                let (text, after) = text(rest);
                rest = after;
                walk.text(text)?;
            }
            b'{' | b'[' => walk.open(*first == b'{')?,
            b'}' | b']' => walk.depth = walk.depth.saturating_sub(1),
            b':' if walk.depth == 1 => walk.field()?,
            _ => {}
        }
    }
    Ok(Measured { values: walk.values })
}

/// A text's bytes, without its quotes, and what follows it. Only quotes are looked for: other escapes, which long texts are full
/// of, cost nothing.
fn text(from: &[u8]) -> (&[u8], &[u8]) {
    let mut at = 0;
    while let Some(found) = from.get(at..).and_then(|rest| memchr(b'"', rest)) {
        let end = at + found;
        let before = from.get(..end).unwrap_or_default();
        at = end + 1;
        let escapes = before.iter().rev().take_while(|byte| **byte == b'\\').count();
        if escapes % 2 == 0 {
            return (before, from.get(at..).unwrap_or_default());
        }
    }
    (from, &[])
}

#[derive(Default)]
struct Walk<'a> {
    max_messages: usize,
    depth: usize,
    values: usize,
    fields: usize,
    /// The last text of the body's own level: the name of the field that follows.
    name: &'a [u8],
    /// Objects in the list of the body's own field that is open.
    items: usize,
}

impl<'a> Walk<'a> {
    fn value(&mut self) -> Result<(), RequestFault> {
        self.values += 1;
        let found = || format!("expected at most {MAX_VALUES} objects, lists and texts");
        if self.values > MAX_VALUES { Err(RequestFault::new("body", found())) } else { Ok(()) }
    }

    fn text(&mut self, text: &'a [u8]) -> Result<(), RequestFault> {
        if self.depth == 1 {
            self.name = text;
        }
        self.value()
    }

    fn open(&mut self, object: bool) -> Result<(), RequestFault> {
        match (self.depth, object) {
            (1, _) => self.items = 0,
            (2, true) => self.items += 1,
            _ => {}
        }
        if self.items > self.max_messages {
            let name = String::from_utf8_lossy(self.name.get(..64).unwrap_or(self.name));
            let problem = format!("expected at most {} items", self.max_messages);
            return Err(RequestFault::new(name, problem));
        }
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            let problem = format!("expected at most {MAX_DEPTH} levels of objects and lists");
            return Err(RequestFault::new("body", problem));
        }
        self.value()
    }

    fn field(&mut self) -> Result<(), RequestFault> {
        self.fields += 1;
        let found = || format!("expected at most {MAX_FIELDS} fields");
        if self.fields > MAX_FIELDS { Err(RequestFault::new("body", found())) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, expected: Option<(&str, &str)>) {
        let fault = measure(body.as_bytes(), 3).err();
        let found = fault.as_ref().map(|fault| (fault.field.as_str(), fault.problem.as_str()));
        match (found, expected) {
            (None, None) => {}
            (Some((field, problem)), Some((named, part))) => {
                assert!(field == named && problem.contains(part), "{field}: {problem}");
            }
            (found, expected) => panic!("{found:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn bounds_name_what_exceeds_them() {
        let message = r#"{"role":"user","content":"a [ { \" } ] b"}"#;
        let list = |count: usize| vec![message; count].join(",");
        check(&format!(r#"{{"model":"x","messages":[{}],"tools":[{{}}]}}"#, list(3)), None);
        let four = format!(r#"{{"model":"x","messages":[{}]}}"#, list(4));
        check(&four, Some(("messages", "at most 3 items")));
        check(&format!(r#"{{"a":[{{"parts":[{}]}}]}}"#, list(9)), None);
        check(&"[".repeat(MAX_DEPTH), None);
        check(&"[".repeat(MAX_DEPTH + 1), Some(("body", "levels")));
        let fields = |count: usize| (0..count).map(|at| format!("\"f{at}\":1")).collect::<Vec<_>>();
        check(&format!("{{{}}}", fields(MAX_FIELDS).join(",")), None);
        check(&format!("{{{}}}", fields(MAX_FIELDS + 1).join(",")), Some(("body", "fields")));
        check(
            &format!("[{}", "[],".repeat(MAX_VALUES)),
            Some(("body", "objects, lists and texts")),
        );
        let ids = vec!["1"; 300_000].join(",");
        check(&format!(r#"{{"input":[{ids}]}}"#), None);
    }

    #[test]
    fn a_body_of_tiny_messages_is_estimated_at_what_it_takes() {
        let tiny = vec![r#"{"role":"user","content":"x"}"#; 1_000].join(",");
        let body = format!(r#"{{"messages":[{tiny}]}}"#);
        let parsed = measure(body.as_bytes(), 1_000).unwrap().parsed_bytes();
        assert!((7 * body.len()..20 * body.len()).contains(&parsed), "{parsed} of {}", body.len());
        let text =
            format!(r#"{{"messages":[{{"role":"user","content":"{}"}}]}}"#, "x".repeat(1 << 20));
        assert!(measure(text.as_bytes(), 1).unwrap().parsed_bytes() < 1_000);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_measured(body in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
            drop(measure(&body, 2));
        }

        /// Text that the parser skips as a whole.
        #[test]
        fn texts_end_where_the_parser_ends_them(said in ".*") {
            let body = serde_json::json!({"a": said, "b": []}).to_string();
            let expected = Measured { values: 5 };
            proptest::prop_assert_eq!(measure(body.as_bytes(), 1), Ok(expected));
        }
    }
}
