//! Chat completions in all three URL styles, whole and streamed.

use super::support::*;
use azure_emulator::quota::QuotaSettings;
use azure_emulator::{Deployment, Settings, Step};
use serde_json::{Value, json};

#[tokio::test]
async fn three_url_styles() {
    let emulator = started().await;
    let by_model = |path: &str, model: &str| {
        let url = format!("{}{path}", emulator.url());
        client().post(url).json(&body("hello", json!({"model": model}))).send()
    };
    let dated = ask(&emulator, "payg", &body("hello", json!({}))).await;
    assert_eq!(dated.status(), 200);
    assert_eq!(dated.headers()["x-ms-deployment-name"], "payg");
    assert!(dated.headers().contains_key("apim-request-id"));
    let dated: Value = dated.json().await.unwrap();
    assert!(dated["prompt_filter_results"].is_array());
    assert!(dated["choices"][0]["content_filter_results"].is_object());
    assert_eq!(dated["choices"][0]["finish_reason"], "stop");
    assert_eq!(dated["usage"]["completion_tokens"], 24);

    assert_eq!(by_model("/openai/v1/chat/completions", "payg").await.unwrap().status(), 200);
    let missing = by_model("/openai/v1/chat/completions", "gpt-4o").await.unwrap();
    assert_eq!(error_of(missing).await.1["code"], "DeploymentNotFound");

    let openai = by_model("/v1/chat/completions", "gpt-4o").await.unwrap();
    assert_eq!(openai.status(), 200);
    assert!(!openai.headers().contains_key("apim-request-id"));
    let openai: Value = openai.json().await.unwrap();
    assert!(openai.get("prompt_filter_results").is_none());
    let missing = by_model("/v1/chat/completions", "gpt-9").await.unwrap();
    let (status, error) = error_of(missing).await;
    assert_eq!((status, &error["code"]), (404, &json!("model_not_found")));
}

#[tokio::test]
async fn a_dated_url_needs_its_version_and_a_deployment() {
    let emulator = started().await;
    let url = format!("{}/openai/deployments/payg/chat/completions", emulator.url());
    let unversioned = client().post(url).json(&body("hi", json!({}))).send().await.unwrap();
    assert_eq!(
        error_of(unversioned).await,
        (404, json!({"code": "404", "message": "Resource not found"}))
    );
    let missing = ask(&emulator, "nowhere", &body("hi", json!({}))).await;
    assert_eq!(error_of(missing).await.1["code"], "DeploymentNotFound");
}

#[tokio::test]
async fn azures_stream() {
    let emulator = started().await;
    let wish = json!({
        "stream": true, "stream_options": {"include_usage": true},
        "metadata": {"emulator_output_tokens": "10"},
    });
    let response = ask(&emulator, "payg", &body("안녕하세요", wish)).await;
    assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/event-stream"));
    let (stream, clean) = drained(response).await;
    assert!(clean && stream.ends_with("data: [DONE]\n\n"));
    let events = events(&stream);
    assert_eq!(events[0]["choices"], json!([]));
    assert_eq!(events[0]["object"], "");
    assert_eq!(events[1]["choices"][0]["delta"]["role"], "assistant");
    let last = events.last().unwrap();
    assert_eq!((&last["choices"], &last["usage"]["completion_tokens"]), (&json!([]), &json!(10)));
    assert_eq!(events[events.len() - 2]["choices"][0]["finish_reason"], "stop");
    assert!(text_of(&events).chars().any(|letter| ('가'..='힣').contains(&letter)));
}

#[tokio::test]
async fn openais_stream_has_none_of_azures_chunks() {
    let emulator = started().await;
    let request = body("hi", json!({"model": "gpt-4o", "stream": true}));
    let url = format!("{}/v1/chat/completions", emulator.url());
    let response = client().post(url).json(&request).send().await.unwrap();
    let (stream, _) = drained(response).await;
    let events = events(&stream);
    assert_eq!(events[0]["choices"][0]["delta"]["role"], "assistant");
    assert!(!stream.contains("content_filter") && !stream.contains("\"usage\""));
}

#[tokio::test]
async fn whole_and_streamed_say_the_same_and_again() {
    let emulator = start_with(Settings::new().seed(5)).await;
    let again = start_with(Settings::new().seed(5)).await;
    let other = start_with(Settings::new().seed(6)).await;
    let text = async |emulator| {
        let answer: Value =
            ask(emulator, "payg", &body("hi", json!({}))).await.json().await.unwrap();
        answer["choices"][0]["message"]["content"].as_str().unwrap().to_owned()
    };
    let first = text(&emulator).await;
    assert_eq!(first, text(&again).await);
    assert_eq!(first, text(&emulator).await);
    assert_ne!(first, text(&other).await);
}

#[tokio::test]
async fn caps_and_hidden_tokens() {
    let emulator = started().await;
    let answer = async |deployment: &str, more: Value| {
        let response = ask(&emulator, deployment, &body("prove it", more)).await;
        response.json::<Value>().await.unwrap()
    };
    let capped = answer("payg", json!({"max_tokens": 5})).await;
    assert_eq!(capped["choices"][0]["finish_reason"], "length");
    assert_eq!(capped["usage"]["completion_tokens"], 5);
    let thought = answer("o1", json!({"reasoning_effort": "medium"})).await;
    assert_eq!(thought["usage"]["completion_tokens_details"]["reasoning_tokens"], 64);
    assert_eq!(thought["usage"]["completion_tokens"], 64 + 24);
    let empty = answer("o1", json!({"max_completion_tokens": 30})).await;
    assert_eq!(empty["choices"][0]["message"]["content"], "");
    assert_eq!(empty["choices"][0]["finish_reason"], "length");
    assert_eq!(empty["usage"]["completion_tokens_details"]["reasoning_tokens"], 30);
}

#[tokio::test]
async fn tools_and_schemas() {
    let emulator = started().await;
    let tools = json!([{"type": "function", "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    }}]);
    let request = body("weather in Seoul?", json!({"tools": tools}));
    let answer: Value = ask(&emulator, "payg", &request).await.json().await.unwrap();
    let call = &answer["choices"][0]["message"]["tool_calls"][0]["function"];
    assert_eq!(answer["choices"][0]["finish_reason"], "tool_calls");
    let arguments: Value = serde_json::from_str(call["arguments"].as_str().unwrap()).unwrap();
    assert!(call["name"] == "get_weather" && arguments["city"].is_string());

    let mut streamed = request.clone();
    streamed["stream"] = json!(true);
    let (stream, _) = drained(ask(&emulator, "payg", &streamed).await).await;
    let fragments: String = events(&stream)
        .iter()
        .filter_map(|event| {
            let call = &event["choices"][0]["delta"]["tool_calls"][0];
            call["function"]["arguments"].as_str().map(str::to_owned)
        })
        .collect();
    assert!(serde_json::from_str::<Value>(&fragments).unwrap()["city"].is_string());

    let schema = json!({"type": "object", "properties": {"age": {"type": "integer"}}});
    let format = json!({"type": "json_schema", "json_schema": {"name": "x", "schema": schema}});
    let request = body("hi", json!({"response_format": format}));
    let answer: Value = ask(&emulator, "payg", &request).await.json().await.unwrap();
    let text = answer["choices"][0]["message"]["content"].as_str().unwrap();
    assert!(serde_json::from_str::<Value>(text).unwrap()["age"].is_i64());
}

#[tokio::test]
async fn o1_refuses_what_it_cannot() {
    let emulator = started().await;
    let refused = async |more: Value| error_of(ask(&emulator, "o1", &body("hi", more)).await).await;
    let (status, error) = refused(json!({"max_tokens": 5})).await;
    assert_eq!((status, &error["code"]), (400, &json!("unsupported_parameter")));
    assert_eq!(error["param"], "max_tokens");
    assert_eq!(refused(json!({"stream": true})).await.1["param"], "stream");
    assert_eq!(refused(json!({"temperature": 0})).await.1["code"], "unsupported_value");
    assert!(emulator.counters("o1").unwrap().admitted_tokens < 1.0, "a 400 costs nothing");
}

#[tokio::test]
async fn a_prompt_cache_and_an_echo() {
    let quota = QuotaSettings::new(6_000, 10_000_000);
    let minute = std::time::Duration::from_secs(60);
    let deployment =
        Deployment::pay_as_you_go("cached", "gpt-4o", quota).prompt_cache(minute).echo(true);
    let emulator = start_with(Settings::new().deployment(deployment)).await;
    let long = "word ".repeat(1_000);
    let answer = async |tail: &str| {
        let request = body(&format!("{long}{tail}"), json!({}));
        ask(&emulator, "cached", &request).await.json::<Value>().await.unwrap()
    };
    let first = answer("one").await;
    assert_eq!(first["usage"]["prompt_tokens_details"]["cached_tokens"], 0);
    assert_eq!(first["choices"][0]["message"]["content"], format!("{long}one"));
    let second = answer("two").await;
    assert_eq!(second["usage"]["prompt_tokens_details"]["cached_tokens"], 1_152);
}

#[tokio::test]
async fn another_model_and_spillover_marks() {
    let emulator = started().await;
    let step = Step::normal().model("gpt-5.6-sol").header("x-ms-spillover-from-deployment", "ptu");
    assert!(emulator.script("payg", step));
    let response = ask(&emulator, "payg", &body("hi", json!({}))).await;
    assert_eq!(response.headers()["x-ms-spillover-from-deployment"], "ptu");
    assert_eq!(response.json::<Value>().await.unwrap()["model"], "gpt-5.6-sol");
    assert!(!emulator.script("nowhere", Step::hang()));
}

#[tokio::test]
async fn embeddings_completions_and_models() {
    let emulator = started().await;
    let post = |path: &str, body: Value| {
        client().post(format!("{}{path}", emulator.url())).json(&body).send()
    };
    let floats = post("/v1/embeddings", json!({"model": "embed", "input": ["a", "b"]}));
    let floats: Value = floats.await.unwrap().json().await.unwrap();
    assert_eq!(floats["data"][1]["embedding"].as_array().unwrap().len(), 1_536);
    let packed = json!({"input": "a", "encoding_format": "base64", "dimensions": 8});
    let packed = post("/openai/deployments/embed/embeddings?api-version=1", packed);
    let packed: Value = packed.await.unwrap().json().await.unwrap();
    assert_eq!(packed["data"][0]["embedding"].as_str().unwrap().len(), 44);

    let legacy = post("/v1/completions", json!({"model": "payg", "prompt": "once"}));
    let legacy: Value = legacy.await.unwrap().json().await.unwrap();
    assert!(!legacy["choices"][0]["text"].as_str().unwrap().is_empty());

    let list = async |path: &str| {
        let url = format!("{}{path}", emulator.url());
        client().get(url).send().await.unwrap().json::<Value>().await.unwrap()
    };
    assert_eq!(list("/v1/models").await["data"][0]["object"], "model");
    assert_eq!(list("/openai/v1/models").await["data"].as_array().unwrap().len(), 4);
    let azure = list("/openai/models?api-version=2024-10-21").await;
    assert!(azure["data"][0]["capabilities"]["inference"].as_bool().unwrap());
    assert_eq!(list("/v1/models/gpt-4o").await["id"], "gpt-4o");
}
