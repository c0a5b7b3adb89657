//! Effort per request: one model serves both roles at different efforts, a ladder follows the benefit, and the caller's own
//! effort wins. It is shown wherever the model is.

use router_core::log_line::Log;
use serde_json::{Value, json};

use crate::support::{Answer, Bench, Layout};

const SMALL: &str = "Is 91 a prime number? Prove it.";
const LARGE: &str = "Compute the remainder of 17^35 + 23^41 when divided by 45, then determine how many integers x with \
    1 <= x <= 900 satisfy x^2 + 3x + 2 = 0 mod 45.";

fn body(text: &str) -> Value {
    json!({"model": "reasoning", "messages": [{"role": "user", "content": text}]})
}

fn one_model() -> Layout {
    Layout::empty()
        .set("roles.chat.models", r#"["gpt-5.2"]"#)
        .text("roles.chat.effort", "none")
        .set("roles.reasoning.models", r#"["gpt-5.2"]"#)
        .ptu("ptu", "gpt-5.2")
}

fn sent(bench: &Bench) -> Vec<Value> {
    bench
        .asked("ptu")
        .iter()
        .map(|entry| entry.json().unwrap()["reasoning_effort"].clone())
        .collect()
}

async fn explained(bench: &Bench, body: &Value) -> Value {
    Answer::of(bench.client.post(bench.url("/v1/route")).json(body)).await.json()
}

#[tokio::test]
async fn a_ladder_follows_the_benefit_and_the_callers_effort_wins() {
    let bench = one_model().start().await;
    let mut benefits = Vec::new();
    for text in [SMALL, LARGE] {
        let mut auto = body(text);
        auto["model"] = json!("auto");
        let told = explained(&bench, &auto).await;
        benefits.push(told["tradeoff"]["benefit"].as_f64().unwrap());
    }
    assert!(benefits[0] < benefits[1], "{benefits:?}");
    let cut = f64::midpoint(benefits[0], benefits[1]);

    let ladder = format!(r#"{{ from = "low", to = "medium", cuts = [{cut}] }}"#);
    let bench = one_model().set("roles.reasoning.effort", ladder).start().await;
    let mut shown = Vec::new();
    for text in [SMALL, LARGE] {
        let answer = bench.chat(&body(text)).await;
        shown.push(answer.header("x-router-effort").unwrap().to_owned());
    }
    assert_eq!(shown, ["low", "medium"]);
    let mut own = body(SMALL);
    own["reasoning_effort"] = json!("high");
    assert_eq!(bench.chat(&own).await.header("x-router-effort"), Some("high"));
    assert_eq!(sent(&bench), [json!("low"), json!("medium"), json!("high")]);
}

#[tokio::test]
async fn one_model_serves_both_roles_at_different_efforts_and_both_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.jsonl");
    let bench = one_model()
        .text("roles.reasoning.effort", "low")
        .text("request_log.path", path.to_str().unwrap())
        .start()
        .await;
    let mut shown = Vec::new();
    for role in ["chat", "reasoning"] {
        let mut asked = body(SMALL);
        asked["model"] = json!(role);
        let answer = bench.chat(&asked).await;
        shown.push(answer.header("x-router-effort").unwrap().to_owned());
        let told = explained(&bench, &asked).await;
        assert_eq!(told["candidates"][0]["effort"], json!(shown.last()), "{told}");
    }
    assert_eq!(shown, ["none", "low"]);
    for effort in ["none", "low"] {
        let name = "model_router_effort_decisions_total";
        let counted =
            bench.metric(&format!("{name}{{effort=\"{effort}\",model=\"gpt-5.2\"}}")).await;
        assert!((counted - 1.0).abs() < 1e-9, "{effort}: {counted}");
    }
    bench.server.stop().await;
    let log = Log::parse(&std::fs::read_to_string(&path).unwrap()).unwrap();
    let logged = log.requests.iter().map(|line| line.decision.effort.as_deref());
    assert_eq!(logged.collect::<Vec<_>>(), [Some("none"), Some("low")]);
}

#[tokio::test]
async fn a_model_without_efforts_shows_none() {
    let bench = Layout::pair().start().await;
    let answer = bench.ask("chat", json!({"reasoning_effort": "high"})).await;
    assert_eq!((answer.status, answer.header("x-router-effort")), (200, None));
}
