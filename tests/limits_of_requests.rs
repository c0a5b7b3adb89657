//! A body that is not a chat request is refused in OpenAI's form, and nothing is sent.

use serde_json::json;

use crate::support::{Answer, Layout, checked, question};

#[track_caller]
fn assert_problem(answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{answer:?}");
    let error = &answer.json()["error"];
    assert!(error["message"].is_string() && error["type"].is_string(), "{answer:?}");
    assert!(error["code"].is_string() && error.get("param").is_some(), "{answer:?}");
}

#[tokio::test]
async fn strange_paths_methods_types_and_bodies() {
    let bench = Layout::pair().set("server.max_body_bytes", 2_048).start().await;
    let chat = || bench.client.post(bench.url("/v1/chat/completions"));
    let json_text =
        |text: &str| chat().header("content-type", "application/json").body(text.to_owned());
    assert_problem(&bench.get("/v1/nothing").await, 404);
    assert_problem(&bench.get("/v1/embeddings").await, 405);
    assert_problem(&Answer::of(chat().header("content-type", "text/html").body("hi")).await, 415);
    let long = question("auto", json!({"user": "x".repeat(3_000)}));
    assert_problem(&Answer::of(chat().json(&long)).await, 413);
    for (text, param) in [
        ("", None),
        ("{", None),
        ("[]", None),
        ("\"hi\"", None),
        ("{\"messages\": [}", None),
        ("{}", Some("messages")),
        (r#"{"messages": "hi"}"#, Some("messages")),
        (r#"{"messages": [{"role":"user","content":"x"}], "stream": "yes"}"#, Some("stream")),
        (r#"{"model": 7, "messages": [{"role":"user","content":"x"}]}"#, Some("model")),
    ] {
        let answer = Answer::of(json_text(text)).await;
        assert_problem(&answer, 400);
        if let Some(param) = param {
            assert_eq!(answer.json()["error"]["param"], param, "{text}: {answer:?}");
        }
    }
    assert!(bench.emulator.journal().is_empty());
}

#[tokio::test]
async fn a_websocket_is_not_spoken() {
    let bench = Layout::pair().start().await;
    let request = bench.client.get(bench.url("/v1/realtime")).header("connection", "upgrade");
    assert_problem(&Answer::of(request.header("upgrade", "websocket")).await, 501);
}

#[tokio::test]
async fn beyond_loopback_nothing_listens_without_leave() {
    let layout = Layout::pair();
    let mut config = checked(&layout.toml("http://127.0.0.1:9"));
    config.server.listen = "0.0.0.0:0".parse().unwrap();
    let refused = router_server::start(&config).await.unwrap_err().to_string();
    assert!(refused.contains("allow_anonymous"), "{refused}");
    let allowed = layout.text("server.listen", "0.0.0.0:0").set("server.allow_anonymous", true);
    let config = checked(&allowed.toml("http://127.0.0.1:9"));
    router_server::start(&config).await.unwrap().stop().await;
}
