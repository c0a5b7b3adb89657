//! The rights of a key: no header, name, fallback or stored response bypasses them.

use azure_emulator::Step;
use serde_json::{Value, json};

use crate::keys::{ask_as, key, with_keys};
use crate::support::{Answer, Bench, Layout, logs, question};

const HARD: &str =
    "Prove by induction that the sum of the first n odd numbers is n squared, then generalise.";

async fn ask_with(bench: &Bench, name: &str, body: &Value, headers: &[(&str, &str)]) -> Answer {
    let request = bench.request(body).bearer_auth(key(name));
    let request =
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    Answer::of(request).await
}

#[track_caller]
fn assert_refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.code().as_str()), (status, code), "{answer:?}");
}

async fn names(bench: &Bench, name: &str) -> Vec<String> {
    let listed = bench.client.get(bench.url("/v1/models")).bearer_auth(key(name));
    let listed = Answer::of(listed).await.json();
    let ids = listed["data"].as_array().unwrap().iter();
    ids.map(|model| model["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_key_for_chat_gets_chat_whatever_is_asked() {
    let layout = with_keys(Layout::pair(), &["talk", "all"])
        .set("keys.talk.roles", "[\"chat\"]")
        .text("aliases.thinker", "o1");
    let bench = layout.start().await;
    let hard = json!({"model": "auto", "messages": [{"role": "user", "content": HARD}]});
    assert_eq!(ask_with(&bench, "all", &hard, &[]).await.deployment(), Some("o1_payg"));
    let answer = ask_with(&bench, "talk", &hard, &[]).await;
    assert_eq!(answer.header("x-router-task"), Some("chat"));
    answer.assert_answered_by("chat_ptu", false);
    let steered = ask_with(&bench, "talk", &hard, &[("x-router-task", "reasoning")]).await;
    assert_refused(&steered, 403, "not_allowed_for_key");
    assert_eq!(steered.json()["error"]["param"], "x-router-task");
    for name in ["reasoning", "o1", "o1_payg", "deployment:o1_payg", "thinker", "o1-2024-12-17"] {
        let answer = ask_as(&bench, "talk", name).await;
        assert_refused(&answer, 404, "model_not_found");
        let told = answer.json()["error"]["message"].to_string();
        let allowed = told.split("allowed are").nth(1).unwrap();
        assert!(allowed.contains("gpt-4o") && !allowed.contains("o1"), "{told}");
        let path = format!("/v1/models/{name}");
        let one = bench.client.get(bench.url(&path)).bearer_auth(key("talk"));
        assert_refused(&Answer::of(one).await, 404, "model_not_found");
        let dated = format!("/openai/deployments/{name}/chat/completions?api-version=2024-10-21");
        let dated = bench.client.post(bench.url(&dated)).json(&question("x", json!({})));
        assert_refused(
            &Answer::of(dated.header("api-key", key("talk"))).await,
            404,
            "model_not_found",
        );
    }
    let seen = names(&bench, "talk").await;
    let expected = [
        "auto",
        "auto:cost",
        "auto:fast",
        "auto:balanced",
        "chat",
        "gpt-4o",
        "chat_payg",
        "chat_ptu",
    ];
    assert_eq!(seen, expected);
    assert!(names(&bench, "all").await.contains(&"o1".to_owned()));
    assert_eq!(bench.asked("o1_payg").len(), 1, "the other key's alone");
}

#[tokio::test]
async fn fallback_stays_on_the_deployments_of_the_key() {
    let bench = with_keys(Layout::pair(), &["ptu_only", "all"])
        .set("keys.ptu_only.deployments", "[\"chat_ptu\"]")
        .start()
        .await;
    let answer = ask_as(&bench, "ptu_only", "gpt-4o").await;
    answer.assert_answered_by("chat_ptu", false);
    bench.emulator.script("chat_ptu", Step::throttled_ms(900));
    let answer = ask_as(&bench, "ptu_only", "chat").await;
    assert_eq!(answer.status, 429, "{answer:?}");
    // A deployment that requests a wait gets a cooldown; another key continues.
    assert_eq!(ask_as(&bench, "ptu_only", "chat_ptu").await.status, 429);
    ask_as(&bench, "all", "chat").await.assert_answered_by("chat_payg", false);
    assert_refused(&ask_as(&bench, "ptu_only", "chat_payg").await, 404, "model_not_found");
    // The role's only model has no deployment that this key may use.
    let answer = ask_as(&bench, "ptu_only", "o1").await;
    assert_refused(&answer, 404, "model_not_found");
    assert_eq!(bench.counts(["chat_payg", "o1_payg"]), [1, 0]);
}

fn korean() -> Layout {
    let layout = with_keys(Layout::pair(), &["seoul", "all"]).payg("kr_payg", "gpt-4o");
    layout
        .text("keys.seoul.residency", "geo:kr")
        .text("deployments.chat_ptu.area", "region:koreacentral")
        .text("deployments.kr_payg.area", "region:koreasouth")
}

#[tokio::test]
async fn a_pinned_residency_is_not_left_by_header_name_or_fallback() {
    let bench = korean().start().await;
    let body = question("chat", json!({}));
    for wide in ["global", "zone:eu", "geo:us", "region:eastus"] {
        let headers = [("x-router-residency", wide), ("x-request-id", "audit-of-the-seoul-key")];
        let answer = ask_with(&bench, "seoul", &body, &headers).await;
        assert_refused(&answer, 403, "residency_not_allowed");
        assert!(answer.text.contains("geo:kr") && answer.text.contains(wide), "{answer:?}");
    }
    let narrow = [("x-router-residency", "region:koreasouth")];
    let answer = ask_with(&bench, "seoul", &body, &narrow).await;
    answer.assert_answered_by("kr_payg", false);
    for step in [Step::throttled_ms(900), Step::server_error(), Step::reset()] {
        for deployment in ["chat_ptu", "kr_payg"] {
            bench.emulator.script(deployment, step.clone());
        }
        let answer = ask_as(&bench, "seoul", "chat").await;
        assert!(answer.status >= 429, "{answer:?}");
    }
    for name in ["deployment:chat_payg", "o1"] {
        let answer = ask_as(&bench, "seoul", name).await;
        assert_refused(&answer, 400, "residency_unsatisfiable");
    }
    assert_eq!(bench.counts(["chat_payg", "o1_payg"]), [0, 0]);
    let seen = names(&bench, "seoul").await;
    assert!(!seen.iter().any(|name| name == "o1" || name == "chat_payg"), "{seen:?}");

    let audit = logs::lines_with("audit-of-the-seoul-key");
    let audit: Vec<_> = audit.iter().filter(|line| line.contains("\"target\":\"audit\"")).collect();
    assert_eq!(audit.len(), 4, "{audit:?}");
    for part in ["\"key\":\"seoul\"", "\"asked\":\"global\"", "\"key_residency\":\"geo:kr\""] {
        assert!(audit[0].contains(part), "{part}: {}", audit[0]);
    }
    // Said of every refusal, also where no header asked.
    assert!(logs::lines_with("residency_unsatisfiable").iter().any(|line| line.contains("audit")));
}

#[tokio::test]
async fn priority_and_preference_are_narrowed_and_not_widened() {
    let bench = with_keys(Layout::pair(), &["night"])
        .text("keys.night.priority", "batch")
        .text("keys.night.prefer", "cost")
        .start()
        .await;
    let body = question("chat", json!({}));
    for (header, wrong, right) in
        [("x-router-priority", "interactive", "batch"), ("x-router-prefer", "fast", "cost")]
    {
        let answer = ask_with(&bench, "night", &body, &[(header, wrong)]).await;
        assert_refused(&answer, 403, "not_allowed_for_key");
        assert_eq!(answer.json()["error"]["param"], header);
        assert_eq!(ask_with(&bench, "night", &body, &[(header, right)]).await.status, 200);
    }
    assert_refused(&ask_as(&bench, "night", "auto:fast").await, 404, "model_not_found");
}

#[tokio::test]
async fn stored_responses_belong_to_the_key_that_made_them() {
    let bench = with_keys(Layout::pair(), &["one", "two"])
        .text("endpoints.azure.api_version", "2025-04-01-preview")
        .start()
        .await;
    let make = |name: &str, body: Value| {
        Answer::of(bench.client.post(bench.url("/v1/responses")).json(&body).bearer_auth(key(name)))
    };
    let first = make("one", json!({"model": "gpt-4o", "input": "Say hello."})).await;
    let id = first.json()["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/responses/{id}");
    let read = |name| Answer::of(bench.client.get(bench.url(&path)).bearer_auth(key(name)));
    assert_eq!(read("one").await.status, 200);
    assert_refused(&read("two").await, 404, "response_not_found");
    let follow = json!({"model": "gpt-4o", "input": "And now?", "previous_response_id": id});
    assert_refused(&make("two", follow.clone()).await, 400, "previous_response_not_found");
    assert_eq!(make("one", follow).await.status, 200);
    let gone = bench.client.delete(bench.url(&path)).bearer_auth(key("two"));
    assert_refused(&Answer::of(gone).await, 404, "response_not_found");
}

#[tokio::test]
async fn a_tools_own_model_is_held_to_the_keys_models() {
    let layout = with_keys(Layout::pair(), &["talk", "all"])
        .set("keys.talk.models", r#"["gpt-4o"]"#)
        .text("endpoints.azure.api_version", "2025-04-01-preview");
    let bench = layout.start().await;
    let ask = async |name: &str, tool: Value| {
        let body = json!({"model": "gpt-4o", "input": "Draw.", "tools": [tool]});
        let request = bench.client.post(bench.url("/v1/responses")).json(&body);
        Answer::of(request.bearer_auth(key(name))).await
    };
    let draws = json!({"type": "image_generation", "model": "gpt-image-1"});
    let answer = ask("talk", draws.clone()).await;
    assert_refused(&answer, 404, "model_not_found");
    assert!(answer.text.contains("gpt-image-1") && answer.text.contains("gpt-4o"), "{answer:?}");
    assert!(bench.emulator.journal().is_empty());
    for (name, tool) in [
        ("all", draws),
        ("talk", json!({"type": "image_generation"})),
        ("talk", json!({"type": "image_generation", "model": "GPT-4o"})),
    ] {
        assert_eq!(ask(name, tool).await.status, 200);
    }
}
