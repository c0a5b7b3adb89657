//! Forms that are read, and those that are refused.

use proptest::prelude::*;

use super::*;

const KIND: &str = "multipart/form-data; boundary=XyZ";
const FILE: &str = "--XyZ\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.mp3\"\r\n\
    Content-Type: audio/mpeg\r\n\r\n\u{0}--XyY\r\n\r\n\r\n";
const MODEL_PART: &str = "--XyZ\r\ncontent-disposition: form-data; name=model\r\n\r\nwhisper-1\r\n";
const END: &str = "--XyZ--\r\n";

#[test]
fn a_form_is_read_and_written_again_alike() {
    for kind in [KIND, "Multipart/Form-Data; charset=utf-8; Boundary=\"XyZ\""] {
        let body = [FILE, MODEL_PART, END].concat();
        let form = read(kind, body.as_bytes()).unwrap();
        assert_eq!(form.text("model", body.as_bytes()), Some("whisper-1"));
        assert_eq!(form.text("prompt", body.as_bytes()), None);
        assert_eq!(form.content_type().unwrap(), KIND);
        let written = form.written(body.as_bytes(), None);
        let model = MODEL_PART
            .replace("content-disposition", "Content-Disposition")
            .replace("=model", "=\"model\"");
        assert_eq!(written, [FILE, &model, END].concat());
        let other = form.written(body.as_bytes(), Some("listen"));
        assert_eq!(other, [FILE, &model, END].concat().replace("whisper-1", "listen"));
    }
}

#[test]
fn a_form_without_a_model_is_given_a_field_and_nothing_else() {
    let body = [FILE, END].concat();
    let form = read(KIND, body.as_bytes()).unwrap();
    assert_eq!(form.written(body.as_bytes(), None), body);
    let given = form.written(body.as_bytes(), Some("listen"));
    let again = read(KIND, &given).unwrap();
    assert_eq!(again.text("model", &given), Some("listen"));
    assert_eq!(again.parts.len(), 2);
}

#[test]
fn what_clients_write_is_read() {
    for head in [
        "Content-Disposition: form-data; name=\"file\"; filename=\"회의.mp3\"\r\nContent-Type: audio/mpeg",
        "Content-Disposition: form-data; filename=\"a b;c.mp3\"; name=\"file\"",
        "Content-Disposition: form-data; name=\"timestamp_granularities[]\"",
        "Content-Type: text/plain; charset=utf-8\r\nContent-Length: 1\r\nContent-Disposition: form-data; name=\"a\"",
        "Content-Disposition: form-data; name=\"a\"\r\nContent-Transfer-Encoding: binary",
        "Content-Disposition: form-data; name=\"image\"; filename=\"\"\r\nContent-Type: application/octet-stream",
    ] {
        let body = format!("--XyZ\r\n{head}\r\n\r\nx\r\n{END}");
        let read = read(KIND, body.as_bytes());
        assert!(read.is_ok(), "{head}: {read:?}");
    }
    let boundary = "----WebKitFormBoundary7MA4YWxkTrZu0gW";
    let body = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n--{boundary}--"
    );
    assert!(read(&format!("multipart/form-data; boundary={boundary}"), body.as_bytes()).is_ok());
}

#[test]
fn a_content_type_has_one_boundary() {
    for (kind, expected) in [
        (KIND, Some("XyZ")),
        ("multipart/form-data; boundary=\"a=b\"", Some("a=b")),
        ("application/json", None),
        ("multipart/form-data; boundary=", None),
        ("multipart/mixed; boundary=XyZ", None),
        ("multipart/form-data; boundary=a; boundary=b", None),
        ("multipart/form-data; boundary*=utf-8''a; boundary=b", None),
        ("multipart/form-data; boundary=\"a b\"", None),
    ] {
        assert_eq!(boundary(kind).as_deref(), expected, "{kind}");
    }
}

fn part(head: &str, text: &str) -> String {
    format!("--XyZ\r\n{head}\r\n\r\n{text}\r\n")
}

fn field(parameters: &str) -> String {
    part(&format!("Content-Disposition: form-data; {parameters}"), "img-global")
}

fn model() -> String {
    field("name=\"model\"")
}

#[track_caller]
fn refused(what: &str, pieces: &[&str]) {
    let body = pieces.concat();
    assert!(read(KIND, body.as_bytes()).is_err(), "{what}: {body}");
}

#[test]
fn a_second_or_hidden_name_is_refused() {
    for (what, parameters) in [
        ("two models", "name=\"model\""),
        ("name*", "name*=utf-8''model"),
        ("name and name*", "name=\"a\"; name*=utf-8''model"),
        ("two names", "name=\"a\"; name=\"model\""),
        ("an escape", "name=\"mo\\del\""),
        ("an escaped quote", "name=\"a\\\"; name=\"model\""),
        ("a name in a file's name", "filename=\"; name=model"),
        ("single quotes", "name='model'"),
        ("upper case", "name=\"MODEL\""),
        ("a parameter in upper case", "NAME=\"model\""),
        ("a space in the name", "name=\" model\""),
        ("a list", "name=\"model[]\""),
        ("spaces around the sign", "name = \"model\""),
        ("a file", "name=\"model\"; filename=\"m\""),
        ("a file without a name", "name=\"model\"; filename=\"\""),
        ("filename*", "name=\"file\"; filename*=utf-8''m"),
        ("a charset for all", "name=\"_charset_\""),
        ("no name", "filename=\"a\""),
    ] {
        refused(what, &[&model(), &field(parameters), END]);
    }
    for (what, parameters) in
        [("a file alone", "name=\"model\"; filename=\"\""), ("upper case alone", "name=\"Model\"")]
    {
        refused(what, &[&field(parameters), END]);
    }
}

#[test]
fn a_head_in_any_other_form_is_refused() {
    let plain = "Content-Disposition: form-data; name=\"a\"";
    for (what, head) in [
        ("no disposition", "Content-Type: text/plain".to_owned()),
        ("an attachment", "Content-Disposition: attachment; name=\"model\"".to_owned()),
        ("a folded line", "Content-Disposition: form-data;\r\n name=\"model\"".to_owned()),
        ("a bare line feed", format!("{plain}\nX: y")),
        ("a bare return", format!("{plain}\rX: y")),
        ("two headers", format!("{plain}\r\n{}", plain.replace("=\"a", "=\"model"))),
        ("a space before the colon", plain.replace(':', " :")),
        ("an encoding", format!("{plain}\r\nContent-Transfer-Encoding: base64")),
        ("a form in the form", format!("{plain}\r\nContent-Type: multipart/mixed; boundary=b")),
        ("no content type", format!("{plain}\r\nContent-Type: x")),
    ] {
        refused(what, &[&model(), &part(&head, "img-global"), END]);
    }
    let head =
        "Content-Disposition: form-data; name=\"model\"\r\nContent-Type: text/plain; charset=utf-7";
    refused("a model in another charset", &[&part(head, "img-global"), END]);
    refused("no head", &[&model(), "--XyZ\r\n\r\nimg-global\r\n", END]);
}

#[test]
fn text_that_only_some_parsers_read_is_refused() {
    let model = model();
    let bare = model.replace("\r\n", "\n");
    let hidden = part("Content-Disposition: form-data; name=\"a\"", &format!("x\n{bare}"));
    refused("bare line feeds", &[&model, &bare, END]);
    refused("bare line feeds in a content", &[&model, &hidden, END]);
    refused("a blank line before", &["\r\n", &model, END]);
    refused("a preamble", &["x\r\n", &model, END]);
    refused("the boundary in the preamble", &["--XyZ is it\r\n", &model, END]);
    refused("after the end", &[&model, END, &model, END]);
    refused("text after a boundary", &[&model.replacen("XyZ", "XyZ ", 1), END]);
    refused("a line in the model", &[&model.replace("img-global", "a\r\nb"), END]);
    refused("a space in the model", &[&model.replace("img-global", "a "), END]);
    refused("no end", &[&model]);
    refused("no line before the end", &[model.trim_end(), END]);
    refused("no fields in a form that ends at once", &["--XyZ"]);
    refused("too many fields", &[&[FILE].repeat(MOST_PARTS + 1).concat(), END]);
}

proptest! {
    #[test]
    fn no_form_panics_and_what_is_read_is_read_alike_again(
        at in 0usize..200, with in any::<Vec<u8>>(),
    ) {
        let mut body = [FILE, MODEL_PART, END].concat().into_bytes();
        let at = at.min(body.len());
        body.splice(at..at, with);
        for body in [&body[..], &body[at..]] {
            let Ok(form) = read(KIND, body) else { continue };
            let written = form.written(body, None);
            let again = read(KIND, &written).unwrap();
            prop_assert_eq!(again.text("model", &written), form.text("model", body));
            prop_assert_eq!(again.parts.len(), form.parts.len());
        }
    }
}
