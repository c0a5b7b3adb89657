//! No form of a request bypasses a key's rights: duplicate fields, denied fields, hosted tools
//! outside its residency, deployments named in headers, objects of another key.

use azure_emulator::Step;
use serde_json::{Value, json};

use crate::keys::{key, with_keys};
use crate::support::{Answer, Bench, Layout};

const RESPONSES: &str = "/v1/responses";
const CHAT: &str = "/v1/chat/completions";

fn layout() -> Layout {
    Layout::pair().text("endpoints.azure.api_version", "2025-04-01-preview")
}

async fn post(bench: &Bench, path: &str, name: &str, body: impl ToString) -> Answer {
    let request = bench.client.post(bench.url(path)).bearer_auth(key(name));
    Answer::of(request.header("content-type", "application/json").body(body.to_string())).await
}

#[track_caller]
fn assert_refused(answer: &Answer, status: u16, code: &str, what: &str) {
    assert_eq!((answer.status, answer.code().as_str()), (status, code), "{what}: {answer:?}");
}

#[tokio::test]
async fn a_field_that_is_given_twice_is_refused_at_every_depth() {
    let bench = with_keys(layout(), &["team"]).start().await;
    let said = r#""messages":[{"role":"user","content":"hi"}]"#;
    for fields in [
        r#""model":"gpt-4o","model":"o1""#,
        r#""model":"gpt-4o","mod\u0065l":"o1""#,
        r#""model":"gpt-4o","stream":false,"stream":true"#,
        r#""model":"gpt-4o","max_tokens":1,"max_tokens":9"#,
        r#""model":"gpt-4o","top_p":1,"top_p":0"#,
        r#""model":"gpt-4o","x_own":1,"x_own":2"#,
        r#""model":"gpt-4o","messages":[]"#,
        r#""model":"gpt-4o","stream_options":{"include_usage":true,"include_usage":false}"#,
        r#""model":"gpt-4o","response_format":{"type":"text","type":"json_object"}"#,
    ] {
        let body = format!("{{{said},{fields}}}");
        assert_refused(&post(&bench, CHAT, "team", &body).await, 400, "invalid_request", &body);
    }
    for fields in [
        r#""input":"a","input":"b""#,
        r#""input":"a","store":false,"store":true"#,
        r#""input":"a","previous_response_id":null,"previous_response_id":"resp_1""#,
        r#""input":"a","conversation":{"id":"a","id":"b"}"#,
        r#""input":"a","reasoning":{"effort":"low","effort":"high"}"#,
        r#""input":"a","text":{"format":{"type":"text"},"format":{"type":"json_object"}}"#,
        r#""input":[{"type":"message","role":"user","content":"a","content":"b"}]"#,
        r#""input":[{"type":"message","type":"item_reference","id":"msg_1"}]"#,
        r#""input":[{"role":"user","content":[{"type":"input_text","text":"a","text":"b"}]}]"#,
    ] {
        let body = format!(r#"{{"model":"gpt-4o",{fields}}}"#);
        assert_refused(
            &post(&bench, RESPONSES, "team", &body).await,
            400,
            "invalid_request",
            &body,
        );
    }
    let body = r#"{"model":"gpt-4o","model":"o1","prompt":"a"}"#;
    assert_refused(
        &post(&bench, "/v1/images/generations", "team", body).await,
        400,
        "invalid_request",
        body,
    );
    assert!(bench.emulator.journal().is_empty());
}

#[tokio::test]
async fn denied_fields_are_refused_at_every_depth_and_for_that_key_alone() {
    let bench = with_keys(layout(), &["team", "other"])
        .set("keys.team.deny_fields", r#"["file_id", "vector_store_ids", "prompt.id"]"#)
        .start()
        .await;
    let file = json!([{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]);
    for (path, body, field) in [
        (RESPONSES, json!({"model": "gpt-4o", "input": file}), "file_id"),
        (
            RESPONSES,
            json!({"model": "gpt-4o", "input": "a", "tools": [{"type": "file_search", "vector_store_ids": ["v"]}]}),
            "vector_store_ids",
        ),
        (RESPONSES, json!({"model": "gpt-4o", "prompt": {"id": "p"}}), "prompt.id"),
        (
            CHAT,
            json!({"model": "gpt-4o", "messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}]}),
            "file_id",
        ),
    ] {
        let denied = post(&bench, path, "team", &body).await;
        assert_refused(&denied, 403, "field_not_allowed", field);
        assert_eq!(denied.json()["error"]["param"], field);
        let before = bench.emulator.journal().len();
        post(&bench, path, "other", &body).await;
        assert_eq!(bench.emulator.journal().len(), before + 1, "{field}");
    }
    let plain =
        json!({"model": "gpt-4o", "input": "the word file_id", "metadata": {"prompt": "id"}});
    assert_eq!(post(&bench, RESPONSES, "team", plain).await.status, 200);
}

#[tokio::test]
async fn hosted_tools_stay_out_of_a_residency_that_binds() {
    let layout = with_keys(layout(), &["korea", "free"])
        .text("residency.hosted_tools", "reject")
        .text("keys.korea.residency", "geo:kr")
        .text("deployments.chat_ptu.area", "region:koreacentral");
    let bench = layout.start().await;
    for (path, more) in [
        (
            RESPONSES,
            json!({"tools": [{"type": "function", "name": "f"}, {"type": "web_search_preview"}]}),
        ),
        (
            RESPONSES,
            json!({"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]}),
        ),
        (RESPONSES, json!({"tools": [{"type": "file_search", "vector_store_ids": ["v"]}]})),
        (
            RESPONSES,
            json!({"tools": [{"type": "mcp", "server_label": "m", "server_url": "https://m"}]}),
        ),
        (RESPONSES, json!({"tools": [{"type": "computer_use_preview"}]})),
        (RESPONSES, json!({"tools": [{"type": "image_generation"}]})),
        (RESPONSES, json!({"tools": [{"type": "of_tomorrow"}]})),
        (RESPONSES, json!({"prompt": {"id": "pmpt_1"}})),
        (CHAT, json!({"web_search_options": {}})),
        (CHAT, json!({"data_sources": [{"type": "azure_search"}]})),
    ] {
        let mut body = match path {
            CHAT => json!({"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}),
            _ => json!({"model": "gpt-4o", "input": "hi"}),
        };
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let refused = post(&bench, path, "korea", &body).await;
        assert_refused(&refused, 400, "hosted_tool_not_allowed", &more.to_string());
        assert_eq!(refused.json()["error"]["param"], "tools");
        assert!(bench.emulator.journal().is_empty(), "{more}");
    }
    let hosted = json!({"model": "gpt-4o", "input": "hi", "tools": [{"type": "web_search"}]});
    let own = json!({"model": "gpt-4o", "input": "hi", "tools": [{"type": "function", "name": "f", "parameters": {}}]});
    for (name, body) in [("korea", own), ("free", hosted)] {
        let answer = post(&bench, RESPONSES, name, &body).await;
        assert_eq!((answer.status, answer.deployment()), (200, Some("chat_ptu")), "{answer:?}");
    }
}

#[tokio::test]
async fn a_header_that_names_a_deployment_is_held_to_rights_and_residency() {
    let header = "x-ms-oai-image-generation-deployment";
    let layout = with_keys(layout(), &["team", "korea"])
        .payg("draw", "gpt-image-1")
        .payg("far", "dall-e-3")
        .text("deployments.draw.azure_deployment", "Draw-Prod")
        .text("deployments.draw.area", "region:koreacentral")
        .text("deployments.chat_ptu.area", "region:koreacentral")
        .set("keys.team.deployments", r#"["chat_ptu", "draw"]"#)
        .text("keys.korea.residency", "geo:kr");
    let bench = layout.start().await;
    let ask = async |name: &str, said: &str| {
        let body =
            json!({"model": "gpt-4o", "input": "draw", "tools": [{"type": "image_generation"}]});
        let request = bench.client.post(bench.url(RESPONSES)).bearer_auth(key(name)).json(&body);
        let request = request.header("aoai-evals", "preview").header("x-ms-anything", "x");
        Answer::of(request.header(header, said)).await
    };
    for said in ["draw", "Draw-Prod", "DRAW-PROD", "gpt-image-1"] {
        let answer = ask("team", said).await;
        assert_eq!((answer.status, answer.deployment()), (200, Some("chat_ptu")), "{answer:?}");
        let sent = bench.asked("chat_ptu").last().cloned().unwrap();
        assert_eq!(sent.header(header), Some("Draw-Prod"), "{said}");
        assert_eq!(sent.header("aoai-evals"), Some("preview"));
        assert_eq!(sent.header("x-ms-anything"), None);
    }
    let before = bench.emulator.journal().len();
    for said in ["far", "dall-e-3", "nothing"] {
        assert_refused(&ask("team", said).await, 404, "model_not_found", said);
    }
    assert_refused(&ask("korea", "far").await, 400, "residency_unsatisfiable", "far");
    assert_eq!(bench.emulator.journal().len(), before);
}

#[tokio::test]
async fn stored_objects_of_another_key_are_refused_however_they_are_named() {
    let bench = with_keys(layout(), &["one", "two"]).start().await;
    let answer = json!({"id": "resp_1", "object": "response", "status": "completed", "model": "gpt-4o", "output": [
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "message", "id": "msg_1", "role": "assistant", "content": [{"type": "output_text", "text": "hi"}]}]});
    bench.emulator.script("chat_ptu", Step::answer(200, [], answer.to_string()));
    assert_eq!(
        post(&bench, RESPONSES, "one", json!({"model": "gpt-4o", "input": "hi"})).await.status,
        200
    );
    let before = bench.emulator.journal().len();
    let item = |item: Value| json!({"model": "gpt-4o", "input": [item, {"role": "user", "content": "And?"}]});
    for body in [
        item(json!({"type": "reasoning", "id": "rs_1", "summary": []})),
        item(json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": ""})),
        item(json!({"type": "item_reference", "id": "msg_1"})),
        item(json!({"type": "item_reference", "id": "msg_1", "role": "user", "content": "x"})),
        item(json!({"id": "msg_1"})),
        item(json!({"id": "msg_1", "role": "assistant"})),
    ] {
        assert_refused(
            &post(&bench, RESPONSES, "two", &body).await,
            404,
            "response_not_found",
            &body.to_string(),
        );
    }
    assert_eq!(bench.emulator.journal().len(), before);
    let own = item(json!({"type": "reasoning", "id": "rs_1", "summary": []}));
    let answer = post(&bench, RESPONSES, "one", &own).await;
    assert_eq!((answer.status, answer.deployment()), (200, Some("chat_ptu")), "{answer:?}");
}

#[tokio::test]
async fn a_conversation_that_is_not_known_is_nobodys_to_claim() {
    let body = json!({"model": "gpt-4o", "input": "hi", "conversation": "conv_1"});
    let bench = with_keys(layout(), &["one", "two"]).start().await;
    for name in ["one", "two", "one"] {
        let answer = post(&bench, RESPONSES, name, &body).await;
        assert_refused(&answer, 404, "response_not_found", name);
        assert_eq!(answer.json()["error"]["param"], "conversation");
    }
    assert!(bench.emulator.journal().is_empty());
    // Without keys all callers are one.
    let bench = layout().start().await;
    assert_eq!(post(&bench, RESPONSES, "one", &body).await.status, 200);
}
