//! Searches a body, at every depth, for fields that the caller's key denies.
//!
//! Only the bodies of keys with such a rule are searched. Names are compared without regard to
//! letter case, as some services do. Strings (such as a tool's arguments) are text and are not
//! searched.

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

use super::message::Text;
use super::request::ChatRequest;

/// The first of `denied` that a request has; null counts as absent.
pub(super) fn first<'f>(
    request: &ChatRequest<'_>,
    denied: impl Iterator<Item = &'f str>,
) -> Option<&'f str> {
    let denied: Vec<&'f str> = denied.collect();
    if let Some(form) = request.form() {
        let names = form.parts.iter().map(|part| part.name.trim_end_matches("[]"));
        return names
            .into_iter()
            .find_map(|name| denied.iter().copied().find(|denied| ends_with(&[name], denied)));
    }
    let mut search = Search { denied: &denied, path: Vec::new(), found: None };
    let mut json = serde_json::Deserializer::from_slice(request.body());
    // The body has been read before, so that it can be read to its end here as well.
    drop(Below(&mut search).deserialize(&mut json));
    search.found
}

/// True if the last names of a path are those that `denied` joins by dots.
fn ends_with<N: AsRef<str>>(path: &[N], denied: &str) -> bool {
    let mut names = path.iter().rev();
    denied
        .rsplit('.')
        .all(|wanted| names.next().is_some_and(|name| name.as_ref().eq_ignore_ascii_case(wanted)))
}

struct Search<'s, 'f> {
    denied: &'s [&'f str],
    /// The names of the objects' fields that lead to where the search stands; lists have none.
    path: Vec<String>,
    found: Option<&'f str>,
}

/// Searches a value.
struct Below<'b, 's, 'f>(&'b mut Search<'s, 'f>);

impl<'de> DeserializeSeed<'de> for Below<'_, '_, '_> {
    /// True unless the value is null.
    type Value = bool;
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<bool, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Below<'_, '_, '_> {
    type Value = bool;
    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("JSON")
    }
    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }
    fn visit_bool<E>(self, _: bool) -> Result<bool, E> {
        Ok(true)
    }
    fn visit_i64<E>(self, _: i64) -> Result<bool, E> {
        Ok(true)
    }
    fn visit_u64<E>(self, _: u64) -> Result<bool, E> {
        Ok(true)
    }
    fn visit_f64<E>(self, _: f64) -> Result<bool, E> {
        Ok(true)
    }
    fn visit_str<E>(self, _: &str) -> Result<bool, E> {
        Ok(true)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<bool, A::Error> {
        while list.next_element_seed(Below(self.0))?.is_some() {}
        Ok(true)
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let search = self.0;
        while let Some(Text(name)) = map.next_key()? {
            if search.found.is_some() {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            search.path.push(name.into_owned());
            let denied = search.denied.iter().copied().find(|it| ends_with(&search.path, it));
            let given = map.next_value_seed(Below(search))?;
            search.path.pop();
            search.found = search.found.or(denied.filter(|_| given));
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::super::operation::Operation;
    use super::*;

    #[track_caller]
    fn check(body: &str, denied: &[&str], expected: Option<&str>) {
        let request = ChatRequest::read(Operation::Responses, body.as_bytes()).unwrap();
        assert_eq!(request.denied_field(denied.iter().copied()), expected, "{body}");
    }

    #[test]
    fn fields_are_found_at_every_depth_and_nothing_else_is() {
        let file = r#"{"input":[{"role":"user","content":[{"type":"input_file","file_id":"f"}]}]}"#;
        check(file, &["vector_store_ids", "file_id"], Some("file_id"));
        check(file, &["content.file_id"], Some("content.file_id"));
        check(file, &["input.file_id", "id", "file"], None);
        check(r#"{"prompt":{"id":"p"}}"#, &["prompt.id"], Some("prompt.id"));
        check(r#"{"prompt":{"id":null},"user":"file_id"}"#, &["prompt.id", "file_id"], None);
        check(r#"{"tools":[{"type":"x","\u0046ile_ID":"f"}]}"#, &["file_id"], Some("file_id"));
        check(r#"{"tools":null,"x":{"tools":[]}}"#, &["tools"], Some("tools"));
        check("{}", &[], None);
    }
}
