//! The values that `model` may contain, the places for it, and the response to an unknown name.

use azure_emulator::quota::QuotaSettings;
use azure_emulator::{Deployment, Step};
use serde_json::{Value, json};

use crate::support::{Answer, Bench, Layout, question};

async fn lands(bench: &Bench, model: Value, deployment: &str) {
    let mut body = question("x", json!({}));
    body["model"] = model.clone();
    let answer = bench.chat(&body).await;
    assert_eq!(
        (answer.status, answer.deployment()),
        (200, Some(deployment)),
        "{model}: {answer:?}"
    );
}

/// An alias, and a deployment whose key is the name of a model that it does not serve.
fn layout() -> Layout {
    Layout::pair().set("aliases.\"gpt-4-turbo\"", "\"chat\"").payg("o1", "gpt-4o")
}

#[tokio::test]
async fn every_kind_of_name_finds_its_deployment() {
    let bench = layout().start().await;
    for (model, deployment) in [
        (json!("auto"), "chat_ptu"),
        (json!("auto:cost"), "chat_ptu"),
        (json!("auto:fast"), "chat_ptu"),
        (json!("auto:balanced"), "chat_ptu"),
        (Value::Null, "chat_ptu"),
        (json!("chat"), "chat_ptu"),
        (json!("reasoning"), "o1_payg"),
        (json!("gpt-4-turbo"), "chat_ptu"),
        (json!("gpt-4o"), "chat_ptu"),
        (json!("gpt-4o-2024-11-20"), "chat_ptu"),
        (json!("openai/o1-2024-12-17"), "o1_payg"),
        // A name that is both means the model.
        (json!("o1"), "o1_payg"),
        (json!("deployment:o1"), "o1"),
        (json!("chat_payg"), "chat_payg"),
        (json!("deployment:chat_payg"), "chat_payg"),
    ] {
        lands(&bench, model, deployment).await;
    }
}

#[tokio::test]
async fn the_suffix_and_the_header_set_the_preference() {
    let bench = layout().start().await;
    for (model, header, expected) in [
        ("auto", None, "balanced"),
        ("auto:fast", None, "fast"),
        ("auto:cost", None, "cost"),
        ("auto:cost", Some("fast"), "fast"),
    ] {
        let request = bench.client.post(bench.url("/v1/route")).json(&question(model, json!({})));
        let request = match header {
            Some(value) => request.header("x-router-prefer", value),
            None => request,
        };
        assert_eq!(Answer::of(request).await.json()["prefer"], expected, "{model} {header:?}");
    }
    assert!(bench.emulator.journal().is_empty(), "the decision alone sends nothing");
}

#[tokio::test]
async fn the_path_wins_over_the_body() {
    let bench = layout().start().await;
    for (path, model, deployment) in [
        ("chat_payg", json!("o1"), "chat_payg"),
        ("gpt-4o", json!("o1"), "chat_ptu"),
        ("reasoning", Value::Null, "o1_payg"),
        ("chat", json!("no-such-model"), "chat_ptu"),
    ] {
        let url = bench
            .url(&format!("/openai/deployments/{path}/chat/completions?api-version=2024-10-21"));
        let mut body = question("x", json!({}));
        body["model"] = model;
        let answer = Answer::of(bench.client.post(url).json(&body).header("api-key", "any")).await;
        assert_eq!(
            (answer.status, answer.deployment()),
            (200, Some(deployment)),
            "{path}: {answer:?}"
        );
    }
}

#[tokio::test]
async fn azures_own_names_and_other_letter_case_are_names() {
    let quota = QuotaSettings::new(1_000_000, 1_000_000_000);
    let bench = layout()
        .written("mini", "gpt-4o-mini", "pay_as_you_go")
        .text("deployments.mini.azure_deployment", "Mini-Prod")
        .emulate(Deployment::pay_as_you_go("Mini-Prod", "gpt-4o-mini", quota))
        .start()
        .await;
    for model in ["Mini-Prod", "mini-prod", "MINI", "GPT-4o-Mini", "deployment:Mini-Prod"] {
        lands(&bench, json!(model), "mini").await;
        let dated = format!("/openai/deployments/{model}/chat/completions?api-version=2024-10-21");
        let body = question("x", json!({}));
        let answer = Answer::of(bench.client.post(bench.url(&dated)).json(&body)).await;
        assert_eq!((answer.status, answer.deployment()), (200, Some("mini")), "{model}");
    }
    assert_eq!(bench.asked("Mini-Prod").len(), 10);
    lands(&bench, json!("GPT-4O"), "chat_ptu").await;
    lands(&bench, json!("Reasoning"), "o1_payg").await;
}

#[tokio::test]
async fn all_three_shapes_are_served_with_both_forms_of_credential() {
    let bench = layout().start().await;
    for path in [
        "/v1/chat/completions",
        "/openai/v1/chat/completions",
        "/openai/deployments/chat/chat/completions?api-version=2024-10-21",
    ] {
        for (header, value) in [("api-key", "k"), ("authorization", "Bearer k")] {
            let body = question("chat", json!({}));
            let request = bench.client.post(bench.url(path)).json(&body).header(header, value);
            Answer::of(request).await.assert_answered_by("chat_ptu", false);
        }
    }
}

#[tokio::test]
async fn an_unknown_name_is_a_404_that_lists_the_known_ones() {
    let bench = layout().start().await;
    for unknown in [
        "gpt-9",
        "gpt-9-2024-11-20",
        "gpt-4o-2024-13-20",
        "gpt-4o ptu",
        "auto:slow",
        "deployment:nowhere",
        "deployment:gpt-4o",
    ] {
        let answer = bench.ask(unknown, json!({})).await;
        assert_eq!((answer.status, answer.code().as_str()), (404, "model_not_found"), "{answer:?}");
        let error = &answer.json()["error"];
        assert_eq!(error["param"], "model");
        let message = error["message"].as_str().unwrap();
        for name in ["auto", "auto:fast", "reasoning", "chat", "gpt-4-turbo", "gpt-4o", "chat_ptu"]
        {
            assert!(message.contains(name), "{name} is not in {message}");
        }
    }
    let listed = bench.get("/v1/models").await.json();
    let ids: Vec<&str> = listed["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| model["id"].as_str().unwrap())
        .collect();
    for name in ["auto", "reasoning", "chat", "gpt-4-turbo", "gpt-4o", "o1", "chat_payg"] {
        assert!(ids.contains(&name), "{name} is not in {ids:?}");
    }
}

#[tokio::test]
async fn a_bare_deployment_may_fall_back_and_a_pinned_one_may_not() {
    let bench = layout().start().await;
    bench.emulator.script("chat_ptu", Step::server_error().forever());
    let bare = bench.ask("chat_ptu", json!({})).await;
    assert_eq!(bare.status, 200, "{bare:?}");
    assert_ne!(bare.deployment(), Some("chat_ptu"));
    let pinned = bench.ask("deployment:chat_ptu", json!({})).await;
    assert_eq!((pinned.status, pinned.code().as_str()), (502, "upstream_failed"), "{pinned:?}");

    let strict = layout().set("routing.strict_deployment", true).start().await;
    strict.emulator.script("chat_ptu", Step::server_error().forever());
    let bare = strict.ask("chat_ptu", json!({})).await;
    assert_eq!((bare.status, bare.code().as_str()), (502, "upstream_failed"), "{bare:?}");
    assert_eq!(strict.counts(["chat_ptu", "chat_payg", "o1"]), [1, 0, 0]);
}

#[tokio::test]
async fn the_tasks_header_wins_over_the_score() {
    let bench = layout().start().await;
    for (task, deployment) in [("reasoning", "o1_payg"), ("chat", "chat_ptu")] {
        for text in ["hi", "Prove that the square root of two is irrational, step by step."] {
            let body = json!({"messages": [{"role": "user", "content": text}]});
            let answer = Answer::of(bench.request(&body).header("x-router-task", task)).await;
            assert_eq!(answer.deployment(), Some(deployment), "{task}: {text}: {answer:?}");
            assert_eq!(answer.header("x-router-task"), Some(task));
        }
    }
}

#[tokio::test]
async fn plain_tasks_in_both_languages_go_where_they_belong() {
    let bench = layout().start().await;
    for (text, deployment) in [
        ("Good morning! How are you today?", "chat_ptu"),
        ("좋은 아침이에요! 오늘 기분 어때요?", "chat_ptu"),
        ("Prove by induction that the sum of the first n odd numbers is n squared.", "o1_payg"),
        ("처음 n개의 홀수의 합이 n의 제곱임을 수학적 귀납법으로 증명해줘.", "o1_payg"),
    ] {
        let answer = bench.chat(&json!({"messages": [{"role": "user", "content": text}]})).await;
        assert_eq!(answer.deployment(), Some(deployment), "{text}: {answer:?}");
    }
}
