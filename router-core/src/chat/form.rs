//! Forms (`multipart/form-data`): where a short field's value lies; all else passes as it came.
//!
//! **Source:** RFC 7578, RFC 2046 section 5.1.

use std::ops::Range;

use memchr::memmem;

/// The boundary that a content type names; `None` where it is no form.
pub(super) fn boundary(content_type: &str) -> Option<&str> {
    let (kind, parameters) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let value = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then(|| value.trim().trim_matches('"'))
    });
    value.filter(|value| !value.is_empty())
}

/// Where the value of the field `name` lies; `None` where the form has no such field, or ends within it.
pub(super) fn field(body: &[u8], boundary: &str, name: &str) -> Option<Range<usize>> {
    let line = format!("--{boundary}");
    let finder = memmem::Finder::new(line.as_bytes());
    let starts: Vec<usize> = finder.find_iter(body).collect();
    starts.windows(2).find_map(|pair| {
        let &[start, end] = pair else { return None };
        let part = start + line.len();
        let head = part..part + memmem::find(body.get(part..end)?, b"\r\n\r\n")?;
        let value = head.end + 4..end.checked_sub(2)?;
        let head = std::str::from_utf8(body.get(head)?).ok()?;
        (is_field(head, name) && value.start <= value.end).then_some(value)
    })
}

/// True where a part's head gives it this name, and no file's name beside it.
fn is_field(head: &str, name: &str) -> bool {
    let disposition = head.lines().find(|line| {
        line.split_once(':')
            .is_some_and(|(header, _)| header.trim().eq_ignore_ascii_case("content-disposition"))
    });
    let parameters = disposition.into_iter().flat_map(|line| line.split(';').skip(1));
    parameters.filter_map(|parameter| parameter.split_once('=')).any(|(key, value)| {
        key.trim().eq_ignore_ascii_case("name") && value.trim().trim_matches('"') == name
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FORM: &str = "--X1\r\nContent-Disposition: form-data; name=\"file\"; filename=\"model\"\r\n\r\n\u{0}--X\r\n\
        --X1\r\ncontent-disposition: form-data; name=model\r\n\r\nwhisper-1\r\n--X1--\r\n";

    #[test]
    fn a_field_is_found_among_files() {
        let kind = "Multipart/Form-Data; charset=utf-8; Boundary=\"X1\"";
        let boundary = boundary(kind).unwrap();
        let place = field(FORM.as_bytes(), boundary, "model").unwrap();
        assert_eq!(&FORM.as_bytes()[place], b"whisper-1");
        assert_eq!(field(FORM.as_bytes(), boundary, "prompt"), None);
        assert_eq!(super::boundary("application/json"), None);
        assert_eq!(super::boundary("multipart/form-data; boundary="), None);
    }

    proptest! {
        #[test]
        fn no_form_panics(at in 0usize..200, with in any::<Vec<u8>>()) {
            let mut body = FORM.as_bytes().to_vec();
            let at = at.min(body.len());
            body.splice(at..at, with);
            for form in [&body[..], &body[at..]] {
                let place = field(form, "X1", "model");
                prop_assert!(place.is_none_or(|place| place.end <= form.len()));
            }
        }
    }
}
