//! A request written for gpt-4o reaches o1 without a 400, and every change is reported.

use azure_emulator::End;
use serde_json::{Value, json};

use crate::support::{Answer, Layout};

/// Everything that o1 refuses of what gpt-4o takes.
fn written_for_gpt_4o() -> Value {
    json!({
        "model": "reasoning",
        "messages": [
            {"role": "system", "content": "You are exact."},
            {"role": "developer", "content": "Answer in one line."},
            {"role": "user", "content": "What is 17 times 23?"},
        ],
        "max_tokens": 300,
        "temperature": 0.2,
        "top_p": 0.9,
        "presence_penalty": 0.1,
        "frequency_penalty": 0.1,
        "parallel_tool_calls": false,
        "tools": [{"type": "function", "function": {"name": "multiply", "parameters": {"type": "object", "properties": {}}}}],
        "tool_choice": "none",
    })
}

#[tokio::test]
async fn a_cap_gets_room_for_reasoning_unless_the_caller_named_the_model() {
    let bench =
        Layout::pair().text("endpoints.azure.api_version", "2025-04-01-preview").start().await;
    for (model, cap, told) in [
        ("o1", 300, None),
        ("deployment:o1_payg", 300, None),
        ("reasoning", 10_540, Some("max_completion_tokens")),
    ] {
        let answer = bench.ask(model, json!({"max_completion_tokens": 300})).await;
        assert_eq!((answer.status, answer.header("x-router-adapted")), (200, told), "{answer:?}");
        let sent = bench.asked("o1_payg").last().unwrap().json().unwrap();
        assert_eq!(sent["max_completion_tokens"], cap, "{model}");
        let body = json!({"model": model, "input": "Say hello.", "max_output_tokens": 300});
        let request = bench.client.post(bench.url("/v1/responses")).json(&body);
        let answer = Answer::of(request).await;
        let told = told.map(|_| "max_output_tokens");
        assert_eq!((answer.status, answer.header("x-router-adapted")), (200, told), "{answer:?}");
        let sent = bench.asked("o1_payg").last().unwrap().json().unwrap();
        assert_eq!(sent["max_output_tokens"], cap, "{model}");
    }
}

#[tokio::test]
async fn a_request_for_gpt_4o_reaches_o1_whole_and_streamed() {
    let bench = Layout::pair().start().await;
    for streamed in [false, true] {
        bench.emulator.clear_journal();
        let mut body = written_for_gpt_4o();
        body["stream"] = streamed.into();
        let answer = bench.chat(&body).await;
        answer.assert_answered_by("o1_payg", streamed);
        assert_eq!(answer.header("x-router-attempts"), Some("1"), "no 400 on the way: {answer:?}");
        let adapted: Vec<&str> = answer.header("x-router-adapted").unwrap().split(',').collect();
        let expected = [
            "max_tokens",
            "temperature",
            "top_p",
            "presence_penalty",
            "frequency_penalty",
            "messages.role",
            "parallel_tool_calls",
        ];
        for field in expected {
            assert!(adapted.contains(&field), "{field} is not in {adapted:?}");
        }
        assert_eq!(adapted.contains(&"stream"), streamed, "{adapted:?}");
        let sent = bench.asked("o1_payg")[0].json().unwrap();
        for field in [
            "max_tokens",
            "temperature",
            "top_p",
            "presence_penalty",
            "frequency_penalty",
            "parallel_tool_calls",
        ] {
            assert!(sent.get(field).is_none(), "{field} was sent: {sent}");
        }
        assert!(sent["max_completion_tokens"].as_u64() >= Some(300), "room to reason: {sent}");
        assert_ne!(sent["stream"], true, "{sent}");
        assert_eq!(sent["tools"], written_for_gpt_4o()["tools"], "what it can do is not stripped");
        let text = sent["messages"].to_string();
        assert!(text.contains("You are exact.") && text.contains("Answer in one line."), "{text}");
        assert_eq!(bench.asked("o1_payg")[0].end, End::Complete);
    }
}

#[tokio::test]
async fn a_request_that_needs_no_change_is_sent_byte_for_byte() {
    let bench = Layout::pair().start().await;
    // Odd spacing, an unknown field, a number that floats would spoil.
    let body = "{ \"model\" : \"gpt-4o\",\n \"messages\":[{\"role\":\"user\",\"content\":\"안녕 \\ud83d\\ude00\"}], \"x_future\": 12345678901234567890.10 }";
    let request = bench.client.post(bench.url("/v1/chat/completions")).body(body);
    let answer =
        crate::support::Answer::of(request.header("content-type", "application/json")).await;
    answer.assert_answered_by("chat_ptu", false);
    assert_eq!(bench.asked("chat_ptu")[0].body, body);
    assert_eq!(answer.header("x-router-adapted"), None);
}

#[tokio::test]
async fn what_a_model_lacks_excludes_it_and_is_not_stripped() {
    // A record without tools: the request goes to the model that has them.
    let layout = Layout::pair()
        .set("models.gpt-4o.tools", false)
        .payg("mini", "gpt-4o-mini")
        .set("roles.chat.models", r#"["gpt-4o", "gpt-4o-mini"]"#);
    let bench = layout.start().await;
    let tools = json!([{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]);
    let answer = bench.ask("chat", json!({"tools": tools})).await;
    assert_eq!((answer.status, answer.deployment()), (200, Some("mini")), "{answer:?}");
    let named = bench.ask("gpt-4o", json!({"tools": tools})).await;
    assert_eq!((named.status, named.code().as_str()), (400, "unsupported_by_model"), "{named:?}");
}

#[tokio::test]
async fn config_may_refuse_instead_of_adapting() {
    let bench = Layout::pair().text("routing.unsupported", "reject").start().await;
    let answer = bench.ask("reasoning", json!({"temperature": 0.2})).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (400, "unsupported_parameter"),
        "{answer:?}"
    );
    assert!(bench.emulator.journal().is_empty());
}
