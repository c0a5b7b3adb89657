//! Parses a form (`multipart/form-data`) with the crate `multer`, and refuses every form that
//! another parser could read differently.
//!
//! Parsers disagree about bare line feeds, folded and repeated headers, escapes, `name*=`, letter
//! case, and text before the first boundary or after the last. A caller could use this to show the
//! router one model and the upstream another. The head of each field must therefore have one form
//! on which all parsers agree, and the result of `multer` must match it. The official clients write
//! only this form.
//!
//! Not done here: the meaning of the fields, and the outgoing body (`form.rs`).

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::stream;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use memchr::memmem;
use multer::{Field, Multipart};

use super::body::RequestFault;
use super::form::{Form, FormPart, MODEL};

/// The most fields of a form.
const MOST_PARTS: usize = 256;
/// The longest name of a field.
const LONGEST_NAME: usize = 64;
/// The longest boundary. **Source:** RFC 2046, section 5.1.1.
const LONGEST_BOUNDARY: usize = 70;
/// End of a field's head.
const BLANK_LINE: &[u8] = b"\r\n\r\n";

/// Reads a form.
///
/// # Errors
/// It is not well formed, or can be read in more than one way.
pub(super) fn read(content_type: &str, body: &[u8]) -> Result<Form, RequestFault> {
    let boundary = boundary(content_type).ok_or_else(|| {
        RequestFault::new("content-type", "expected multipart/form-data with a boundary")
    })?;
    let whole = stream::once(async { Ok::<Bytes, multer::Error>(Bytes::copy_from_slice(body)) });
    let multipart = Multipart::new(whole, boundary.clone());
    // The whole body is there, so that the parser never has to wait.
    let read = parts(multipart, Place { body, boundary: &boundary, at: 0 }).now_or_never();
    let parts = read.ok_or_else(|| malformed("it ends within a field"))??;
    check_names(&parts)?;
    Ok(Form { boundary, parts })
}

fn malformed(why: &str) -> RequestFault {
    RequestFault::new("body", format!("not a form that is read in one way alone: {why}"))
}

/// The boundary that a content type names, if every parser finds the same one there.
fn boundary(content_type: &str) -> Option<String> {
    let (kind, parameters) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let named = parameters.split(';').filter(|parameter| {
        let name = parameter.split('=').next().unwrap_or_default().trim().trim_end_matches('*');
        name.to_ascii_lowercase().starts_with("boundary")
    });
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=?".contains(&byte);
    let boundary = multer::parse_boundary(content_type).ok()?;
    let fits = (1..=LONGEST_BOUNDARY).contains(&boundary.len()) && boundary.bytes().all(letter);
    (fits && named.count() == 1).then_some(boundary)
}

/// Position of the parser in the body: behind a boundary.
struct Place<'b> {
    body: &'b [u8],
    boundary: &'b str,
    at: usize,
}

async fn parts(
    mut form: Multipart<'_>,
    mut place: Place<'_>,
) -> Result<Vec<FormPart>, RequestFault> {
    let unreadable = |_| malformed("the parser refuses it");
    place.begin()?;
    let mut parts = Vec::new();
    while let Some(mut field) = form.next_field().await.map_err(unreadable)? {
        if parts.len() == MOST_PARTS {
            return Err(RequestFault::new("body", format!("expected at most {MOST_PARTS} fields")));
        }
        let mut length = 0;
        while let Some(piece) = field.chunk().await.map_err(unreadable)? {
            length += piece.len();
        }
        parts.push(place.part(&field, length)?);
    }
    place.end()?;
    Ok(parts)
}

impl<'b> Place<'b> {
    fn rest(&self) -> &'b [u8] {
        self.body.get(self.at..).unwrap_or_default()
    }

    /// Steps over a text that must come next.
    fn step(&mut self, text: &[u8]) -> Option<()> {
        self.rest().starts_with(text).then(|| self.at += text.len())
    }

    fn delimiter(&self) -> Vec<u8> {
        format!("--{}", self.boundary).into_bytes()
    }

    fn begin(&mut self) -> Result<(), RequestFault> {
        let delimiter = self.delimiter();
        self.step(&delimiter).ok_or_else(|| malformed("text before the first boundary"))
    }

    /// Takes the field that the parser has read, whose content is `length` bytes long.
    fn part(&mut self, field: &Field<'_>, length: usize) -> Result<FormPart, RequestFault> {
        self.step(b"\r\n").ok_or_else(|| malformed("text behind a boundary"))?;
        let head = memmem::find(self.rest(), BLANK_LINE)
            .and_then(|end| self.rest().get(..end))
            .ok_or_else(|| malformed("a field without an empty line"))?;
        self.at += head.len() + BLANK_LINE.len();
        let content = self.at..self.at.saturating_add(length);
        let text =
            self.body.get(content.clone()).ok_or_else(|| malformed("it ends within a field"))?;
        let delimiter = self.delimiter();
        if memmem::find(head, &delimiter).or(memmem::find(text, &delimiter)).is_some() {
            return Err(malformed("the boundary within a field"));
        }
        self.at = content.end;
        self.step(b"\r\n")
            .and_then(|()| self.step(&delimiter))
            .ok_or_else(|| malformed("a field's end"))?;
        let Named { name, file_name } = agreed(head, field)?;
        let content_type = content_type(field)?;
        if name == MODEL {
            check_model(text, file_name.as_deref(), content_type.as_ref())?;
            return Ok(FormPart { name, file_name: None, content_type: None, content });
        }
        Ok(FormPart { name, file_name, content_type, content })
    }

    fn end(&mut self) -> Result<(), RequestFault> {
        self.step(b"--").ok_or_else(|| malformed("no end"))?;
        let blank = self.rest().iter().all(|byte| matches!(byte, b'\r' | b'\n'));
        if blank { Ok(()) } else { Err(malformed("text behind the last boundary")) }
    }
}

/// Contents of a field's head.
#[derive(Debug, Default, PartialEq)]
struct Named {
    name: String,
    file_name: Option<String>,
}

/// The names of a field, if its head has the one form in which parsers agree and `multer` has read just that.
fn agreed(head: &[u8], field: &Field<'_>) -> Result<Named, RequestFault> {
    let text = std::str::from_utf8(head).map_err(|_| malformed("a head that is not UTF-8"))?;
    let lines: Vec<&str> = text.split("\r\n").collect();
    let plain = |line: &&str| {
        let folded = line.starts_with([' ', '\t']);
        !folded && !line.contains(|letter: char| letter.is_control() && letter != '\t')
    };
    if !lines.iter().all(plain) {
        return Err(malformed("a head with folded lines, bare line ends or control characters"));
    }
    // The parser keeps one of several headers with the same name.
    if field.headers().len() != lines.len() {
        return Err(malformed("a header that is repeated"));
    }
    let transfer = field.headers().get("content-transfer-encoding").map(HeaderValue::as_bytes);
    let as_it_is = |encoding: &[u8]| {
        [&b"7bit"[..], b"8bit", b"binary"].iter().any(|known| encoding.eq_ignore_ascii_case(known))
    };
    if transfer.is_some_and(|encoding| !as_it_is(encoding)) {
        return Err(malformed("a content that is encoded"));
    }
    let value = lines.iter().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-disposition").then_some(value.trim())
    });
    let named = value.and_then(disposition).ok_or_else(|| malformed("a content-disposition"))?;
    if field.name() != Some(named.name.as_str()) || field.file_name() != named.file_name.as_deref()
    {
        return Err(malformed("a name"));
    }
    Ok(named)
}

/// `form-data; name="model"` and perhaps `; filename="a.mp3"`; a plain word needs no quotes. `None` for all else.
fn disposition(value: &str) -> Option<Named> {
    let (kind, mut rest) = value.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("form-data") {
        return None;
    }
    let (mut name, mut file_name) = (None, None);
    loop {
        let (parameter, after) = rest.trim_start().split_once('=')?;
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').filter(|(value, _)| !value.contains('\\'))?,
            None => word(after)?,
        };
        let slot = match parameter {
            "name" => &mut name,
            "filename" => &mut file_name,
            _ => return None,
        };
        if slot.replace(value.to_owned()).is_some() {
            return None;
        }
        match after.trim_start().strip_prefix(';') {
            Some(more) => rest = more,
            None if after.trim().is_empty() => break,
            None => return None,
        }
    }
    Some(Named { name: name?, file_name })
}

/// A value without quotes, and what follows it.
fn word(text: &str) -> Option<(&str, &str)> {
    let letter = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    let (word, after) = text.split_at_checked(text.find(';').unwrap_or(text.len()))?;
    let word = word.trim_end();
    (!word.is_empty() && word.chars().all(letter)).then_some((word, after))
}

fn content_type(field: &Field<'_>) -> Result<Option<HeaderValue>, RequestFault> {
    let Some(value) = field.headers().get(CONTENT_TYPE) else { return Ok(None) };
    // A form within the form is one more body that others may take apart.
    let plain = field.content_type().is_some_and(|kind| kind.type_() != "multipart");
    if plain { Ok(Some(value.clone())) } else { Err(malformed("a content type")) }
}

fn check_model(
    text: &[u8],
    file_name: Option<&str>,
    content_type: Option<&HeaderValue>,
) -> Result<(), RequestFault> {
    let kind = content_type.map(|kind| kind.to_str().unwrap_or_default().to_ascii_lowercase());
    let plain = kind.is_none_or(|kind| {
        let parts: Vec<&str> = kind.split(';').map(str::trim).collect();
        matches!(
            parts.as_slice(),
            ["text/plain"]
                | ["text/plain", "charset=utf-8" | "charset=us-ascii" | "charset=iso-8859-1"]
        )
    });
    let visible = text.iter().all(u8::is_ascii_graphic);
    if plain && visible && file_name.is_none() {
        return Ok(());
    }
    Err(RequestFault::new(
        MODEL,
        "expected the name of a model as plain text, in a field without a file",
    ))
}

/// One field names the model, and none is written so that another parser could take it for that one.
fn check_names(parts: &[FormPart]) -> Result<(), RequestFault> {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.[]".contains(&byte);
    let mut named = false;
    for part in parts {
        let name = part.name.as_str();
        let fits = (1..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(letter);
        // This one says how the others are encoded (RFC 7578, section 4.6).
        if !fits || name.eq_ignore_ascii_case("_charset_") {
            return Err(malformed("a name"));
        }
        let bare: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
        if bare.eq_ignore_ascii_case(MODEL) {
            let again = std::mem::replace(&mut named, true);
            if again || name != MODEL {
                return Err(RequestFault::new(
                    MODEL,
                    "expected one field `model`, written just so",
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
