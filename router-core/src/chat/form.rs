//! A parsed form (`multipart/form-data`): its fields, and the body written again from them.
//!
//! The outgoing body is built from the parsed fields only, so an upstream cannot find anything in
//! it that the router has not read. Contents stay in the caller's body until then; only their
//! positions are kept.
//!
//! Not done here: parsing a form (`form_parser.rs`).
//!
//! **Source:** RFC 7578, RFC 2046 section 5.1.

use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};
use http::HeaderValue;

/// The field that names the model.
pub(super) const MODEL: &str = "model";

/// A form as the router has read it.
#[derive(Debug, Clone)]
pub(super) struct Form {
    /// The boundary between fields. No content contains it, with any kind of line break.
    pub(super) boundary: String,
    /// The fields, in the order of the body.
    pub(super) parts: Vec<FormPart>,
}

/// One field of a form.
#[derive(Debug, Clone)]
pub(super) struct FormPart {
    pub(super) name: String,
    pub(super) file_name: Option<String>,
    pub(super) content_type: Option<HeaderValue>,
    /// Position of its content in the caller's body.
    pub(super) content: Range<usize>,
}

impl Form {
    /// The content of the one field of this name; `None` if the form has none.
    #[cfg(feature = "http-client")]
    pub(super) fn text<'a>(&self, name: &str, body: &'a [u8]) -> Option<&'a str> {
        let part = self.parts.iter().find(|part| part.name == name)?;
        std::str::from_utf8(body.get(part.content.clone())?).ok()
    }

    /// The content type of the form that is written.
    pub(super) fn content_type(&self) -> Option<HeaderValue> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.+'".contains(&byte);
        let quote = if self.boundary.bytes().all(plain) { "" } else { "\"" };
        let text = format!("multipart/form-data; boundary={quote}{}{quote}", self.boundary);
        HeaderValue::try_from(text).ok()
    }

    /// The form with its model, or with `model` in its place. A form without a model is given one only if `model` names it.
    pub(super) fn written(&self, body: &[u8], model: Option<&str>) -> Bytes {
        let content = |part: &FormPart| body.get(part.content.clone()).unwrap_or_default();
        let size: usize = self.parts.iter().map(|part| part.content.len() + HEAD_BYTES).sum();
        let mut out = BytesMut::with_capacity(size);
        let mut named = false;
        for part in &self.parts {
            let is_model = part.name == MODEL;
            named |= is_model;
            let content = model.filter(|_| is_model).map_or(content(part), str::as_bytes);
            self.write(&mut out, part, content);
        }
        if let (Some(model), false) = (model, named) {
            let (file_name, content_type) = (None, None);
            let part = FormPart { name: MODEL.to_owned(), file_name, content_type, content: 0..0 };
            self.write(&mut out, &part, model.as_bytes());
        }
        for piece in ["--", &self.boundary, "--\r\n"] {
            out.put_slice(piece.as_bytes());
        }
        out.freeze()
    }

    fn write(&self, out: &mut BytesMut, part: &FormPart, content: &[u8]) {
        let mut text = |piece: &str| out.put_slice(piece.as_bytes());
        text("--");
        text(&self.boundary);
        text("\r\nContent-Disposition: form-data; name=\"");
        text(&part.name);
        if let Some(file_name) = &part.file_name {
            text("\"; filename=\"");
            text(file_name);
        }
        text("\"\r\n");
        if let Some(kind) = &part.content_type {
            out.put_slice(b"Content-Type: ");
            out.put_slice(kind.as_bytes());
            out.put_slice(b"\r\n");
        }
        out.put_slice(b"\r\n");
        out.put_slice(content);
        out.put_slice(b"\r\n");
    }
}

/// Approximate memory of a field's head.
const HEAD_BYTES: usize = 256;
