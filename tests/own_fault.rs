//! A request that is itself at fault closes no deployment to others: one that exceeds the quota by
//! itself, and one that refers to a missing object. Its caller gets the upstream's answer; the same
//! deployment serves the next caller.

use azure_emulator::Step;
use serde_json::{Value, json};

use crate::support::{Answer, Bench, Layout};

const TOO_LARGE: &str = r#"{"error":{"message":"Request too large for gpt-4o in organization org-x on tokens per min (TPM): Limit 30000, Requested 36278. The input or output tokens must be reduced in order to run successfully.","type":"tokens","param":null,"code":"rate_limit_exceeded"}}"#;
const OVER_QUOTA: &str = r#"{"error":{"code":"429","message":"Requests have exceeded token rate limit of your current AIServices S0 pricing tier. Please retry after 60 seconds."}}"#;

fn alone() -> Layout {
    Layout::empty().payg("o1_payg", "o1")
}

fn three() -> Layout {
    let three = alone().payg("one", "gpt-4o").payg("two", "gpt-4o").payg("three", "gpt-4o");
    three.set("deployments.two.order", 2).set("deployments.three.order", 3)
}

/// A request whose prompt alone counts 45,000 tokens.
async fn large(bench: &Bench, more: Value) -> Answer {
    let mut body =
        json!({"model": "chat", "messages": [{"role": "user", "content": "word ".repeat(36_000)}]});
    let Value::Object(more) = more else { panic!("{more}") };
    body.as_object_mut().unwrap().extend(more);
    bench.chat(&body).await
}

#[track_caller]
fn assert_not_to_be_retried(answer: &Answer) {
    assert_eq!(answer.status, 429, "{answer:?}");
    assert_eq!(answer.header("x-should-retry"), Some("false"), "{answer:?}");
    assert_eq!(answer.header("retry-after-ms"), None, "{answer:?}");
    assert_eq!(answer.header("retry-after"), None, "{answer:?}");
}

#[tokio::test]
async fn a_429_for_which_the_request_alone_is_responsible_cools_nothing() {
    for (headers, streamed) in
        [(vec![], false), (vec![("retry-after-ms", "20000")], false), (vec![], true)]
    {
        let bench = three().start().await;
        for name in ["one", "two", "three"] {
            bench.emulator.script(name, Step::answer(429, headers.clone(), TOO_LARGE));
        }
        let answer = large(&bench, json!({"stream": streamed})).await;
        assert_not_to_be_retried(&answer);
        assert_eq!(answer.text, TOO_LARGE, "the upstream's own words");
        assert_eq!(bench.counts(["one", "two", "three"]), [1, 1, 1], "others may allow more");
        for _ in 0..3 {
            bench.ask_in_form("chat", streamed).await.assert_answered_by("one", streamed);
        }
        // The limit is known now: the next one is not sent.
        let again = large(&bench, json!({"stream": streamed})).await;
        assert_not_to_be_retried(&again);
        assert_eq!(again.code(), "request_exceeds_quota");
        assert_eq!(bench.counts(["one", "two", "three"]), [4, 1, 1]);
    }
}

#[tokio::test]
async fn a_deployment_with_a_larger_quota_answers() {
    let bench = three()
        .set("deployments.two.tokens_per_minute", 30_000)
        .set("deployments.three.tokens_per_minute", 1_000_000)
        .start()
        .await;
    bench.emulator.script("one", Step::answer(429, [], TOO_LARGE));
    large(&bench, json!({})).await.assert_answered_by("three", false);
    assert_eq!(bench.counts(["two"]), [0], "its quota is known to be too small");
    bench.ask_in_form("deployment:one", false).await.assert_answered_by("one", false);
}

#[tokio::test]
async fn where_the_quota_is_known_the_request_is_not_sent() {
    let configured = alone()
        .payg("only", "gpt-4o")
        .set("deployments.only.tokens_per_minute", 30_000)
        .start()
        .await;
    let learned = alone().payg("only", "gpt-4o").start().await;
    let limit = Step::normal().header("x-ratelimit-limit-tokens", "30000");
    learned.emulator.script("only", limit);
    learned.ask_in_form("chat", false).await.assert_answered_by("only", false);
    for bench in [configured, learned] {
        let before = bench.counts(["only"]);
        for more in [json!({}), json!({"stream": true})] {
            let answer = large(&bench, more).await;
            assert_not_to_be_retried(&answer);
            assert_eq!(answer.code(), "request_exceeds_quota");
        }
        let capped = bench.ask("chat", json!({"max_tokens": 30_001})).await;
        assert_not_to_be_retried(&capped);
        assert_eq!(bench.counts(["only"]), before);
        bench.ask_in_form("chat", false).await.assert_answered_by("only", false);
    }
}

#[tokio::test]
async fn a_refusal_by_quota_of_a_request_above_the_known_quota_cools_nothing() {
    // Neither the prompt nor the cap exceeds the quota alone, so that the request is sent once.
    let bench = alone()
        .payg("only", "gpt-4o")
        .set("deployments.only.tokens_per_minute", 50_000)
        .start()
        .await;
    bench.emulator.script("only", Step::answer(429, [("retry-after", "60")], OVER_QUOTA));
    let answer = large(&bench, json!({"max_tokens": 10_000})).await;
    assert_not_to_be_retried(&answer);
    assert_eq!(answer.text, OVER_QUOTA);
    bench.ask_in_form("chat", false).await.assert_answered_by("only", false);
    assert_not_to_be_retried(&large(&bench, json!({"max_tokens": 10_000})).await);
    assert_eq!(bench.counts(["only"]), [2], "it is remembered");
    // The same words about a request that fits are a quota that is used up.
    bench.emulator.script("only", Step::answer(429, [("retry-after", "60")], OVER_QUOTA));
    let full = bench.ask_in_form("chat", false).await;
    assert_eq!((full.status, full.code().as_str()), (429, "capacity_exhausted"));
    assert_eq!(full.header("x-should-retry"), Some("true"));
}

fn error(message: &str, code: &Value, param: &Value) -> String {
    let kind = "invalid_request_error";
    json!({"error": {"message": message, "type": kind, "param": param, "code": code}}).to_string()
}

#[tokio::test]
async fn an_object_that_the_request_names_is_the_callers_own_fault() {
    let null = Value::Null;
    for (status, body) in [
        (404, error("No such File object: file-abc123", &null, &null)),
        (404, error("Vector store with id 'vs_1' not found.", &null, &null)),
        (404, error("Prompt with id 'pmpt_1' not found.", &null, &json!("prompt"))),
        (404, error("Conversation with id 'conv_1' not found.", &json!("not_found"), &null)),
        (403, error("You do not have access to file file-abc123.", &null, &null)),
        (403, error("The object own-id-4711 is not yours.", &json!("forbidden"), &null)),
    ] {
        for path in ["/v1/chat/completions", "/v1/responses"] {
            let bench = alone()
                .set("endpoints.azure.api_version", "\"2025-04-01-preview\"")
                .payg("one", "gpt-4o")
                .payg("two", "gpt-4o")
                .set("deployments.two.order", 2)
                .start()
                .await;
            bench.emulator.script("one", Step::answer(status, [], body.clone()));
            let asked = if path.ends_with("responses") {
                json!({"model": "chat", "input": "own-id-4711"})
            } else {
                json!({"model": "chat", "messages": [{"role": "user", "content": "own-id-4711"}]})
            };
            let request = || Answer::of(bench.client.post(bench.url(path)).json(&asked));
            let answer = request().await;
            assert_eq!((answer.status, &answer.text), (status, &body), "{path}");
            assert_eq!(answer.header("x-router-attempts"), Some("1"), "{answer:?}");
            let next = request().await;
            assert_eq!((next.status, next.deployment()), (200, Some("one")), "{body}");
            assert_eq!(bench.counts(["two"]), [0], "{body}");
        }
    }
}

#[tokio::test]
async fn the_deployment_and_the_routers_own_rights_are_still_misconfiguration() {
    let null = Value::Null;
    let model = "The model `one` does not exist or you do not have access to it.";
    for (status, body) in [
        (404, error("The API deployment does not exist.", &json!("DeploymentNotFound"), &null)),
        (404, error(model, &json!("model_not_found"), &null)),
        (403, error(model, &null, &json!("model"))),
        (403, error("The principal lacks files/read.", &json!("PermissionDenied"), &null)),
        (404, error("Resource not found", &json!("404"), &null)),
        (403, "<html>file</html>".to_owned()),
    ] {
        let bench = alone()
            .payg("one", "gpt-4o")
            .payg("two", "gpt-4o")
            .set("deployments.two.order", 2)
            .start()
            .await;
        bench.emulator.script("one", Step::answer(status, [], body.clone()));
        let answer = bench.ask_in_form("chat", false).await;
        answer.assert_answered_by("two", false);
        assert_eq!(answer.header("x-router-fallback"), Some("misconfigured"), "{body}");
        bench.ask_in_form("chat", false).await.assert_answered_by("two", false);
        assert_eq!(bench.counts(["one"]), [1], "{body}");
    }
}
