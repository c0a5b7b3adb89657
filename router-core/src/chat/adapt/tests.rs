//! Changes of a request per model, field by field.

use serde_json::json;

use super::*;
use crate::model::Efforts;
use crate::model::InstructionRole;
use crate::model::Sampling;
use crate::model::sample;

const SAID: &str = r#""messages":[{"role":"system","content":"s"},{"role":"user","content":"u"}]"#;

/// A deployment that changes nothing beyond the record.
fn target(record: &ModelRecord) -> Target<'_> {
    Target {
        record,
        model_field: None,
        stream_options: true,
        effort: None,
        chosen: false,
        refused: &[],
        tight: None,
        service_tier: None,
        unreadable: &[],
        cache_key: None,
    }
}

#[track_caller]
fn check(record: &ModelRecord, fields: &str, expected: &Value, changed: &[&str]) -> Adapted {
    let body = format!("{{{SAID}{}{fields}}}", if fields.is_empty() { "" } else { "," });
    let request = ChatRequest::parse(body.as_bytes()).unwrap();
    let target = Target { effort: Some(Effort::Medium), ..target(record) };
    let adapted = adapt(&request, target);
    let mut actual: Value = serde_json::from_slice(&adapted.body).unwrap();
    actual.as_object_mut().unwrap().remove("messages");
    assert_eq!(&actual, expected);
    assert_eq!(adapted.changed, changed);
    adapted
}

#[test]
fn a_request_that_fits_stays_byte_for_byte() {
    let body =
        r#"{ "model":"gpt-4o" , "messages":[{"role":"user","content":"x"}],"temperature":0.20}"#;
    let request = ChatRequest::parse(body.as_bytes()).unwrap();
    let record = sample::record("gpt-4o");
    let target = Target { model_field: Some("gpt-4o"), ..target(&record) };
    assert_eq!(adapt(&request, target).body, body);
}

#[test]
fn a_chat_request_fits_a_reasoning_model() {
    let o1 = sample::record("o1");
    let wide = r#""max_tokens":100,"temperature":0.2,"top_p":1,"presence_penalty":0,"logit_bias":{"1":2},
            "stop":["x"],"parallel_tool_calls":true,"x_own":{"a":1.0}"#;
    let expected = json!({"max_completion_tokens":10_340,"x_own":{"a":1.0}});
    let changed = [
        "max_tokens",
        "max_completion_tokens",
        "temperature",
        "top_p",
        "presence_penalty",
        "logit_bias",
        "stop",
        "parallel_tool_calls",
    ];
    check(&o1, wide, &expected, &changed);
    check(&o1, r#""temperature":1.0"#, &json!({"temperature":1.0}), &[]);
    check(
        &o1,
        r#""temperature":null,"max_tokens":null"#,
        &json!({"temperature":null,"max_tokens":null}),
        &[],
    );
    check(&o1, r#""max_completion_tokens":300"#, &json!({"max_completion_tokens":300}), &[]);
    let most = r#""max_tokens":99000,"reasoning_effort":"high""#;
    let bounded = json!({"max_completion_tokens":100_000,"reasoning_effort":"high"});
    check(&o1, most, &bounded, &["max_tokens", "max_completion_tokens"]);
    check(
        &o1,
        r#""reasoning_effort":"xhigh""#,
        &json!({"reasoning_effort":"high"}),
        &["reasoning_effort"],
    );
    check(&o1, r#""reasoning_effort":"newest""#, &json!({"reasoning_effort":"newest"}), &[]);
}

#[test]
fn a_cap_that_was_meant_without_reasoning_gets_room_for_it() {
    let body = format!(r#"{{{SAID},"max_completion_tokens":300}}"#);
    let request = ChatRequest::parse(body.as_bytes()).unwrap();
    for (model, chosen, cap) in [("o1", true, 10_540), ("o1", false, 300), ("gpt-4o", true, 300)] {
        let record = sample::record(model);
        let target = Target { chosen, ..target(&record) };
        let adapted = adapt(&request, target);
        let sent: Value = serde_json::from_slice(&adapted.body).unwrap();
        assert_eq!(sent["max_completion_tokens"], cap, "{model} {chosen}");
        let told: &[&str] = if cap == 300 { &[] } else { &["max_completion_tokens"] };
        assert_eq!(adapted.changed, told, "{model} {chosen}");
        assert_eq!(changes(&request, target), (adapted.changed, false));
    }
}

#[test]
fn what_a_deployment_refused_before_is_left_out() {
    let gpt = sample::record("gpt-4o");
    let body = format!(r#"{{{SAID},"max_tokens":9,"seed":1,"stop":"x"}}"#);
    let request = ChatRequest::parse(body.as_bytes()).unwrap();
    let refused = &["max_tokens", "seed"];
    let target = Target { refused, ..target(&gpt) };
    let adapted = adapt(&request, target);
    let value: Value = serde_json::from_slice(&adapted.body).unwrap();
    assert_eq!((&value["max_completion_tokens"], &value["stop"]), (&json!(9), &json!("x")));
    assert!(value.get("max_tokens").is_none() && value.get("seed").is_none());
    assert_eq!(adapted.changed, ["max_tokens", "max_completion_tokens", "seed"]);
}

#[test]
fn a_tighter_cap_takes_the_callers_place_and_is_no_change() {
    for (model, given, expected, changed) in [
        ("gpt-4o", "", json!({"max_tokens":700}), 0),
        ("gpt-4o", r#","max_tokens":4096"#, json!({"max_tokens":700}), 0),
        ("gpt-4o", r#","max_completion_tokens":9"#, json!({"max_completion_tokens":700}), 0),
        ("o1", "", json!({"max_completion_tokens":700}), 0),
        ("o1", r#","max_tokens":4096"#, json!({"max_completion_tokens":700}), 2),
    ] {
        let record = sample::record(model);
        let body = format!("{{{SAID}{given}}}");
        let request = ChatRequest::parse(body.as_bytes()).unwrap();
        let tight = Some(Tokens(700));
        let target = Target { tight, ..target(&record) };
        let adapted = adapt(&request, target);
        let mut value: Value = serde_json::from_slice(&adapted.body).unwrap();
        value.as_object_mut().unwrap().remove("messages");
        assert_eq!(value, expected, "{model} {given}");
        assert_eq!(adapted.changed.len(), changed, "{model} {given}");
    }
}

#[test]
fn a_reasoning_request_fits_a_chat_model() {
    let gpt = sample::record("gpt-4o");
    check(&gpt, r#""reasoning_effort":"low""#, &json!({}), &["reasoning_effort"]);
    let capped = r#""max_completion_tokens":99999"#;
    check(&gpt, capped, &json!({"max_completion_tokens":16_384}), &["max_completion_tokens"]);
}

#[test]
fn a_model_whose_default_is_no_effort_gets_one() {
    let mut record = sample::record("o1");
    record.efforts = Some(Efforts {
        accepted: vec![Effort::None, Effort::Low, Effort::High],
        default: Effort::None,
        max_by_responses: false,
    });
    record.sampling = Sampling::FreeWithoutEffort;
    let changed = ["reasoning_effort", "temperature"];
    check(&record, r#""temperature":0.5"#, &json!({"reasoning_effort":"high"}), &changed);
    let none = r#""temperature":0.5,"reasoning_effort":"none""#;
    check(&record, none, &json!({"temperature":0.5,"reasoning_effort":"none"}), &[]);
}

#[test]
fn at_minimal_effort_there_are_no_parallel_tool_calls() {
    let mut record = sample::record("o1");
    record.abilities.parallel_tools = true;
    record.efforts = Some(Efforts {
        accepted: vec![Effort::Minimal, Effort::Low],
        default: Effort::Low,
        max_by_responses: false,
    });
    let low = r#""reasoning_effort":"low","parallel_tool_calls":false"#;
    let kept = json!({"reasoning_effort":"low","parallel_tool_calls":false});
    check(&record, low, &kept, &[]);
    let minimal = low.replace("low", "minimal");
    let expected = json!({"reasoning_effort":"minimal"});
    check(&record, &minimal, &expected, &["parallel_tool_calls"]);
}

#[test]
fn streams_ask_for_usage_or_are_streamed_on() {
    let gpt = sample::record("gpt-4o");
    let asked = json!({"stream":true,"stream_options":{"include_usage":true}});
    assert!(check(&gpt, r#""stream":true"#, &asked, &[]).withhold_usage);
    assert!(
        check(&gpt, r#""stream":true,"stream_options":{"include_usage":false}"#, &asked, &[])
            .withhold_usage
    );
    assert!(
        !check(&gpt, r#""stream":true,"stream_options":{"include_usage":true}"#, &asked, &[])
            .withhold_usage
    );
    let o1 = sample::record("o1");
    assert!(
        check(&o1, r#""stream":true,"stream_options":{"include_usage":true}"#, &json!({}), &[])
            .restream
    );
}

#[test]
fn roles_become_those_that_the_model_knows() {
    let roles = |instructions, body: &str| -> (String, usize) {
        let request = ChatRequest::parse(body.as_bytes()).unwrap();
        let record = ModelRecord { instructions, ..sample::record("gpt-4o") };
        let target = Target { stream_options: false, ..target(&record) };
        let adapted = adapt(&request, target);
        let value: Value = serde_json::from_slice(&adapted.body).unwrap();
        let words =
            value["messages"].as_array().unwrap().iter().map(|said| said["role"].as_str().unwrap());
        (words.collect::<Vec<_>>().join(" "), adapted.changed.len())
    };
    let mixed = r#"{"messages":[{"role":"system"},{"role":"developer"},{"role":"user"}]}"#;
    let system = r#"{"messages":[{"role":"system"},{"role":"user"}]}"#;
    assert_eq!(roles(InstructionRole::System, mixed), ("system system user".into(), 1));
    assert_eq!(roles(InstructionRole::Either, mixed), ("developer developer user".into(), 1));
    assert_eq!(roles(InstructionRole::User, mixed), ("user user user".into(), 1));
    assert_eq!(roles(InstructionRole::Either, system), ("system user".into(), 0));
}
