//! Rules of the operator: they decide before the score, are disclosed everywhere, and widen no right.

use router_core::log_line::Log;
use serde_json::{Value, json};

use crate::keys::{key, with_keys};
use crate::support::{Answer, Bench, Layout};

const HARD: &str =
    "Prove by induction that the sum of the first n odd numbers is n squared, then generalise.";

/// A rule of a test: its settings by their keys, in TOML's own form.
fn rule(layout: Layout, name: &str, settings: &[(&str, &str)]) -> Layout {
    settings
        .iter()
        .fold(layout, |layout, (key, value)| layout.set(&format!("rules.{name}.{key}"), value))
}

fn hard(more: &Value) -> Value {
    let mut body = json!({"model": "auto", "messages": [{"role": "user", "content": HARD}]});
    for (field, value) in more.as_object().unwrap() {
        body[field] = value.clone();
    }
    body
}

fn served(answer: &Answer) -> (u16, Option<&str>, Option<&str>, Option<&str>) {
    let header = |name| answer.header(name);
    (answer.status, header("x-router-rule"), header("x-router-task"), header("x-router-model"))
}

async fn explained(bench: &Bench, body: &Value) -> Value {
    Answer::of(bench.client.post(bench.url("/v1/route")).json(body)).await.json()
}

#[tokio::test]
async fn the_first_matching_rule_corrects_a_misroute_and_is_disclosed_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.jsonl");
    let layout = Layout::pair().text("request_log.path", path.to_str().unwrap());
    let layout = rule(
        layout,
        "late",
        &[("order", "20"), ("when.turn_words", r#"["induction"]"#), ("set.task", r#""reasoning""#)],
    );
    let layout = rule(
        layout,
        "homework",
        &[
            ("order", "10"),
            ("when.question_words", r#"["odd numbers"]"#),
            ("set.task", r#""chat""#),
        ],
    );
    let bench = layout.start().await;
    let answer = bench.chat(&hard(&json!({}))).await;
    assert_eq!(served(&answer), (200, Some("homework"), Some("chat"), Some("gpt-4o")));
    let score: f64 = answer.header("x-router-score").unwrap().parse().unwrap();
    assert!(score > 0.5, "the score is reported all the same: {score}");
    let other = bench.ask("auto", json!({})).await;
    assert_eq!((other.status, other.header("x-router-rule")), (200, None));

    let hinted = bench.request(&hard(&json!({}))).header("x-router-task", "reasoning");
    let hinted = Answer::of(hinted).await;
    assert_eq!(served(&hinted), (200, Some("homework"), Some("reasoning"), Some("o1")));

    let counted = bench.metric("model_router_rule_matches_total{rule=\"homework\"}").await;
    assert!((counted - 2.0).abs() < 1e-9, "{counted}");
    let told = explained(&bench, &hard(&json!({}))).await;
    assert_eq!(told["rule"], json!({"name": "homework", "unmet": []}));
    assert_eq!((&told["task"], &told["scored"]["decided_by"]), (&json!("chat"), &json!("rule")));

    bench.server.stop().await;
    let log = Log::parse(&std::fs::read_to_string(&path).unwrap()).unwrap();
    let logged = log.requests.iter().map(|line| &line.decision);
    let logged: Vec<_> =
        logged.map(|decision| (decision.rule.as_deref(), decision.decided_by.as_deref())).collect();
    let (ruled, hinted) = ((Some("homework"), Some("rule")), (Some("homework"), Some("hint")));
    assert_eq!(logged, [ruled, (None, Some("score")), hinted]);
}

#[tokio::test]
async fn an_application_is_recognized_by_the_hash_that_route_prints() {
    let (start, end) = ("You are the mathematics tutor of Contoso", ". Today is Monday.");
    let prompt = &format!("{start}{end}");
    let body = |prompt: &str| {
        let messages =
            json!([{"role": "system", "content": prompt}, {"role": "user", "content": HARD}]);
        json!({"model": "auto", "messages": messages})
    };
    let bench = Layout::pair().start().await;
    let told = explained(&bench, &body(start)).await;
    let hash = told["instructions_hashes"][0].to_string();
    assert!(hash.starts_with("\"40:"), "{told}");

    let layout = rule(
        Layout::pair(),
        "tutor",
        &[
            ("order", "1"),
            ("when.instructions_hash", &format!("[{hash}]")),
            ("set.role", r#""chat""#),
            ("set.prefer", r#""fast""#),
        ],
    );
    let bench = layout.start().await;
    let answer = bench.chat(&body(prompt)).await;
    assert_eq!(served(&answer), (200, Some("tutor"), Some("chat"), Some("gpt-4o")));
    assert_eq!(explained(&bench, &body(prompt)).await["prefer"], json!("fast"));
    let other = bench.chat(&body("You are the physics tutor of Contoso. Today is Monday.")).await;
    assert_eq!(served(&other), (200, None, Some("reasoning"), Some("o1")));
    // A rule's role also serves callers that name the other role, but not those that name a model.
    let mut named = body(prompt);
    named["model"] = json!("reasoning");
    assert_eq!(
        served(&bench.chat(&named).await),
        (200, Some("tutor"), Some("chat"), Some("gpt-4o"))
    );
    named["model"] = json!("o1");
    assert_eq!(served(&bench.chat(&named).await), (200, None, None, Some("o1")));
}

#[tokio::test]
async fn neither_residency_nor_the_rights_of_a_key_yield_to_a_rule() {
    let layout = with_keys(Layout::pair(), &["talk", "seoul", "all"])
        .set("keys.talk.roles", r#"["chat"]"#)
        .text("keys.seoul.residency", "geo:kr")
        .set("keys.all.operator", true)
        .text("deployments.chat_ptu.area", "region:koreacentral")
        .text("roles.reasoning.on_unavailable", "reject");
    let layout = rule(
        layout,
        "deep",
        &[
            ("order", "1"),
            ("when.header", r#"{ name = "x-app", prefix = "lab" }"#),
            ("set.role", r#""reasoning""#),
        ],
    );
    let layout = rule(
        layout,
        "named",
        &[
            ("order", "2"),
            ("when.header", r#"{ name = "x-model", present = true }"#),
            ("set.model", r#""o1""#),
        ],
    );
    let bench = layout.start().await;
    let ask = async |name: &str, header: (&str, &str)| {
        let body = json!({"model": "auto", "messages": [{"role": "user", "content": "Hello!"}]});
        let request = bench.request(&body).bearer_auth(key(name)).header(header.0, header.1);
        Answer::of(request).await
    };
    let (deep, named) = (("x-app", "lab-7"), ("x-model", "yes"));
    let answer = ask("all", deep).await;
    assert_eq!(served(&answer), (200, Some("deep"), Some("reasoning"), Some("o1")));
    assert_eq!(served(&ask("all", named).await).3, Some("o1"));
    for header in [deep, named] {
        let answer = ask("talk", header).await;
        assert_eq!((answer.status, answer.header("x-router-model")), (200, Some("gpt-4o")));
    }
    // o1 is outside Korea: the rule's role is refused, and its model is dropped.
    let answer = ask("seoul", deep).await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "residency_unsatisfiable"));
    let answer = ask("seoul", named).await;
    assert_eq!(
        (answer.status, answer.header("x-router-model")),
        (200, Some("gpt-4o")),
        "{answer:?}"
    );
    assert_eq!(bench.counts(["chat_payg", "o1_payg"]), [0, 2]);
}

#[tokio::test]
async fn a_rule_sets_the_effort_of_requests_that_set_none() {
    let layout = rule(
        Layout::pair(),
        "tools",
        &[
            ("order", "1"),
            ("when.tools", r#"["run_sql"]"#),
            ("set.role", r#""reasoning""#),
            ("set.effort", r#""low""#),
        ],
    );
    let bench = layout.start().await;
    let tools = json!([{"type": "function", "function": {"name": "run_sql"}}]);
    bench.chat(&hard(&json!({"tools": tools}))).await;
    bench.chat(&hard(&json!({"tools": tools, "reasoning_effort": "high"}))).await;
    bench.chat(&hard(&json!({}))).await;
    let efforts: Vec<Value> = bench
        .asked("o1_payg")
        .iter()
        .map(|entry| entry.json().unwrap()["reasoning_effort"].clone())
        .collect();
    // Medium, that of the role, is the default of o1.
    assert_eq!(efforts, [json!("low"), json!("high"), Value::Null]);
}
