//! The API besides chat and the Responses API: embeddings, legacy completions, and passed-through
//! paths.

use azure_emulator::Step;
use reqwest::Method;
use serde_json::{Value, json};

use crate::keys::{key, with_keys};
use crate::support::{Answer, Bench, Layout};

const EMBED: &str = "text-embedding-3-small";
const INSTRUCT: &str = "gpt-3.5-turbo-instruct";

fn layout() -> Layout {
    Layout::pair()
        .payg("embed", EMBED)
        .payg("instruct", INSTRUCT)
        .payg("draw", "gpt-image-1")
        .payg("speak", "tts-1")
        .payg("listen", "whisper-1")
        .payg("judge", "omni-moderation-latest")
}

async fn post(bench: &Bench, path: &str, body: &Value) -> Answer {
    Answer::of(bench.client.post(bench.url(path)).json(body)).await
}

/// The paths of an operation, with the model in the path where Azure has it there.
fn paths(operation: &str, model: &str) -> [String; 5] {
    [
        format!("/v1/{operation}"),
        format!("/v1/{operation}/"),
        format!("/{operation}"),
        format!("/openai/v1/{operation}"),
        format!("/openai/deployments/{model}/{operation}?api-version=2024-10-21"),
    ]
}

#[tokio::test]
async fn embeddings_pass_byte_for_byte_in_either_encoding() {
    let bench = layout().start().await;
    for path in paths("embeddings", EMBED) {
        for encoding in ["float", "base64"] {
            let body = json!({"model": EMBED, "input": ["a", "안녕"], "encoding_format": encoding});
            let answer = post(&bench, &path, &body).await;
            assert_eq!(
                (answer.status, answer.deployment()),
                (200, Some("embed")),
                "{path} {answer:?}"
            );
            assert_eq!(answer.header("x-router-task"), None, "nothing is scored");
            let vector = &answer.json()["data"][1]["embedding"];
            assert_eq!(vector.is_string(), encoding == "base64", "{vector}");
            let sent = bench.asked("embed").last().unwrap().body.clone();
            assert_eq!(
                sent,
                body.to_string(),
                "the dated address names the deployment: no byte differs"
            );
        }
    }
}

#[tokio::test]
async fn embeddings_fall_back_to_the_same_model_alone() {
    let layout = layout().payg("embed_too", EMBED).set("deployments.embed_too.order", 2);
    let bench = layout.start().await;
    bench.emulator.script("embed", Step::server_error());
    let answer = post(&bench, "/v1/embeddings", &json!({"model": EMBED, "input": "a"})).await;
    assert_eq!((answer.status, answer.deployment()), (200, Some("embed_too")), "{answer:?}");
    assert_eq!(answer.header("x-router-fallback"), Some("status_5xx"));
    let usage = answer.json()["usage"]["prompt_tokens"].as_f64().unwrap();
    let line = "gen_ai_client_token_usage_sum{gen_ai_operation_name=\"embeddings\",gen_ai_provider_name=\"azure.ai.openai\",\
        gen_ai_request_model=\"text-embedding-3-small\",gen_ai_token_type=\"input\"}";
    assert!((bench.metric(line).await - usage).abs() < 1e-9);
}

#[tokio::test]
async fn a_model_is_named_where_nothing_is_scored() {
    let bench = layout().start().await;
    for body in [
        json!({"input": "a"}),
        json!({"model": "", "input": "a"}),
        json!({"model": "auto", "input": "a"}),
        json!({"model": "chat", "input": "a"}),
    ] {
        let answer = post(&bench, "/v1/embeddings", &body).await;
        let named = body["model"].as_str().is_some_and(|name| !name.is_empty());
        let expected = if named { (404, "model_not_found") } else { (400, "invalid_request") };
        assert_eq!((answer.status, answer.code().as_str()), expected, "{answer:?}");
        assert_eq!(answer.json()["error"]["param"], "model");
        let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains(EMBED) && !message.contains("gpt-4o"), "{message}");
        assert_eq!(message.contains("expected the name of a model"), !named, "{message}");
    }
    let answer = post(&bench, "/v1/embeddings", &json!({"model": "gpt-4o", "input": "a"})).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (400, "unsupported_by_model"),
        "{answer:?}"
    );
    let chat = bench.ask(EMBED, json!({})).await;
    assert_eq!((chat.status, chat.code().as_str()), (400, "unsupported_by_model"), "{chat:?}");
    // async-openai puts its one deployment's name into every path.
    let path = "/openai/deployments/gpt-4o/embeddings?api-version=2024-10-21";
    let answer = post(&bench, path, &json!({"model": EMBED, "input": "a"})).await;
    assert_eq!((answer.status, answer.deployment()), (200, Some("embed")), "{answer:?}");
}

#[tokio::test]
async fn legacy_completions_are_answered_in_both_forms() {
    let bench = layout().start().await;
    for path in paths("completions", INSTRUCT) {
        for streamed in [false, true] {
            let body = json!({"model": INSTRUCT, "prompt": "Say hello.", "stream": streamed});
            let answer = post(&bench, &path, &body).await;
            assert_eq!(
                (answer.status, answer.deployment()),
                (200, Some("instruct")),
                "{path} {answer:?}"
            );
            assert_eq!(answer.is_stream(), streamed);
            let text = |event: &Value| event["choices"][0]["text"].as_str().map(str::to_owned);
            let said: String = if streamed {
                assert!(answer.is_whole_stream(), "{answer:?}");
                assert!(
                    !answer.text.contains("\"usage\":{"),
                    "our own wish stays with us: {}",
                    answer.text
                );
                answer.events().iter().filter_map(text).collect()
            } else {
                text(&answer.json()).unwrap()
            };
            assert!(!said.is_empty());
        }
    }
    let estimated = "model_router_usage_estimated_total{deployment=\"instruct\"}";
    assert!(bench.metric(estimated).await < 0.5, "streams were asked for their usage");
}

#[tokio::test]
async fn names_with_a_provider_before_them_mean_the_model() {
    let bench = layout().start().await;
    for (name, deployment) in [
        ("openai/gpt-4o", "chat_ptu"),
        ("azure/gpt-4o", "chat_ptu"),
        ("azure/chat_payg", "chat_payg"),
    ] {
        assert_eq!(bench.ask(name, json!({})).await.deployment(), Some(deployment), "{name}");
    }
    let body = json!({"model": format!("azure/{EMBED}"), "input": "a"});
    assert_eq!(post(&bench, "/v1/embeddings", &body).await.deployment(), Some("embed"));
}

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

#[tokio::test]
async fn a_websocket_is_declined() {
    let bench = layout().start().await;
    for path in ["/v1/realtime", "/openai/realtime", "/v1/responses"] {
        let request = bench.client.get(bench.url(path)).header("connection", "upgrade");
        let answer = Answer::of(request.header("upgrade", "websocket")).await;
        assert_eq!(answer.status, 501, "{path}");
    }
}

#[tokio::test]
async fn a_model_is_its_makers_under_each_of_its_names() {
    let bench = layout().set("aliases.mine", "\"gpt-4o\"").start().await;
    for (name, owner) in [
        ("gpt-4o", "openai"),
        ("openai/gpt-4o", "openai"),
        ("gpt-4o-2024-11-20", "openai"),
        ("auto", "model-router"),
        ("mine", "model-router"),
        ("embed", "model-router"),
    ] {
        let one = bench.get(&format!("/v1/models/{name}")).await.json();
        assert_eq!((&one["id"], &one["owned_by"]), (&json!(name), &json!(owner)));
    }
}

#[tokio::test]
async fn models_have_the_form_of_their_dialect() {
    let bench = layout().start().await;
    let keys = |value: &Value| -> Vec<String> {
        let mut keys: Vec<String> = value.as_object().unwrap().keys().cloned().collect();
        keys.sort();
        keys
    };
    let openai = ["created", "id", "object", "owned_by"];
    let azure = [
        "capabilities",
        "created",
        "created_at",
        "deprecation",
        "id",
        "lifecycle_status",
        "object",
        "owned_by",
        "status",
    ];
    for (base, expected) in [
        ("/v1/models", &openai[..]),
        ("/models", &openai[..]),
        ("/openai/v1/models", &openai[..]),
        ("/openai/models", &azure[..]),
    ] {
        let query = if expected.len() > 4 { "?api-version=2024-10-21" } else { "" };
        let list = bench.get(&format!("{base}{query}")).await.json();
        assert_eq!(
            (&list["object"], keys(&list)),
            (&json!("list"), vec!["data".to_owned(), "object".to_owned()])
        );
        let data = list["data"].as_array().unwrap();
        for model in data {
            assert_eq!(keys(model), expected, "{base} {model}");
            assert!(model["created"].is_u64() && model["owned_by"].is_string());
        }
        for name in ["auto", "gpt-4o", EMBED, INSTRUCT, "openai/gpt-4o"] {
            let one = bench.get(&format!("{base}/{name}{query}")).await;
            assert_eq!((one.status, &one.json()["id"]), (200, &json!(name)), "{base}");
            let listed = data.iter().find(|model| model["id"] == name);
            assert!(listed.is_none_or(|listed| *listed == one.json()), "{base} {name}");
        }
        let unknown = bench.get(&format!("{base}/nothing{query}")).await;
        assert_eq!((unknown.status, unknown.code().as_str()), (404, "model_not_found"), "{base}");
    }
    let able = |name: &'static str| {
        let bench = &bench;
        async move {
            bench.get(&format!("/openai/models/{name}?api-version=x")).await.json()["capabilities"]
                .clone()
        }
    };
    assert_eq!(
        able(EMBED).await,
        json!({"fine_tune": false, "inference": true, "completion": false, "chat_completion": false, "embeddings": true})
    );
    assert_eq!(able(INSTRUCT).await["completion"], true);
    assert_eq!(able("gpt-4o").await["chat_completion"], true);
    assert_eq!(able("auto").await["chat_completion"], true);
    assert_eq!(able("embed").await["embeddings"], true, "a deployment can what its model can");
}
