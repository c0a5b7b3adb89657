//! The Responses API: the same path as chat, and stored responses that go to the deployment that
//! created them.

use std::time::Duration;

use azure_emulator::quota::QuotaSettings;
use azure_emulator::{Deployment, Emulator, Settings, Step};
use reqwest::Method;
use router_core::chat::Operation;
use router_core::router::{ChatCall, StoredCall};
use router_core::stored::{Caller, Collection};
use serde_json::{Value, json};

use crate::support::memory::{Canned, InMemory, bytes_of};
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

/// A router before two resources, each with a gpt-4o of its own.
async fn two_resources() -> (Bench, Emulator) {
    let other = Settings::new().seed(9).deployment(Deployment::pay_as_you_go(
        "far",
        "gpt-4o",
        QuotaSettings::new(1_000_000, 1_000_000_000),
    ));
    let other = Emulator::start(other).await.unwrap();
    let bench = pair()
        .text("endpoints.other.url", other.url())
        .text("endpoints.other.api", "azure_v1")
        .set("endpoints.other.anonymous", true)
        .text("deployments.far.endpoint", "other")
        .text("deployments.far.model", "gpt-4o")
        .text("deployments.far.azure_deployment", "far")
        .text("deployments.far.billing", "pay_as_you_go")
        .text("deployments.far.area", "zone:eu")
        .start()
        .await;
    (bench, other)
}

async fn stored(bench: &Bench, method: Method, path: &str) -> Answer {
    Answer::of(bench.client.request(method, bench.url(path))).await
}

#[tokio::test]
async fn a_stored_response_leads_back_to_the_deployment_that_made_it() {
    let (bench, other) = two_resources().await;
    for streamed in [false, true] {
        let body = json!({"model": "deployment:far", "input": "Say hello.", "stream": streamed});
        let first = respond(&bench, &body).await;
        assert_eq!((first.status, first.deployment()), (200, Some("far")), "{first:?}");
        let id = if streamed {
            first.events()[0]["response"]["id"].as_str().unwrap().to_owned()
        } else {
            first.json()["id"].as_str().unwrap().to_owned()
        };
        // gpt-4o would go to the provisioned deployment, but that does not know the response.
        let next = json!({"model": "gpt-4o", "input": "And again?", "previous_response_id": id});
        let next = respond(&bench, &next).await;
        assert_eq!((next.status, next.deployment()), (200, Some("far")), "{next:?}");
        for (method, tail) in [
            (Method::GET, ""),
            (Method::GET, "/input_items?limit=2"),
            (Method::GET, "/input_items?api%2Dversion=x&order=asc"),
            (Method::POST, "/cancel"),
            (Method::DELETE, ""),
        ] {
            let path = format!("/v1/responses/{id}{tail}");
            let answer = stored(&bench, method.clone(), &path).await;
            assert_eq!(
                (answer.status, answer.deployment()),
                (200, Some("far")),
                "{path} {answer:?}"
            );
            let entry = other.journal().last().cloned().unwrap();
            assert_eq!(entry.method, method.as_str());
            assert!(entry.path.starts_with("/openai/v1/responses/"), "{}", entry.path);
            let query =
                tail.split_once('?').map(|(_, query)| query.trim_start_matches("api%2Dversion=x&"));
            assert_eq!(entry.query.as_deref(), query);
        }
        // A deleted response is unknown, and nothing is sent.
        let before = other.journal().len();
        let gone = stored(&bench, Method::GET, &format!("/v1/responses/{id}")).await;
        assert_eq!((gone.status, gone.code().as_str()), (404, "response_not_found"));
        assert_eq!(other.journal().len(), before);
    }
}

#[tokio::test]
async fn stored_items_and_conversations_lead_back_as_well() {
    let (bench, other) = two_resources().await;
    for streamed in [false, true] {
        let talk = format!("conv_{streamed}");
        let body = json!({"model": "deployment:far", "input": "Say hello.", "stream": streamed,
            "conversation": {"id": talk}});
        let first = respond(&bench, &body).await;
        assert_eq!((first.status, first.deployment()), (200, Some("far")), "{first:?}");
        let done = |event: &Value| event["type"] == "response.output_item.done";
        let item = if streamed {
            first.events().iter().find(|event| done(event)).unwrap()["item"]["id"].clone()
        } else {
            first.json()["output"][0]["id"].clone()
        };
        for next in [
            json!({"input": [{"type": "item_reference", "id": item}, {"role": "user", "content": "And?"}]}),
            json!({"input": [{"type": "reasoning", "id": item, "summary": []}, {"role": "user", "content": "And?"}]}),
            json!({"input": "And?", "conversation": talk}),
            json!({"input": "And?", "conversation": {"id": talk}}),
        ] {
            let mut body = json!({"model": "gpt-4o", "stream": streamed});
            body.as_object_mut().unwrap().extend(next.as_object().unwrap().clone());
            let next = respond(&bench, &body).await;
            assert_eq!((next.status, next.deployment()), (200, Some("far")), "{body} {next:?}");
        }
    }
    // An object that was not stored here belongs to nobody; a request that does not need it is routed as usual.
    let before = other.journal().len() + bench.emulator.journal().len();
    let body = json!({"model": "gpt-4o", "input": [{"type": "item_reference", "id": "msg_x"}]});
    let unknown = respond(&bench, &body).await;
    assert_eq!((unknown.status, unknown.code().as_str()), (404, "response_not_found"));
    assert_eq!(unknown.json()["error"]["param"], "input");
    assert_eq!(other.journal().len() + bench.emulator.journal().len(), before);
    for body in [
        json!({"model": "gpt-4o", "input": [{"type": "reasoning", "id": "rs_x", "summary": []}]}),
        json!({"model": "gpt-4o", "input": "hi", "conversation": "conv_x"}),
    ] {
        assert_eq!(respond(&bench, &body).await.deployment(), Some("chat_ptu"), "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_item_or_a_conversation_is_its_callers_alone() {
    let answer = r#"{"id":"resp_1","object":"response","status":"completed","model":"gpt-4o","output":[{"type":"message","id":"msg_1","content":[]}]}"#;
    let router = InMemory::new(&pair(), move |_, _| Ok(Canned::of(200, answer)));
    let ask = async |caller: &str, body: Value| {
        let mut call = ChatCall::of(Operation::Responses, body.to_string());
        call.caller = Caller::named(caller);
        router.read(call).await.map(|_| ()).map_err(|error| error.kind().as_str())
    };
    assert_eq!(ask("one", json!({"model": "gpt-4o", "input": "hi"})).await, Ok(()));
    let item = json!({"model": "gpt-4o", "input": [{"type": "item_reference", "id": "msg_1"}]});
    assert_eq!(ask("one", item.clone()).await, Ok(()));
    assert_eq!(ask("other", item).await, Err("response_not_found"));
    // An unknown conversation may belong to any key; requesting it does not change its owner.
    let talk = json!({"model": "gpt-4o", "input": "hi", "conversation": "conv_1"});
    for caller in ["one", "other", "one"] {
        assert_eq!(ask(caller, talk.clone()).await, Err("response_not_found"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_stored_stream_that_is_read_again_does_not_end_in_silence() {
    let begun = "data: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"resp_1\"}}\n\n";
    let said = "data: {\"type\":\"response.output_text.delta\",\"sequence_number\":1,\"delta\":\"hi\"}\n\n";
    let end = "data: {\"type\":\"response.completed\",\"sequence_number\":2,\"response\":{\"id\":\"resp_1\"}}\n\n";
    // Made whole, then read again and cut off.
    let router = InMemory::new(&pair(), move |_, number| {
        let pieces = [begun, said, end];
        Ok(Canned::stream(if number == 0 { &pieces } else { &pieces[..2] }))
    });
    let body = json!({"model": "gpt-4o", "input": "hi", "stream": true}).to_string();
    let (_, made) = router.read(ChatCall::of(Operation::Responses, body)).await.unwrap();
    assert_eq!(made, [begun, said, end].concat());
    let again = StoredCall {
        rest: "?stream=true".to_owned(),
        ..StoredCall::of(Collection::Responses, Method::GET, "resp_1")
    };
    let response = router.router.stored(again).await.unwrap();
    let text = String::from_utf8(bytes_of(response).await.1.to_vec()).unwrap();
    assert!(text.starts_with(&[begun, said].concat()), "{text}");
    assert!(text.contains("event: error") && text.contains("stream_interrupted"), "{text}");
}

#[tokio::test]
async fn a_follow_up_is_thought_about_as_hard_as_what_it_follows() {
    let bench = pair()
        .payg("thinker", "gpt-5.2")
        .set("roles.reasoning.models", r#"["gpt-5.2"]"#)
        .text("roles.reasoning.effort", "high")
        .start()
        .await;
    let hard = "Prove by induction that the sum of the first n odd numbers is n squared.";
    let first = respond(&bench, &json!({"model": "auto", "input": hard})).await;
    assert_eq!(first.deployment(), Some("thinker"), "{first:?}");
    let id = first.json()["id"].as_str().unwrap().to_owned();
    for (model, effort) in [
        (json!("auto"), json!("high")),
        (Value::Null, json!("high")),
        (json!("gpt-5.2"), Value::Null),
    ] {
        let next = json!({"model": model, "input": "Why?", "previous_response_id": id});
        let next = respond(&bench, &next).await;
        assert_eq!((next.status, next.deployment()), (200, Some("thinker")), "{next:?}");
        let sent = bench.asked("thinker").last().unwrap().json().unwrap();
        assert_eq!(sent["reasoning"]["effort"], effort, "{model}");
    }
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
async fn a_response_that_is_not_known_here_is_not_asked_for() {
    let bench = pair().start().await;
    let unknown = stored(&bench, Method::GET, "/openai/responses/resp_x?api-version=v").await;
    assert_eq!((unknown.status, unknown.code().as_str()), (404, "response_not_found"));
    let body = json!({"model": "gpt-4o", "input": "hi", "previous_response_id": "resp_x"});
    let unknown = respond(&bench, &body).await;
    assert_eq!((unknown.status, unknown.code().as_str()), (400, "previous_response_not_found"));
    assert_eq!(unknown.json()["error"]["param"], "previous_response_id");
    let body = json!({"model": "gpt-4o", "input": "hi", "previous_response_id": ""});
    let answer = respond(&bench, &body).await;
    assert_eq!(answer.status, 200, "an empty id names nothing");
    assert_eq!(answer.header("x-router-adapted"), Some("previous_response_id"));
    // A response that was not to be stored is unknown, too.
    let body = json!({"model": "gpt-4o", "input": "hi", "store": false});
    let id = respond(&bench, &body).await.json()["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/responses/{id}");
    let before = bench.emulator.journal().len();
    assert_eq!(stored(&bench, Method::GET, &path).await.status, 404);
    assert_eq!(bench.emulator.journal().len(), before);
}

#[tokio::test]
async fn stored_responses_obey_the_residency() {
    let (bench, other) = two_resources().await;
    let body = json!({"model": "deployment:far", "input": "Say hello."});
    let id = respond(&bench, &body).await.json()["id"].as_str().unwrap().to_owned();
    let before = other.journal().len();
    let get = bench.client.get(bench.url(&format!("/v1/responses/{id}")));
    let read = Answer::of(get.header("x-router-residency", "geo:kr")).await;
    assert_eq!((read.status, read.code().as_str()), (400, "residency_unsatisfiable"));
    let next = json!({"model": "gpt-4o", "input": "hi", "previous_response_id": id});
    let next = bench.client.post(bench.url("/v1/responses")).json(&next);
    let next = Answer::of(next.header("x-router-residency", "geo:kr")).await;
    assert_eq!((next.status, next.code().as_str()), (400, "residency_unsatisfiable"));
    let body = json!({"model": "gpt-4o", "input": "hi", "store": true});
    let kept = bench.client.post(bench.url("/v1/responses")).json(&body);
    let kept = Answer::of(kept.header("x-router-residency", "zone:eu")).await;
    assert_eq!((kept.status, kept.deployment()), (200, Some("far")));
    assert_eq!(other.journal().len(), before + 1);
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
