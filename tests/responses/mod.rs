//! The Responses API: the same path as chat, and stored responses that go to the deployment that
//! created them.

mod stored_responses;

use std::time::Duration;

use azure_emulator::Step;
use serde_json::{Value, json};

use crate::support::{Answer, Bench, Layout, PATIENCE};

/// The design pair with api-versions that know the Responses API.
fn pair() -> Layout {
    Layout::pair()
        .text("endpoints.azure.api_version", "2025-04-01-preview")
        .text("stored.unknown", "refuse")
}

async fn respond(bench: &Bench, body: &Value) -> Answer {
    Answer::of(bench.client.post(bench.url("/v1/responses")).json(body)).await
}

/// The text of an answer, whole or put together from its events.
fn said(answer: &Answer) -> String {
    if answer.is_stream() {
        let delta = |event: &Value| {
            let is = event["type"] == "response.output_text.delta";
            is.then(|| event["delta"].as_str().unwrap_or_default().to_owned())
        };
        return answer.events().iter().filter_map(delta).collect();
    }
    let parts = answer.json()["output"].as_array().cloned().unwrap_or_default();
    let text = |item: &Value| item["content"][0]["text"].as_str().map(str::to_owned);
    parts.iter().filter_map(text).collect()
}

/// True if the stream has all its parts in order, and nothing after the end.
fn is_whole(answer: &Answer) -> bool {
    let events = answer.events();
    let numbered = events.iter().zip(0..).all(|(event, at)| event["sequence_number"] == json!(at));
    numbered && events.last().is_some_and(|last| last["type"] == "response.completed")
}

#[tokio::test]
async fn every_path_is_answered_in_both_forms() {
    let bench = pair().start().await;
    for path in [
        "/v1/responses",
        "/v1/responses/",
        "/responses",
        "/openai/v1/responses",
        "/openai/responses?api-version=2025-04-01-preview",
        "/openai/deployments/gpt-4o/responses?api-version=2025-04-01-preview",
    ] {
        for streamed in [false, true] {
            let body = json!({"model": "gpt-4o", "input": "Say hello.", "stream": streamed});
            let answer = Answer::of(bench.client.post(bench.url(path)).json(&body)).await;
            assert_eq!((answer.status, answer.is_stream()), (200, streamed), "{path} {answer:?}");
            assert_eq!(answer.deployment(), Some("chat_ptu"), "{path}");
            assert!(!said(&answer).is_empty() && (!streamed || is_whole(&answer)), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn the_conversation_is_scored_as_in_chat() {
    let bench = pair().start().await;
    let hard =
        "Prove by induction that the sum of the first n odd numbers is n squared, then generalise.";
    let easy = "안녕하세요! 오늘 기분 어때요?";
    for (text, task, deployment) in [(hard, "reasoning", "o1_payg"), (easy, "chat", "chat_ptu")] {
        for input in [
            json!(text),
            json!([{"role": "user", "content": text}]),
            json!([{"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}]),
        ] {
            let body = json!({"model": "auto", "instructions": "Be brief.", "input": input});
            let answer = respond(&bench, &body).await;
            assert_eq!(answer.header("x-router-task"), Some(task), "{answer:?}");
            assert_eq!(answer.deployment(), Some(deployment));
            let chat = json!({"model": "auto", "messages": [
                {"role": "system", "content": "Be brief."}, {"role": "user", "content": text}]});
            let chat = bench.chat(&chat).await;
            assert_eq!(answer.header("x-router-score"), chat.header("x-router-score"));
        }
    }
}

#[tokio::test]
async fn what_a_model_refuses_is_adapted_and_told() {
    let bench = pair().start().await;
    let body = json!({"model": "o1", "input": "Say hello.", "temperature": 0.2, "parallel_tool_calls": true,
        "reasoning": {"effort": "minimal"}, "max_output_tokens": 4_000, "x_unknown": {"a": [1.50]}});
    let answer = respond(&bench, &body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let adapted = "reasoning.effort,temperature,parallel_tool_calls";
    assert_eq!(answer.header("x-router-adapted"), Some(adapted));
    let sent = bench.asked("o1_payg").last().unwrap().json().unwrap();
    assert_eq!(
        sent,
        json!({"model": "o1_payg", "input": "Say hello.", "reasoning": {"effort": "low"}, "max_output_tokens": 4_000,
            "x_unknown": {"a": [1.50]}})
    );
}

#[tokio::test]
async fn with_reject_the_field_is_named_instead() {
    let bench = pair().text("routing.unsupported", "reject").start().await;
    let body = json!({"model": "o1", "input": "Say hello.", "temperature": 0.2});
    let answer = respond(&bench, &body).await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "unsupported_parameter"));
    assert_eq!(answer.json()["error"]["param"], "temperature");
    assert!(bench.asked("o1_payg").is_empty());
}

#[tokio::test]
async fn a_field_that_the_record_allows_and_the_model_refuses_is_learned() {
    let bench = pair().start().await;
    bench.emulator.script("chat_ptu", Step::unsupported_parameter("truncation"));
    let body = json!({"model": "gpt-4o", "input": "Say hello.", "truncation": "auto"});
    for attempts in [2, 1] {
        let answer = respond(&bench, &body).await;
        assert_eq!((answer.status, answer.number("x-router-attempts")), (200, attempts));
        assert_eq!(answer.header("x-router-adapted"), Some("truncation"));
    }
}

#[tokio::test]
async fn a_stream_of_a_model_that_cannot_stream_is_made() {
    let bench = pair().start().await;
    let body = json!({"model": "o1", "input": "Say hello.", "stream": true});
    let answer = respond(&bench, &body).await;
    assert!(answer.is_stream() && is_whole(&answer) && !said(&answer).is_empty(), "{answer:?}");
    assert_eq!(answer.header("x-router-adapted"), Some("stream"));
}

#[tokio::test]
async fn what_does_not_serve_the_api_is_left_out_with_the_reason() {
    // This api-version is older than the Responses API.
    let bench = Layout::pair().start().await;
    let answer = respond(&bench, &json!({"model": "gpt-4o", "input": "hi"})).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (400, "unsupported_by_model"),
        "{answer:?}"
    );
    assert!(answer.json()["error"]["message"].as_str().unwrap().contains("Responses API"));
    let bench = pair()
        .set("models.gpt-4o.responses", false)
        .payg("other", "gpt-4o-mini")
        .set("roles.chat.models", r#"["gpt-4o", "gpt-4o-mini"]"#)
        .start()
        .await;
    let answer = respond(&bench, &json!({"model": "chat", "input": "hi"})).await;
    assert_eq!((answer.status, answer.deployment()), (200, Some("other")));
}

#[tokio::test]
async fn it_falls_back_as_chat_does() {
    let bench = pair().start().await;
    for streamed in [false, true] {
        for step in [Step::throttled_ms(1), Step::server_error(), Step::normal().cut_after(0)] {
            bench.emulator.script("chat_ptu", step);
            let body = json!({"model": "gpt-4o", "input": "Say hello.", "stream": streamed});
            let answer = respond(&bench, &body).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            assert!(!said(&answer).is_empty());
            bench.emulator.clear_script("chat_ptu");
        }
    }
    let asked = bench.asked("chat_payg");
    assert!(!asked.is_empty());
    assert!(asked.iter().all(|entry| entry.json().unwrap()["model"] == "chat_payg"));
}

#[tokio::test]
async fn a_fault_after_content_is_an_event_of_the_api() {
    for step in
        [Step::normal().cut_after(3), Step::normal().end_after(3), Step::normal().stall_after(3)]
    {
        let bench = pair().set("limits.idle_timeout_ms", 300).start().await;
        bench.emulator.script("chat_ptu", step);
        let body = json!({"model": "gpt-4o", "input": "Say hello.", "stream": true});
        let answer = respond(&bench, &body).await;
        assert!(!said(&answer).is_empty(), "what came before is passed on: {}", answer.text);
        let events = answer.events();
        let last = events.last().unwrap();
        assert_eq!((&last["type"], &last["code"]), (&json!("error"), &json!("stream_interrupted")));
        assert!(last["error"]["message"].is_string() && last["message"].is_string(), "{last}");
        assert_eq!(last["sequence_number"], json!(events.len() - 1));
        assert!(answer.text.contains("event: error\n"), "{}", answer.text);
        assert!(!answer.text.contains("response.completed"));
    }
}

#[tokio::test]
async fn a_slow_stream_is_kept_alive_and_a_late_failure_is_an_event_of_the_api() {
    let bench = pair().set("limits.hold_ms", 50).set("limits.heartbeat_ms", 50).start().await;
    let body = json!({"model": "gpt-4o", "input": "Say hello.", "stream": true});
    let slow = Step::normal().slow_first_token(Duration::from_millis(400));
    bench.emulator.script("chat_ptu", slow);
    let answer = respond(&bench, &body).await;
    assert!(answer.text.starts_with(": keep-alive\n\n"), "{}", answer.text);
    assert!(is_whole(&answer) && !said(&answer).is_empty(), "{}", answer.text);
    for deployment in ["chat_ptu", "chat_payg"] {
        let fault = Step::server_error().delay(Duration::from_millis(200));
        bench.emulator.script(deployment, fault.forever());
    }
    let answer = respond(&bench, &body).await;
    assert_eq!(answer.status, 200, "its head has gone out: {answer:?}");
    let last = answer.events().last().cloned().unwrap();
    assert_eq!((&last["type"], &last["code"]), (&json!("error"), &json!("upstream_failed")));
    assert!(answer.text.contains("event: error\n") && last["error"]["message"].is_string());
}

#[tokio::test]
async fn usage_and_cost_are_accounted_from_both_forms() {
    let bench = pair().start().await;
    let kind = r#"gen_ai_operation_name="chat",gen_ai_provider_name="azure.ai.openai",gen_ai_request_model="gpt-4o""#;
    let body = json!({"model": "deployment:chat_payg", "input": "Say hello."});
    let whole = respond(&bench, &body).await;
    let usage = whole.json()["usage"].clone();
    let (input, output) =
        (usage["input_tokens"].as_f64().unwrap(), usage["output_tokens"].as_f64().unwrap());
    let cost: f64 = whole.header("x-router-cost-usd").unwrap().parse().unwrap();
    let due = (input * 2.5 + output * 10.0) / 1e6;
    assert!((cost - due).abs() < 1e-6, "{cost} {due}");
    let mut body = body;
    body["stream"] = json!(true);
    let streamed = respond(&bench, &body).await;
    let last = streamed.events().last().cloned().unwrap();
    let output_too = last["response"]["usage"]["output_tokens"].as_f64().unwrap();
    let sum = format!("gen_ai_client_token_usage_sum{{{kind},gen_ai_token_type=\"output\"}}");
    let sum = bench.metric(&sum).await;
    assert!((sum - output - output_too).abs() < 1e-9, "{sum} {output} {output_too}");
}

#[tokio::test]
async fn the_decision_alone_is_told_for_it_too() {
    let bench = pair().start().await;
    let body = json!({"model": "auto", "input": "안녕하세요!"});
    let told = Answer::of(bench.client.post(bench.url("/v1/route")).json(&body)).await.json();
    assert_eq!((&told["task"], &told["plan"][0]), (&json!("chat"), &json!("chat_ptu")), "{told}");
    let neither = Answer::of(bench.client.post(bench.url("/v1/route")).json(&json!({}))).await;
    assert_eq!((neither.status, neither.code().as_str()), (400, "invalid_request"), "{neither:?}");
    assert!(bench.emulator.journal().is_empty());
}

#[tokio::test]
async fn a_hung_up_stream_ends_the_call() {
    let bench = pair().start().await;
    bench.emulator.script("chat_ptu", Step::normal().pause_after(1, Duration::from_secs(60)));
    let body = json!({"model": "gpt-4o", "input": "Say hello.", "stream": true});
    let request = bench.client.post(bench.url("/v1/responses")).json(&body);
    let mut response = request.send().await.unwrap();
    assert!(response.chunk().await.unwrap().is_some());
    drop(response);
    let hung_up = |entries: &[azure_emulator::Entry]| {
        entries.iter().any(|entry| entry.end == azure_emulator::End::HungUp)
    };
    assert!(bench.emulator.wait_for(hung_up, PATIENCE).await);
}
