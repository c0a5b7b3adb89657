//! Usage and cost: from whole answers and from streams, to the micro-dollar, and never invented.

use std::time::Duration;

use azure_emulator::Step;
use serde_json::{Value, json};

use crate::support::{Answer, Bench, Layout, logs, question};

/// Dollars by gpt-4o's shipped prices, in the form of the header.
fn cost_of(usage: &Value) -> String {
    let tokens = |value: &Value| value.as_u64().unwrap_or(0);
    let prompt = tokens(&usage["prompt_tokens"]);
    let cached = tokens(&usage["prompt_tokens_details"]["cached_tokens"]);
    // Quarters of a micro-dollar: 2.50, 1.25 and 10 dollars a million.
    let quarters = (prompt - cached) * 10 + cached * 5 + tokens(&usage["completion_tokens"]) * 40;
    let micro = (quarters + 2) / 4;
    format!("{}.{:06}", micro / 1_000_000, micro % 1_000_000)
}

#[tokio::test]
async fn a_whole_answers_cost_is_right_to_the_micro_dollar() {
    let bench = Layout::pair().start().await;
    let mut sum = 0.0;
    for tokens in [1, 7, 333] {
        bench.emulator.script("chat_payg", Step::normal().output_tokens(tokens));
        let answer = bench.ask("deployment:chat_payg", json!({})).await;
        let usage = &answer.json()["usage"];
        assert_eq!(usage["completion_tokens"], tokens);
        let expected = cost_of(usage);
        assert_eq!(answer.header("x-router-cost-usd"), Some(expected.as_str()), "{usage}");
        sum += expected.parse::<f64>().unwrap();
    }
    let counted = bench.metric("model_router_cost_usd_total{deployment=\"chat_payg\"}").await;
    // Each header was rounded to a micro-dollar, the sum was not.
    assert!((counted - sum).abs() < 3e-6, "{counted} against {sum}");
}

#[tokio::test]
async fn provisioned_answers_cost_nothing_more() {
    let bench = Layout::pair().start().await;
    let answer = bench.ask("chat", json!({})).await;
    assert_eq!(answer.header("x-router-cost-usd"), Some("0.000000"), "{answer:?}");
}

#[tokio::test]
async fn without_a_price_there_is_no_cost_rather_than_zero() {
    let layout = Layout::pair()
        .set("models.own.context_window_tokens", 100_000)
        .set("models.own.max_output_tokens", 10_000)
        .written("own_payg", "own", "pay_as_you_go")
        .emulate(azure_emulator::Deployment::pay_as_you_go(
            "own_payg",
            "gpt-4o",
            azure_emulator::quota::QuotaSettings::new(1_000_000, 1_000_000_000),
        ));
    let bench = layout.start().await;
    let answer = bench.ask("own", json!({})).await;
    assert_eq!((answer.status, answer.deployment()), (200, Some("own_payg")));
    assert_eq!(answer.header("x-router-cost-usd"), None, "{answer:?}");
    let line = "model_router_unpriced_answers_total{deployment=\"own_payg\"}";
    assert!((bench.metric(line).await - 1.0).abs() < 1e-9);
}

/// The metrics' tokens of a kind, all requests together.
async fn tokens(bench: &Bench, model: &str, kind: &str) -> f64 {
    let labels = format!(
        "gen_ai_operation_name=\"chat\",gen_ai_provider_name=\"azure.ai.openai\",gen_ai_request_model=\"{model}\",gen_ai_token_type=\"{kind}\""
    );
    bench.metric(&format!("gen_ai_client_token_usage_sum{{{labels}}}")).await
}

/// The number of a model's operations that ended with an error, and the provider.
async fn operations(bench: &Bench, provider: &str, model: &str, error: &str) -> f64 {
    let text = bench.get("/metrics").await.text;
    let labels = [
        format!("error_type=\"{error}\""),
        format!("gen_ai_provider_name=\"{provider}\""),
        format!("gen_ai_request_model=\"{model}\""),
        "gen_ai_operation_name=\"chat\"".to_owned(),
    ];
    // The sum over all deployments.
    let counts = text.lines().filter_map(|line| {
        let line = line.strip_prefix("gen_ai_client_operation_duration_seconds_count{")?;
        let (of, count) = line.rsplit_once("} ")?;
        labels.iter().all(|label| of.contains(label)).then(|| count.parse::<f64>().unwrap())
    });
    counts.sum()
}

#[tokio::test]
async fn each_decided_request_is_one_operation_whatever_came_of_it() {
    let bench = Layout::empty().payg("only", "gpt-4o").payg("o1_payg", "o1").start().await;
    bench.ask("chat", json!({})).await.assert_answered_by("only", false);
    bench.emulator.script("only", Step::normal().cut_after(2));
    bench.ask("chat", json!({"stream": true})).await;
    bench.emulator.script("only", Step::answer(400, [], r#"{"error":{"message":"no"}}"#));
    assert_eq!(bench.ask("chat", json!({})).await.status, 400);
    bench.emulator.script("only", Step::hang());
    let impatient = bench.request(&question("chat", json!({}))).timeout(Duration::from_millis(200));
    assert!(impatient.send().await.is_err());
    while operations(&bench, "azure.ai.openai", "gpt-4o", "caller_hung_up").await < 1.0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    bench.emulator.script("only", Step::answer(500, [], "{}"));
    assert_eq!(bench.ask("chat", json!({})).await.status, 502);
    bench.emulator.script("only", Step::answer(503, [("retry-after", "60")], "{}"));
    assert_eq!(bench.ask("chat", json!({})).await.status, 503);
    // It asked to be left alone: refused before anything is sent.
    assert_eq!(bench.ask("chat", json!({})).await.status, 503);
    // Not decided: there is no such model.
    assert_eq!(bench.ask("gpt-9", json!({})).await.status, 404);
    for (error, expected) in [
        ("", 1.0),
        ("stream_interrupted", 1.0),
        ("rejected", 1.0),
        ("caller_hung_up", 1.0),
        ("upstream_failed", 1.0),
        ("upstream_unavailable", 2.0),
    ] {
        let count = operations(&bench, "azure.ai.openai", "gpt-4o", error).await;
        assert!((count - expected).abs() < 1e-9, "{error}: {count}");
    }
    let decided = "model_router_decisions_total{model=\"gpt-4o\",task=\"chat\"}";
    let none = "model_router_decisions_total{model=\"none\",task=\"chat\"}";
    assert!((bench.metric(decided).await + bench.metric(none).await - 7.0).abs() < 1e-9);
}

#[tokio::test]
async fn a_failed_operation_is_that_of_the_deployment_that_failed_it() {
    let layout = Layout::empty()
        .payg("gpt4o_payg", "gpt-4o")
        .payg("o1_payg", "o1")
        .written("a_other", "gpt-4.1", "pay_as_you_go")
        .text("endpoints.plain.url", "http://127.0.0.1:9")
        .text("endpoints.plain.api", "openai")
        .set("endpoints.plain.anonymous", true)
        .text("deployments.a_other.endpoint", "plain");
    let bench = layout.start().await;
    let far = bench.request(&question("gpt-4o", json!({})));
    let far = Answer::of(far.header("x-router-residency", "geo:kr")).await;
    assert_eq!(far.code(), "residency_unsatisfiable", "{far:?}");
    let error = "residency_unsatisfiable";
    assert!((operations(&bench, "azure.ai.openai", "gpt-4o", error).await - 1.0).abs() < 1e-9);
    // Nobody listens there.
    assert_eq!(bench.ask("gpt-4.1", json!({})).await.status, 502);
    assert!((operations(&bench, "openai", "gpt-4.1", "upstream_failed").await - 1.0).abs() < 1e-9);
}

/// Events that only report usage.
fn reports(answer: &Answer) -> usize {
    let choiceless = |event: &&Value| {
        event["choices"].as_array().is_some_and(Vec::is_empty) && event["usage"].is_object()
    };
    answer.events().iter().filter(choiceless).count()
}

#[tokio::test]
async fn the_usage_of_a_stream_is_asked_for_and_withheld_unless_the_caller_asked() {
    for asked in [false, true] {
        let bench = Layout::pair().start().await;
        bench.emulator.script("chat_payg", Step::normal().output_tokens(50));
        let more = if asked {
            json!({"stream": true, "stream_options": {"include_usage": true}})
        } else {
            json!({"stream": true})
        };
        let answer = bench.ask("deployment:chat_payg", more).await;
        answer.assert_answered_by("chat_payg", true);
        let sent = bench.asked("chat_payg")[0].json().unwrap();
        assert_eq!(sent["stream_options"]["include_usage"], true, "usage is asked for either way");
        assert_eq!(reports(&answer), usize::from(asked), "{}", answer.text);
        assert!((tokens(&bench, "gpt-4o", "output").await - 50.0).abs() < 1e-9);
        let cost = bench.metric("model_router_cost_usd_total{deployment=\"chat_payg\"}").await;
        assert!(cost > 50.0 * 10e-6, "the prompt costs too: {cost}");
        let estimated = "model_router_usage_estimated_total{deployment=\"chat_payg\"}";
        assert!(bench.metric(estimated).await.abs() < 1e-9);
    }
}

#[tokio::test]
async fn a_response_that_fails_or_stays_incomplete_tells_its_usage_too() {
    for (kind, error) in [
        ("response.incomplete", Value::Null),
        ("response.failed", json!({"code": "server_error", "message": "m"})),
    ] {
        let layout = Layout::pair().text("endpoints.azure.api_version", "2025-04-01-preview");
        let bench = layout.start().await;
        let said =
            json!({"type": "response.output_text.delta", "sequence_number": 1, "delta": "hi"});
        let usage = json!({"input_tokens": 11, "output_tokens": 77});
        let end = json!({"type": kind, "sequence_number": 2, "response": {"id": "resp_1", "error": error, "usage": usage}});
        let events = format!("data: {said}\n\ndata: {end}\n\n");
        let headers = [("content-type", "text/event-stream")];
        bench.emulator.script("chat_payg", Step::answer(200, headers, events.clone()));
        let body = json!({"model": "deployment:chat_payg", "input": "hi", "stream": true});
        let answer = Answer::of(bench.client.post(bench.url("/v1/responses")).json(&body)).await;
        assert_eq!(answer.text, events, "{kind}");
        assert!((tokens(&bench, "gpt-4o", "output").await - 77.0).abs() < 1e-9, "{kind}");
        let estimated = "model_router_usage_estimated_total{deployment=\"chat_payg\"}";
        assert!(bench.metric(estimated).await.abs() < 1e-9, "{kind}");
    }
}

#[tokio::test]
async fn a_stream_without_usage_is_estimated_and_marked_so() {
    let bench = Layout::pair().start().await;
    bench.emulator.script("chat_payg", Step::normal().output_tokens(40).cut_after(4));
    bench.ask("deployment:chat_payg", json!({"stream": true})).await;
    let estimated = "model_router_usage_estimated_total{deployment=\"chat_payg\"}";
    assert!((bench.metric(estimated).await - 1.0).abs() < 1e-9);
    assert!(tokens(&bench, "gpt-4o", "output").await > 0.0);
    assert!(bench.metric("model_router_cost_usd_total{deployment=\"chat_payg\"}").await > 0.0);
}

#[tokio::test]
async fn an_old_api_version_is_not_asked_for_usage_even_where_the_caller_asks() {
    for asked in [false, true] {
        let layout = Layout::pair().text("deployments.chat_payg.api_version", "2024-06-01");
        let bench = layout.start().await;
        let options = if asked { json!({"include_usage": true}) } else { Value::Null };
        let more = json!({"stream": true, "stream_options": options});
        let answer = bench.ask("deployment:chat_payg", more).await;
        answer.assert_answered_by("chat_payg", true);
        assert_eq!(answer.header("x-router-attempts"), Some("1"), "no 400 on the way: {answer:?}");
        assert_eq!(answer.header("x-router-adapted"), asked.then_some("stream_options"));
        let sent = bench.asked("chat_payg")[0].json().unwrap();
        assert!(sent["stream_options"].is_null(), "{sent}");
        let estimated = "model_router_usage_estimated_total{deployment=\"chat_payg\"}";
        assert!((bench.metric(estimated).await - 1.0).abs() < 1e-9);
    }
}

#[tokio::test]
async fn where_usage_is_refused_the_stream_comes_without_and_nothing_is_told_as_changed() {
    let bench = Layout::pair().start().await;
    bench.emulator.script("chat_payg", Step::unsupported_parameter("stream_options"));
    for attempts in ["2", "1"] {
        let answer = bench.ask("deployment:chat_payg", json!({"stream": true})).await;
        answer.assert_answered_by("chat_payg", true);
        assert_eq!(answer.header("x-router-attempts"), Some(attempts), "{answer:?}");
        assert_eq!(answer.header("x-router-adapted"), None, "the caller had not asked: {answer:?}");
    }
    let sent = bench.asked("chat_payg");
    let with: Vec<bool> =
        sent.iter().map(|entry| entry.json().unwrap().get("stream_options").is_some()).collect();
    assert_eq!(with, [true, false, false]);
}

#[tokio::test]
async fn reasoning_tokens_are_paid_as_output_also_when_streamed_on() {
    for streamed in [false, true] {
        let bench = Layout::pair().start().await;
        let more = json!({"stream": streamed, "stream_options": if streamed { json!({"include_usage": true}) } else { Value::Null }});
        let answer = bench.ask("reasoning", more).await;
        answer.assert_answered_by("o1_payg", streamed);
        let usage = if streamed {
            assert_eq!(reports(&answer), 1, "{}", answer.text);
            answer.events().last().unwrap()["usage"].clone()
        } else {
            answer.json()["usage"].clone()
        };
        let completion = usage["completion_tokens"].as_u64().unwrap();
        assert!(
            usage["completion_tokens_details"]["reasoning_tokens"].as_u64() > Some(0),
            "{usage}"
        );
        let counted = tokens(&bench, "o1", "output").await;
        assert!((counted - f64::from(u32::try_from(completion).unwrap())).abs() < 1e-9);
    }
}

#[tokio::test]
async fn another_model_than_configured_is_counted() {
    let bench = Layout::pair().start().await;
    bench.emulator.script("chat_ptu", Step::normal().model("gpt-4o-2024-11-20"));
    bench.ask("chat", json!({})).await;
    let line = "model_router_model_mismatches_total{deployment=\"chat_ptu\"}";
    assert!(bench.metric(line).await.abs() < 1e-9, "a dated version is the same model");
    bench.emulator.script("chat_ptu", Step::normal().model("gpt-5.1"));
    bench.ask("chat", json!({})).await;
    assert!((bench.metric(line).await - 1.0).abs() < 1e-9);
}

#[tokio::test]
async fn each_other_model_is_logged_once_and_counted_always() {
    let bench = Layout::pair().payg("upgraded_in_place", "gpt-4o").start().await;
    for model in ["gpt-5.1", "gpt-5.1", "gpt-5.2", "gpt-5.1"] {
        for streamed in [false, true] {
            bench.emulator.script("upgraded_in_place", Step::normal().model(model));
            bench.ask_in_form("deployment:upgraded_in_place", streamed).await;
        }
    }
    let line = "model_router_model_mismatches_total{deployment=\"upgraded_in_place\"}";
    assert!((bench.metric(line).await - 8.0).abs() < 1e-9);
    let told = logs::lines_with("upgraded_in_place");
    let told = told.iter().filter(|line| line.contains("another model answered"));
    assert_eq!(told.count(), 2, "once for each model");
}
