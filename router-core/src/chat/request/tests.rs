//! The fields that are read of a request, and the faults of malformed ones.

use super::*;

#[track_caller]
fn check(body: &str, field: &str, part: &str) {
    let fault = ChatRequest::parse(body.as_bytes()).unwrap_err();
    assert_eq!(fault.field, field, "{fault}");
    assert!(fault.problem.contains(part), "{fault}");
}

const SAID: &str = r#""messages":[{"role":"user","content":"x"}]"#;

#[test]
fn faults_name_the_field_and_what_was_expected() {
    check("", "body", "not valid JSON: EOF");
    check("{\"a\":1,", "body", "not valid JSON: EOF");
    check("[]", "body", "expected a JSON object");
    check("{\"a\":}", "a", "expected value");
    check("{}", "messages", "expected a list");
    check(r#"{"messages":[]}"#, "messages", "at least one");
    check(r#"{"messages":"geheim"}"#, "messages", "expected a sequence");
    check(r#"{"messages":[{"role":"user","content":"x"},{"content":"x"}]}"#, "messages[1]", "role");
    check(
        r#"{"messages":[{"role":"user","content":5}]}"#,
        "messages[0].content",
        "a list of parts",
    );
    check(
        r#"{"messages":[{"role":"user","content":[{"text":"x"}]}]}"#,
        "messages[0].content[0]",
        "type",
    );
    check(
        &format!(r#"{{{SAID},"stream":"yes"}}"#),
        "stream",
        "expected true, false or null, found a string",
    );
    check(&format!(r#"{{{SAID},"max_tokens":-1}}"#), "max_tokens", "found a negative number");
    check(&format!(r#"{{{SAID},"n":1.5}}"#), "n", "found a fraction");
    check(&format!(r#"{{{SAID},"tools":{{}}}}"#), "tools", "expected a list or null");
    for twice in [
        r#""model":"a","model":"b""#,
        r#""model":"a","mod\u0065l":"b""#,
        r#""x_own":1,"x_own":1"#,
        r#""messages":null"#,
    ] {
        check(&format!("{{{SAID},{twice}}}"), "body", "is given twice");
    }
    let many: Vec<String> = (0..100).map(|number| format!(r#""x{number}":0"#)).collect();
    let many = many.join(",");
    check(&format!(r#"{{{SAID},{many},"x7":0}}"#), "body", "`x7` is given twice");
    for (message, at) in [
        (r#"{"role":"user","content":"a","content":"b"}"#, ""),
        (r#"{"role":"user","tool_calls":[],"tool_calls":[{}]}"#, ""),
        (r#"{"role":"user","content":[{"type":"text","text":"a","text":"b"}]}"#, ".content[0]"),
    ] {
        let field = format!("messages[0]{at}");
        check(&format!(r#"{{"messages":[{message}]}}"#), &field, "is given twice");
    }
    for (field, value) in [
        ("stream_options", r#"{"include_usage":true,"include_usage":false}"#),
        ("response_format", r#"{"type":"text","type":"json_object"}"#),
    ] {
        check(&format!(r#"{{{SAID},"{field}":{value}}}"#), field, "a field in it twice");
    }
}

#[test]
fn faults_hold_no_text_of_a_message() {
    for body in [
        r#"{"messages":"geheim"}"#,
        r#"{"messages":["geheim"]}"#,
        r#"{"messages":[{"role":"user","content":[{"type":"text","text":["geheim"]}]}]}"#,
        r#"{"messages":[{"role":"user","content":["geheim \", expected"]}]}"#,
    ] {
        let fault = ChatRequest::parse(body.as_bytes()).unwrap_err();
        assert!(!fault.to_string().contains("geheim"), "{fault}");
    }
}

#[test]
fn nulls_are_absent_and_unknown_fields_stay() {
    let body = r#"{"model":null,"messages":[{"role":"assistant","content":null,"tool_calls":[{}]}],
            "tools":null,"stream":null,"x_own":{"a":[1.0]},"response_format":{"type":"json_schema"}}"#;
    let request = ChatRequest::parse(body.as_bytes()).unwrap();
    assert_eq!(request.model(), None);
    assert!(!request.stream() && !request.offers_tools());
    assert_eq!(request.raw("x_own"), Some(r#"{"a":[1.0]}"#));
    assert_eq!(request.response_format(), ResponseFormat::JsonSchema);
    assert!(request.messages()[0].calls_tools);
}

#[test]
fn texts_are_read_through_parts_and_escapes_in_both_languages() {
    let body = r#"{"messages":[{"role":"user","content":[
            {"type":"text","text":"\uc548\ub155"},{"type":"image_url","image_url":{"url":"x"}},
            {"type":"text","text":"Hi \"you\""}]}],"max_tokens":5,"max_completion_tokens":7}"#;
    let request = ChatRequest::parse(body.as_bytes()).unwrap();
    let texts: Vec<&str> = request.messages()[0].texts().collect();
    assert_eq!(texts, ["안녕", "Hi \"you\""]);
    assert_eq!(request.images(), 1);
    assert_eq!(request.max_output(), Some(Tokens(7)));
}

proptest::proptest! {
    #[test]
    fn no_input_panics(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        drop(ChatRequest::parse(&bytes));
    }

    #[test]
    fn no_cut_or_changed_request_panics(at in 0usize..150, byte in 0u8..) {
        let mut body = br#"{"model":"auto","messages":[{"role":"user","content":[{"type":"text","text":"\u00e9"}]}],"n":1,"stream":true}"#.to_vec();
        drop(ChatRequest::parse(&body[..at.min(body.len())]));
        let place = at % body.len();
        body[place] = byte;
        drop(ChatRequest::parse(&body));
    }
}
