//! Encrypted reasoning belongs to the resource that created it: a conversation that returns it goes
//! there, waits for it within the wait budget, and continues elsewhere without it if nothing else
//! is left.

use std::time::Duration;

use azure_emulator::quota::QuotaSettings;
use azure_emulator::{Deployment, Emulator, Latency, Settings, Step};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::scripted::{Asked, Says, Scripted};
use crate::support::{Answer, Bench, Layout};

const MODEL: &str = "gpt-5.2";

/// Two resources with one deployment of the same model each: `near` and `far`.
fn layout(other: &Emulator) -> Layout {
    Layout::empty()
        .text("endpoints.azure.api_version", "2025-04-01-preview")
        .payg("near", MODEL)
        .payg("chat", "gpt-4o")
        .set("roles.reasoning.models", r#"["gpt-5.2"]"#)
        .text("endpoints.other.url", other.url())
        .text("endpoints.other.api", "azure_v1")
        .set("endpoints.other.anonymous", true)
        .text("deployments.far.endpoint", "other")
        .text("deployments.far.model", MODEL)
        .text("deployments.far.billing", "pay_as_you_go")
        .text("deployments.far.area", "global")
        .text("deployments.far.azure_deployment", "far")
}

async fn other() -> Emulator {
    let quick = Latency { first_token: Duration::from_millis(1), tokens_per_second: 20_000.0 };
    let quota = QuotaSettings::new(1_000_000, 1_000_000_000);
    let far = Deployment::pay_as_you_go("far", MODEL, quota).latency(quick);
    Emulator::start(Settings::new().seed(9).deployment(far)).await.unwrap()
}

async fn two_resources() -> (Bench, Emulator) {
    let other = other().await;
    (layout(&other).start().await, other)
}

fn turn(model: &str, history: &[Value], streamed: bool) -> Value {
    json!({"model": model, "input": history, "store": false, "stream": streamed,
        "include": ["reasoning.encrypted_content"], "reasoning": {"effort": "medium"}})
}

/// A turn of a conversation of its own, so that no prompt cache leads it.
async fn respond(bench: &Bench, body: &Value, headers: &[(&str, &str)]) -> Answer {
    let mut request = bench.client.post(bench.url("/v1/responses")).json(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Answer::of(request.header("x-router-session", "another")).await
}

fn output(answer: &Answer) -> Vec<Value> {
    let whole = if answer.is_stream() {
        answer.events().last().unwrap()["response"].clone()
    } else {
        answer.json()
    };
    whole["output"].as_array().unwrap().clone()
}

fn user(text: &str) -> Value {
    json!({"role": "user", "content": text})
}

/// The first turn, answered by a deployment, and the question that follows it.
async fn begun(bench: &Bench, model: &str, streamed: bool) -> Vec<Value> {
    let mut history = vec![user("Solve it.")];
    let body = turn(model, &history, streamed);
    let request = bench.client.post(bench.url("/v1/responses")).json(&body);
    let first = Answer::of(request).await;
    assert_eq!(first.status, 200, "{first:?}");
    history.extend(output(&first));
    assert!(history[1]["encrypted_content"].is_string(), "{history:?}");
    history.push(user("Go on."));
    history
}

/// The last request to a deployment: whether it held hidden reasoning, and whether other items had ids.
fn sent(emulator: &Emulator, deployment: &str) -> (bool, bool) {
    let body = emulator.requests_to(deployment).last().unwrap().json().unwrap();
    let items = body["input"].as_array().unwrap().clone();
    let is_hidden = |item: &&Value| item["type"] == "reasoning";
    let named = |item: &Value| !is_hidden(&item) && item["id"].is_string();
    (items.iter().any(|item| is_hidden(&item)), items.iter().any(named))
}

#[tokio::test]
async fn a_conversation_stays_with_the_resource_that_can_read_it() {
    let (bench, other) = two_resources().await;
    for streamed in [false, true] {
        for model in ["deployment:far", "deployment:near"] {
            let history = begun(&bench, model, streamed).await;
            for next_streamed in [false, true] {
                let next = respond(&bench, &turn(MODEL, &history, next_streamed), &[]).await;
                assert_eq!(next.status, 200, "{next:?}");
                assert_eq!(next.deployment(), model.strip_prefix("deployment:"), "{streamed}");
                assert_eq!(next.header("x-router-adapted"), None);
            }
        }
    }
    assert_eq!(sent(&other, "far"), (true, true));
}

#[tokio::test]
async fn it_waits_for_that_resource_within_the_budget() {
    let (bench, other) = two_resources().await;
    let history = begun(&bench, "deployment:far", false).await;
    for throttled_before in [false, true] {
        other.script("far", Step::throttled_ms(300));
        if throttled_before {
            // Another caller meets the 429: the wait is known before this request is decided.
            let body = json!({"model": "deployment:far", "input": "hi", "store": false});
            assert_eq!(respond(&bench, &body, &[]).await.status, 429);
        }
        let (began, wait) = (Instant::now(), [("x-router-max-wait-ms", "20000")]);
        let next = respond(&bench, &turn(MODEL, &history, false), &wait).await;
        assert_eq!((next.status, next.deployment()), (200, Some("far")), "{next:?}");
        assert_eq!(next.header("x-router-adapted"), None);
        assert_eq!(next.number("x-router-attempts"), if throttled_before { 1 } else { 2 });
        assert!(throttled_before || began.elapsed() >= Duration::from_millis(300));
    }
    assert!(bench.asked("near").is_empty());
}

#[tokio::test]
async fn it_goes_on_elsewhere_without_the_items_once_the_budget_is_spent() {
    for (streamed, step) in [
        (false, Step::throttled_ms(30_000)),
        (true, Step::throttled_ms(30_000)),
        (false, Step::server_error()),
    ] {
        let (bench, other) = two_resources().await;
        let history = begun(&bench, "deployment:far", streamed).await;
        other.script("far", step);
        let next = respond(&bench, &turn(MODEL, &history, streamed), &[]).await;
        assert_eq!((next.status, next.deployment()), (200, Some("near")), "{next:?}");
        assert_eq!(next.header("x-router-adapted"), Some("input.encrypted_content"));
        assert_eq!(next.number("x-router-attempts"), 2);
        assert_eq!(sent(&bench.emulator, "near"), (false, false));
        // The next turn holds items of both: they go to the newer one's resource, without the older ones.
        let mut history = history;
        history.extend(output(&next));
        history.push(user("And then?"));
        let third = respond(&bench, &turn(MODEL, &history, streamed), &[]).await;
        assert_eq!((third.status, third.deployment()), (200, Some("near")), "{third:?}");
        assert_eq!(third.header("x-router-adapted"), Some("input.encrypted_content"));
        assert_eq!(sent(&bench.emulator, "near"), (true, false));
    }
}

#[tokio::test]
async fn with_reject_nothing_is_left_out() {
    let other = other().await;
    let bench = layout(&other).text("routing.unsupported", "reject").start().await;
    let history = begun(&bench, "deployment:far", false).await;
    other.script("far", Step::throttled_ms(30_000));
    let next = respond(&bench, &turn(MODEL, &history, false), &[]).await;
    assert_eq!((next.status, next.code().as_str()), (400, "unsupported_parameter"), "{next:?}");
    assert!(next.text.contains("input.encrypted_content"), "{}", next.text);
    assert!(bench.asked("near").is_empty());
}

/// A turn that a resource answered without the router, which so knows nothing of it.
async fn begun_elsewhere(bench: &Bench, other: &Emulator) -> Vec<Value> {
    let mut history = vec![user("Solve it.")];
    let url = format!("{}/openai/v1/responses", other.url());
    let body = turn("far", &history, false);
    let first = Answer::of(bench.client.post(url).json(&body)).await;
    history.extend(output(&first));
    history.push(user("Go on."));
    history
}

#[tokio::test]
async fn a_400_that_tells_of_foreign_items_is_tried_once_more_without_them() {
    let (bench, other) = two_resources().await;
    let history = begun_elsewhere(&bench, &other).await;
    for streamed in [false, true] {
        let next = respond(&bench, &turn("near", &history, streamed), &[]).await;
        assert_eq!((next.status, next.deployment()), (200, Some("near")), "{next:?}");
        assert_eq!(next.number("x-router-attempts"), 2);
        assert_eq!(next.header("x-router-adapted"), Some("input.encrypted_content"));
    }
    // Once: a resource that goes on refusing is believed.
    let body = json!({"error": {"code": "invalid_encrypted_content", "message": "no"}});
    bench.emulator.script("near", Step::answer(400, [], body.to_string()).forever());
    let next = respond(&bench, &turn("near", &history, false), &[]).await;
    assert_eq!((next.status, next.code().as_str()), (400, "invalid_encrypted_content"));
    assert_eq!(bench.asked("near").len(), 6);
}

#[tokio::test]
async fn a_compaction_is_not_left_out() {
    let (bench, other) = two_resources().await;
    let mut history = begun_elsewhere(&bench, &other).await;
    history[1]["type"] = json!("compaction");
    let next = respond(&bench, &turn("near", &history, false), &[]).await;
    assert_eq!((next.status, next.code().as_str()), (400, "invalid_encrypted_content"));
    assert_eq!(bench.asked("near").len(), 1);
}

#[tokio::test]
async fn an_answer_binds_what_its_request_brought() {
    let (bench, other) = two_resources().await;
    let history = begun_elsewhere(&bench, &other).await;
    let first = respond(&bench, &turn("far", &history, false), &[]).await;
    assert_eq!((first.status, first.deployment()), (200, Some("far")), "{first:?}");
    bench.emulator.clear_journal();
    for _ in 0..4 {
        let next = respond(&bench, &turn(MODEL, &history, false), &[]).await;
        assert_eq!((next.status, next.deployment()), (200, Some("far")), "{next:?}");
    }
    assert!(bench.asked("near").is_empty());
}

#[tokio::test]
async fn a_model_without_reasoning_gets_none() {
    let (bench, _other) = two_resources().await;
    for model in ["deployment:near", "deployment:far"] {
        let history = begun(&bench, model, false).await;
        let next = respond(&bench, &turn("gpt-4o", &history, false), &[]).await;
        assert_eq!((next.status, next.deployment()), (200, Some("chat")), "{next:?}");
        assert_eq!(next.header("x-router-adapted"), Some("reasoning,include,input.reasoning"));
        assert_eq!(sent(&bench.emulator, "chat"), (false, false));
    }
}

#[tokio::test]
async fn what_a_stored_response_hands_out_binds_a_conversation_too() {
    // The items are hidden when the response is created, and requested later in each possible way.
    let compact = "compact";
    for way in
        ["?include[]=reasoning.encrypted_content", "/input_items?limit=9", "?stream=true", compact]
    {
        let kind = if way == compact { "compaction" } else { "reasoning" };
        let hidden = json!({"type": kind, "id": "rs_1", "summary": [], "encrypted_content": way});
        let brought = hidden.clone();
        let body = |output: &Value| {
            json!({"id": "resp_1", "object": "response", "model": MODEL, "status": "completed",
            "output": output, "data": [hidden.clone()],
            "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}})
        };
        let (made, read) = (body(&json!([])), body(&json!([hidden.clone()])));
        let listed = json!({"object": "list", "data": [hidden.clone()]});
        let answers = move |asked: &Asked| match (asked.method.as_str(), asked.query.as_str()) {
            ("GET", query) if query.contains("stream") => Says::events(&[
                json!({"type": "response.created", "sequence_number": 0, "response": made}),
                json!({"type": "response.output_item.done", "sequence_number": 1, "item": hidden}),
                json!({"type": "response.completed", "sequence_number": 2, "response": read}),
            ]),
            ("GET", _) if asked.path.ends_with("input_items") => Says::json(200, &listed),
            ("GET", _) => Says::json(200, &read),
            _ if asked.path.ends_with("compact") => Says::json(200, &read),
            _ => Says::json(200, &made),
        };
        let (far, other) = (Scripted::start(answers).await, other().await);
        let bench = layout(&other).text("endpoints.other.url", far.url()).start().await;
        let store = json!({"model": "deployment:far", "input": "Solve it."});
        let stored = respond(&bench, &store, &[]).await;
        assert_eq!(stored.status, 200, "{stored:?}");
        let got = if way == compact {
            let request = bench.client.post(bench.url("/v1/responses/compact")).json(&store);
            Answer::of(request).await
        } else {
            bench.get(&format!("/v1/responses/resp_1{way}")).await
        };
        assert_eq!(got.status, 200, "{got:?}");
        let history = [user("Solve it."), brought, user("Go on.")];
        for _ in 0..3 {
            let next = respond(&bench, &turn(MODEL, &history, false), &[]).await;
            assert_eq!((next.status, next.deployment()), (200, Some("far")), "{way} {next:?}");
        }
        assert!(bench.asked("near").is_empty());
    }
}
