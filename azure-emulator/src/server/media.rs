//! Images, speech, transcriptions and moderations: one small answer each, in the right form. They touch no bucket.

use super::head;
use super::inference::Reached;
use crate::wire::error::Refusal;
use axum::body::Body;
use axum::response::Response;
use serde_json::Value;
use serde_json::json;

/// Media operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Media {
    Images,
    Speech,
    Transcriptions,
    Moderations,
}

impl Media {
    /// All, with their paths.
    pub(crate) const PATHS: [(&'static str, Self); 4] = [
        ("/images/generations", Self::Images),
        ("/audio/speech", Self::Speech),
        ("/audio/transcriptions", Self::Transcriptions),
        ("/moderations", Self::Moderations),
    ];

    /// Name in Azure's messages.
    pub(crate) const fn azure_name(self) -> &'static str {
        match self {
            Self::Images => "ImageGenerations_Create",
            Self::Speech => "Audio_Speech",
            Self::Transcriptions => "Audio_Transcriptions",
            Self::Moderations => "Moderations_Create",
        }
    }
}

/// Bytes that are no UTF-8, as sound is.
const SOUND: [u8; 8] = [0x49, 0x44, 0x33, 0x04, 0x00, 0xFF, 0xFB, 0x90];

/// The answer; the field that each must have is looked for.
pub(crate) fn answer(reached: &Reached, media: Media) -> Response {
    let needed = match media {
        Media::Images => "prompt",
        Media::Speech | Media::Moderations => "input",
        Media::Transcriptions => "file",
    };
    if reached.body.get(needed).is_none() {
        return head::refused(&Refusal::missing(needed));
    }
    let model = &reached.deployed.settings.served_model;
    let json = |body: Value| {
        head::respond(200, head::of(reached, head::JSON), Body::from(body.to_string()))
    };
    match media {
        Media::Images => json(json!({"created": 1, "data": [{"b64_json": "aGk="}]})),
        Media::Speech => {
            head::respond(200, head::of(reached, "audio/mpeg"), Body::from(SOUND.to_vec()))
        }
        Media::Transcriptions => json(json!({"text": "hello"})),
        Media::Moderations => json(json!({"id": "modr-1", "model": model, "results": [
            {"flagged": false, "categories": {}, "category_scores": {}},
        ]})),
    }
}

/// The fields of a form, as far as they are text; those of files are null. `None` if it is no form.
pub(crate) fn form(bytes: &[u8]) -> Option<Value> {
    if !bytes.starts_with(b"--") {
        return None;
    }
    let text = String::from_utf8_lossy(bytes);
    let boundary = text.lines().next()?;
    let mut fields = json!({});
    for part in text.split(boundary).skip(1) {
        let Some((head, value)) = part.split_once("\r\n\r\n") else { continue };
        let name = head.split("name=\"").nth(1).and_then(|rest| rest.split('"').next());
        let file = head.contains("filename=");
        let value = value.strip_suffix("\r\n").unwrap_or(value);
        if let (Some(fields), Some(name)) = (fields.as_object_mut(), name) {
            fields.insert(name.to_owned(), if file { Value::Null } else { json!(value) });
        }
    }
    Some(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_as_its_fields() {
        let bytes =
            b"--x\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n--x\r\n\
            content-disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n\xFF\r\n--x--\r\n";
        assert_eq!(form(bytes), Some(json!({"model": "whisper-1", "file": null})));
        assert_eq!(form(b"{}"), None);
    }
}
