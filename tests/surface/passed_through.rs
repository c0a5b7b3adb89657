//! Paths that are passed through: JSON, forms, residency, and the paths that are not.

use azure_emulator::Step;
use reqwest::Method;
use serde_json::json;

use crate::keys::{key, with_keys};
use crate::support::{Answer, Bench, Layout};

use super::{layout, paths, post};

#[tokio::test]
async fn json_and_forms_are_passed_through_as_they_came() {
    let bench = layout().start().await;
    for (path, model, body, kind) in [
        (
            "images/generations",
            "draw",
            json!({"model": "gpt-image-1", "prompt": "a cat", "n": 2}),
            "application/json",
        ),
        (
            "audio/speech",
            "speak",
            json!({"model": "tts-1", "input": "안녕", "voice": "alloy"}),
            "audio/mpeg",
        ),
        (
            "moderations",
            "judge",
            json!({"model": "omni-moderation-latest", "input": ["a"]}),
            "application/json",
        ),
    ] {
        for path in paths(path, model) {
            let request = bench.client.post(bench.url(&path)).json(&body);
            let response = request.send().await.unwrap();
            assert_eq!(response.status(), 200, "{path}");
            assert_eq!(response.headers()["content-type"], kind);
            assert_eq!(response.headers()["x-router-deployment"], model);
            let bytes = response.bytes().await.unwrap();
            assert_eq!(
                std::str::from_utf8(&bytes).is_err(),
                kind == "audio/mpeg",
                "sound is passed as bytes"
            );
            assert_eq!(bench.asked(model).last().unwrap().body, body.to_string());
        }
    }
}

const FORM: &[u8] =
    b"--XyZ\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.mp3\"\r\n\
    Content-Type: audio/mpeg\r\n\r\n\xFF\xFB\x90\x00--XyY\r\n--XyZ\r\n\
    Content-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n--XyZ--\r\n";

#[tokio::test]
async fn a_form_names_its_model_and_keeps_every_other_byte() {
    for (api, sent) in [("azure", "whisper-1"), ("azure_v1", "listen")] {
        let layout =
            if api == "azure" { layout() } else { layout().without("endpoints.azure.api_version") };
        let bench = layout.text("endpoints.azure.api", api).start().await;
        let kind = "multipart/form-data; boundary=XyZ";
        let request = bench.client.post(bench.url("/v1/audio/transcriptions"));
        let answer = Answer::of(request.header("content-type", kind).body(FORM)).await;
        assert_eq!((answer.status, answer.deployment()), (200, Some("listen")), "{answer:?}");
        assert_eq!(answer.json()["text"], "hello");
        let entry = bench.asked("listen").last().cloned().unwrap();
        assert_eq!(entry.header("content-type"), Some(kind));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert_eq!(text(&entry.body), text(FORM).replace("whisper-1", sent));
    }
}

#[tokio::test]
async fn residency_and_fallback_hold_for_what_is_passed_through() {
    let bench = layout().payg("draw_too", "gpt-image-1").start().await;
    let body = json!({"model": "gpt-image-1", "prompt": "a cat"});
    bench.emulator.script("draw", Step::server_error());
    let answer = post(&bench, "/v1/images/generations", &body).await;
    assert_eq!((answer.status, answer.deployment()), (200, Some("draw_too")), "{answer:?}");
    let bound = bench.client.post(bench.url("/v1/images/generations")).json(&body);
    let bound = Answer::of(bound.header("x-router-residency", "geo:kr")).await;
    assert_eq!((bound.status, bound.code().as_str()), (400, "residency_unsatisfiable"));
}

#[tokio::test]
async fn what_is_passed_through_without_a_model_goes_to_the_only_one_of_its_kind_or_nowhere() {
    let bench = layout().payg("draw_2", "dall-e-3").start().await;
    let body = json!({"input": "a"});
    let drawn = json!({"prompt": "a cat"});
    let unnamed = post(&bench, "/v1/images/generations", &drawn).await;
    assert_eq!((unnamed.status, unnamed.code().as_str()), (400, "invalid_request"), "{unnamed:?}");
    assert_eq!(unnamed.json()["error"]["param"], "model");
    let message = unnamed.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("gpt-image-1") && message.contains("dall-e-3"), "{message}");
    assert!(!message.contains("gpt-4o") && !message.contains("whisper"), "{message}");
    // One model moderates, so it is meant.
    let judged = post(&bench, "/v1/moderations", &body).await;
    assert_eq!((judged.status, judged.deployment()), (200, Some("judge")), "{judged:?}");
    // A model that listens draws nothing.
    let other = json!({"model": "whisper-1", "prompt": "a cat"});
    let refused = post(&bench, "/v1/images/generations", &other).await;
    assert_eq!(refused.status, 400, "{refused:?}");
    assert!(refused.text.contains("images"), "{refused:?}");
    assert_eq!(bench.asked("listen").len(), 0);
    let nothing = |bench: &Bench| {
        let request = bench.client.post(bench.url("/v1/audio/transcriptions"));
        request.header("content-type", "multipart/form-data; boundary=x").body("nothing")
    };
    let answer = Answer::of(nothing(&bench)).await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "invalid_request"), "{answer:?}");
    for api in ["azure", "azure_v1"] {
        let layout = Layout::pair().payg("judge", "omni-moderation-latest");
        let layout =
            if api == "azure" { layout } else { layout.without("endpoints.azure.api_version") };
        let bench = layout.text("endpoints.azure.api", api).start().await;
        let answer = post(&bench, "/v1/moderations", &body).await;
        assert_eq!((answer.status, answer.deployment()), (200, Some("judge")), "{answer:?}");
    }
}

#[tokio::test]
async fn json_is_read_from_plain_text_and_behind_a_byte_order_mark() {
    // Without keys only what is declared to be JSON is read.
    let bench = with_keys(layout(), &["team"]).start().await;
    let chat = json!({"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]});
    for kind in ["text/plain;charset=UTF-8", "text/plain", "application/json"] {
        for mark in ["", "\u{feff}"] {
            for (path, deployment, body) in [
                ("/v1/chat/completions", "chat_ptu", chat.to_string()),
                ("/v1/moderations", "judge", json!({"model": "judge", "input": "a"}).to_string()),
            ] {
                let request = bench.client.post(bench.url(path)).header("content-type", kind);
                let request = request.bearer_auth(key("team"));
                let answer = Answer::of(request.body(format!("{mark}{body}"))).await;
                assert_eq!(
                    (answer.status, answer.deployment()),
                    (200, Some(deployment)),
                    "{answer:?}"
                );
                let entry = bench.asked(deployment).last().cloned().unwrap();
                assert_eq!(entry.header("content-type"), Some("application/json"), "{kind}");
                assert_eq!(entry.body, body, "{kind}");
            }
        }
    }
}

#[tokio::test]
async fn a_path_that_a_deployment_does_not_serve_does_not_take_it_out() {
    let bench = layout().start().await;
    let not_found = r#"{"error":{"code":"404","message":"Resource not found"}}"#;
    // Errors of a passed-through path are the caller's own.
    bench.emulator.script("draw", Step::answer(404, [], not_found));
    let body = json!({"model": "gpt-image-1", "prompt": "a cat"});
    let answer = post(&bench, "/v1/images/generations", &body).await;
    assert_eq!((answer.status, answer.text.as_str()), (404, not_found));
    assert_eq!(post(&bench, "/v1/images/generations", &body).await.status, 200);
    // A chat model is not tried at all.
    let answer = post(&bench, "/v1/images/generations", &json!({"model": "gpt-4o"})).await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "unsupported_by_model"));
    // If a deployment does not serve the Responses API, the next one is tried, and chat continues.
    let bench =
        Layout::pair().text("endpoints.azure.api_version", "2025-04-01-preview").start().await;
    bench.emulator.script("chat_ptu", Step::answer(404, [], not_found));
    let answer = post(&bench, "/v1/responses", &json!({"model": "gpt-4o", "input": "hi"})).await;
    assert_eq!((answer.status, answer.deployment()), (200, Some("chat_payg")), "{answer:?}");
    bench.ask_in_form("chat", false).await.assert_answered_by("chat_ptu", false);
    // But a deployment that is not there serves nothing.
    bench.emulator.script("chat_ptu", Step::deployment_not_found());
    let answer = post(&bench, "/v1/responses", &json!({"model": "gpt-4o", "input": "hi"})).await;
    assert_eq!((answer.status, answer.deployment()), (200, Some("chat_payg")), "{answer:?}");
    bench.ask_in_form("chat", false).await.assert_answered_by("chat_payg", false);
}

#[tokio::test]
async fn what_is_not_listed_is_never_sent() {
    let bench = layout().set("passthrough.paths", r#"["moderations"]"#).start().await;
    let body = json!({"model": "gpt-4o", "prompt": "x", "input": "x"});
    for path in [
        "/v1/images/generations",
        "/v1/audio/speech",
        "/v1/files",
        "/v1/fine_tuning/jobs",
        "/v1/batches",
        "/v1/assistants",
        "/openai/deployments/gpt-4o/extensions/chat/completions?api-version=x",
        "/openai/deployments/draw/images/generations?api-version=x",
        "/v1/moderations/../files",
        "/v1/responses/input_tokens/more",
        "/v1//files",
    ] {
        let answer = post(&bench, path, &body).await;
        assert_eq!(answer.status, 404, "{path} {answer:?}");
        assert!(answer.json()["error"]["message"].is_string(), "{path}");
    }
    for method in [Method::GET, Method::DELETE, Method::PUT] {
        let request = bench.client.request(method, bench.url("/v1/moderations"));
        assert_eq!(Answer::of(request).await.status, 405);
    }
    assert!(bench.emulator.journal().is_empty(), "{:?}", bench.emulator.journal());
}
