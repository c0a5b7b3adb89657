//! The API besides chat and the Responses API: embeddings, legacy completions, and passed-through
//! paths.

mod passed_through;

use azure_emulator::Step;
use serde_json::{Value, json};

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
