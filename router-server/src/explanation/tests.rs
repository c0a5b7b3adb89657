//! The text of an explanation.

use prometheus::Registry;
use router_core::policy::{Mode, Rights};
use router_core::router::{ChatCall, ModelRouter};
use router_core::units::Day;

use super::*;
use crate::design_card;

fn decision(body: &str, header: Option<(&'static str, &'static str)>) -> Decision {
    let today = Day::try_from("2026-11-23").unwrap();
    let config = design_card::config(design_card::NOWHERE, today).unwrap().router;
    let router = ModelRouter::new(&config, &Registry::new()).unwrap();
    let mut call = ChatCall::of_body(body.to_owned());
    if let Some((name, value)) = header {
        call.headers.insert(name, value.parse().unwrap());
    }
    router.route(&call).unwrap()
}

const HELLO: &str = r#"{"model":"auto","messages":[{"role":"user","content":"안녕하세요"}]}"#;

#[test]
fn the_plan_and_every_reason_for_being_out_are_told_in_both_forms() {
    let decision = decision(HELLO, None);
    let judged = Judged {
        reasons: vec![Reason { name: "words".into(), weight: -1.25 }],
        question: Some("안녕하세요 [..]".to_owned()),
        ..Judged::default()
    };
    let json = to_json(&decision, &judged);
    assert_eq!((&json["task"], &json["would"]), (&json!("chat"), &Value::Null));
    assert_eq!(json["scored"]["decided_by"], "score");
    assert_eq!(json["scored"]["question"], "안녕하세요 [..]");
    assert_eq!(json["scored"]["reasons"], json!([{"feature": "words", "weight": -1.25}]));
    assert_eq!(json["plan"], json!(["gpt_4o_ptu", "gpt_4o_payg"]));
    assert_eq!(json["refusal"], Value::Null);
    let candidates = json["candidates"].as_array().unwrap();
    assert_eq!(candidates.len(), 3);
    assert_eq!(candidates[0]["cost_usd"], 0.0);
    assert_eq!(candidates[2]["excluded"], "model");
    let text = to_text(&decision, &judged);
    for part in [
        "question    안녕하세요 [..]",
        "-1.25  words",
        "gpt_4o_ptu -> gpt_4o_payg",
        "serves another model",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
}

#[test]
fn what_is_only_observed_is_told_beside_what_is_done() {
    let today = Day::try_from("2026-11-23").unwrap();
    let mut config = design_card::config(design_card::NOWHERE, today).unwrap().router;
    config.policy.mode = Mode::Observe(Task::Reasoning);
    let router = ModelRouter::new(&config, &Registry::new()).unwrap();
    let decision = router.route(&ChatCall::of_body(HELLO)).unwrap();
    let json = to_json(&decision, &Judged::default());
    assert_eq!((&json["task"], &json["would"]), (&json!("reasoning"), &json!("chat")));
    assert_eq!(json["models"], json!(["o1"]));
    let text = to_text(&decision, &Judged::default());
    assert!(text.contains("reasoning, as scores are only observed; would be chat, by"), "{text}");
}

#[test]
fn a_role_that_a_key_leaves_alone_is_not_told_as_the_scores() {
    let today = Day::try_from("2026-11-23").unwrap();
    let config = design_card::config(design_card::NOWHERE, today).unwrap().router;
    let router = ModelRouter::new(&config, &Registry::new()).unwrap();
    let mut call = ChatCall::of_body(HELLO);
    call.rights = Rights { role: Some(Task::Reasoning), ..Rights::default() }.into();
    let decision = router.route(&call).unwrap();
    let json = to_json(&decision, &Judged::default());
    assert_eq!(json["task"], "reasoning");
    assert_eq!(json["scored"]["decided_by"], "key");
    let text = to_text(&decision, &Judged::default());
    assert!(text.contains("the one role that this key may use; would be chat, by"), "{text}");
}

#[test]
fn a_refusal_is_told_with_its_reason() {
    let decision = decision(HELLO, Some(("x-router-residency", "geo:kr")));
    let json = to_json(&decision, &Judged::default());
    assert_eq!(json["plan"], json!([]));
    assert!(json["refusal"]["message"].as_str().unwrap().contains("geo:kr"), "{json}");
    assert!(to_text(&decision, &Judged::default()).contains("processes outside the residency"));
}

#[test]
fn what_was_not_scored_is_not_said_to_be() {
    let body = HELLO.replace("auto", "gpt-4o");
    let decision = decision(&body, None);
    let json = to_json(&decision, &Judged::default());
    assert_eq!((&json["scored"], &json["asked"]), (&Value::Null, &json!("model gpt-4o")));
    assert!(to_text(&decision, &Judged::default()).contains("not scored"));
}
