//! Passed-through forms: one field names the model, every disguised second one is refused, and the
//! upstream receives a form that was written again from the parsed one.

use crate::support::raw::{RawUpstream, Received};
use crate::support::{Answer, Bench, Layout};

use crate::keys::{key, with_keys};

const PATH: &str = "/v1/images/edits";
const KIND: &str = "multipart/form-data; boundary=XyZ";
const END: &str = "--XyZ--\r\n";

/// A router whose key `korea` is bound to Korea, with one image model inside and one outside, before a raw upstream.
async fn bench(api: &str, upstream: &RawUpstream) -> Bench {
    let layout = Layout::pair()
        .text("endpoints.raw.url", &upstream.url())
        .text("endpoints.raw.api", api)
        .set("endpoints.raw.anonymous", true);
    let layout = match api {
        "azure" => layout.text("endpoints.raw.api_version", "2025-04-01-preview"),
        _ => layout,
    };
    let image = |layout: Layout, name: &str, model: &str, area: &str| {
        layout
            .written(name, model, "pay_as_you_go")
            .text(&format!("deployments.{name}.endpoint"), "raw")
            .text(&format!("deployments.{name}.area"), area)
            .text(&format!("deployments.{name}.azure_deployment"), &name.replace('_', "-"))
    };
    let layout = image(layout, "img_kr", "gpt-image-1", "region:koreacentral");
    let layout = image(layout, "img_global", "dall-e-3", "global");
    with_keys(layout, &["korea"]).text("keys.korea.residency", "geo:kr").start().await
}

async fn send(bench: &Bench, path: &str, kind: &str, body: Vec<u8>) -> Answer {
    let request = bench.client.post(bench.url(path)).header("content-type", kind);
    Answer::of(request.bearer_auth(key("korea")).body(body)).await
}

fn part(head: &str, text: &str) -> String {
    format!("--XyZ\r\n{head}\r\n\r\n{text}\r\n")
}

fn field(parameters: &str, text: &str) -> String {
    part(&format!("Content-Disposition: form-data; {parameters}"), text)
}

/// Each hides `img_global` behind, before or in a form that also names `img_kr`, for a parser that reads it otherwise.
fn disguises() -> Vec<(&'static str, String)> {
    let own = field("name=\"model\"", "img_kr");
    let second = |parameters: &str| [&*own, &field(parameters, "img_global"), END].concat();
    let in_head = |head: &str| [&*own, &part(head, "img_global"), END].concat();
    let bare = field("name=\"model\"", "img_global").replace("\r\n", "\n");
    vec![
        ("two model fields", second("name=\"model\"")),
        ("name*", second("name*=utf-8''model")),
        ("an extended name beside a plain one", second("name=\"size\"; name*=utf-8''model")),
        ("two names", second("name=\"size\"; name=\"model\"")),
        ("an escaped letter", second("name=\"mo\\del\"")),
        ("an escaped quote", second("name=\"size\\\"; name=\"model\"")),
        ("upper case", second("name=\"MODEL\"")),
        ("a parameter in upper case", second("NAME=\"model\"")),
        ("single quotes", second("name='model'")),
        ("spaces in the name", second("name=\" model \"")),
        ("an empty file name", second("name=\"model\"; filename=\"\"")),
        ("a file", second("name=\"model\"; filename=\"model.txt\"")),
        ("a folded header", in_head("Content-Disposition: form-data;\r\n name=\"model\"")),
        (
            "two dispositions",
            in_head(
                "Content-Disposition: form-data; name=\"size\"\r\nContent-Disposition: form-data; name=\"model\"",
            ),
        ),
        ("bare line feeds", [&*own, &bare, END].concat()),
        (
            "bare line feeds in a content",
            [&*own, &field("name=\"size\"", &format!("x\n{bare}")), END].concat(),
        ),
        ("before the first boundary", [&*bare, &own, END].concat()),
        ("the boundary in the preamble", ["--XyZ \r\n", &own, END].concat()),
        (
            "after the last boundary",
            [&*own, END, &field("name=\"model\"", "img_global"), END].concat(),
        ),
        (
            "a nested form",
            in_head(
                "Content-Disposition: form-data; name=\"a\"\r\nContent-Type: multipart/mixed; boundary=b",
            ),
        ),
    ]
}

#[tokio::test]
async fn no_disguise_carries_a_model_past_a_key() {
    let upstream = RawUpstream::start().await;
    let bench = bench("openai", &upstream).await;
    for (what, body) in disguises() {
        let answer = send(&bench, PATH, KIND, body.into_bytes()).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "invalid_request"),
            "{what}: {answer:?}"
        );
    }
    let own = [field("name=\"model\"", "img_kr"), END.to_owned()].concat();
    for kind in [
        "multipart/form-data; boundary=XyZ; boundary=abc",
        "multipart/form-data; boundary=abc; boundary=XyZ",
        "multipart/form-data; boundary*=utf-8''abc; boundary=XyZ",
        "multipart/form-data",
    ] {
        let answer = send(&bench, PATH, kind, own.clone().into_bytes()).await;
        assert_eq!(answer.status, 400, "{kind}: {answer:?}");
    }
    assert!(upstream.received().is_empty(), "{:?}", upstream.received());
    // An openly requested model is refused by its own name.
    let open = [field("name=\"model\"", "img_global"), END.to_owned()].concat();
    let answer = send(&bench, PATH, KIND, open.into_bytes()).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (400, "residency_unsatisfiable"),
        "{answer:?}"
    );
    assert!(upstream.received().is_empty());
}

#[tokio::test]
async fn the_form_that_goes_out_is_written_from_what_was_read() {
    let upstream = RawUpstream::start().await;
    let bench = bench("openai", &upstream).await;
    let text = "content-disposition:form-data;  name=model\r\nContent-Type: text/plain; charset=utf-8\r\nX-Other: 1";
    let file = "Content-Disposition: form-data; filename=\"고양이.png\"; name=\"image[]\"\r\nContent-Type: image/png\r\nContent-Length: 9";
    let image: &[u8] = b"\x89PNG\r\n\x00\xFF\n";
    let mut body = [part(text, "img_kr"), format!("--XyZ\r\n{file}\r\n\r\n")].concat().into_bytes();
    body.extend_from_slice(image);
    body.extend_from_slice(format!("\r\n{END}").as_bytes());
    let answer =
        send(&bench, PATH, "multipart/form-data; boundary=\"XyZ\"; charset=utf-8", body).await;
    assert_eq!((answer.status, answer.deployment()), (200, Some("img_kr")), "{answer:?}");
    let [Received { target, headers, body }] = &upstream.received()[..] else {
        panic!("one request")
    };
    assert_eq!(target, "/v1/images/edits");
    assert!(headers.contains("content-type: multipart/form-data; boundary=XyZ\r\n"), "{headers}");
    let mut expected = field("name=\"model\"", "img-kr").into_bytes();
    expected.extend_from_slice(
        "--XyZ\r\nContent-Disposition: form-data; name=\"image[]\"; filename=\"고양이.png\"\r\nContent-Type: image/png\r\n\r\n"
            .as_bytes(),
    );
    expected.extend_from_slice(image);
    expected.extend_from_slice(format!("\r\n{END}").as_bytes());
    assert_eq!(*body, expected, "{}", String::from_utf8_lossy(body));
}

#[tokio::test]
async fn a_path_that_names_the_deployment_needs_no_model_in_the_body() {
    let form = [field("name=\"prompt\"", "a cat"), END.to_owned()].concat();
    for (api, expected) in [
        ("azure", form.clone()),
        (
            "openai",
            form.replace(END, &[field("name=\"model\"", "img-kr"), END.to_owned()].concat()),
        ),
    ] {
        let upstream = RawUpstream::start().await;
        let bench = bench(api, &upstream).await;
        let path = "/openai/deployments/img_kr/images/edits?api-version=2025-04-01-preview";
        let answer = send(&bench, path, KIND, form.clone().into_bytes()).await;
        assert_eq!((answer.status, answer.deployment()), (200, Some("img_kr")), "{answer:?}");
        let received = upstream.received();
        assert_eq!(String::from_utf8_lossy(&received[0].body), expected, "{api}");
        // JSON without a model stays JSON.
        let path = path.replace("edits", "generations");
        let answer = send(&bench, &path, "application/json", b"{\"prompt\":\"a\"}".to_vec()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let body = upstream.received()[1].body.clone();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["prompt"], "a");
        assert_eq!(body.get("model").is_some(), api == "openai", "{body}");
        // A body that is neither a form nor JSON is refused, not completed.
        for body in ["", "[]", "prompt=a"] {
            let answer = send(&bench, &path, "application/json", body.as_bytes().to_vec()).await;
            assert_eq!((answer.status, upstream.received().len()), (400, 2), "{body}");
        }
    }
}
