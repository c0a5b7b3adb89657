//! The events of chat and Responses streams.

use super::*;

#[test]
fn events_of_the_responses_api_are_told_apart() {
    let begun = chunk(
        r#"{"type":"response.created","sequence_number":0,"response":{"id":"resp_1","model":"m","usage":null}}"#,
    );
    assert_eq!((begun.response_id.as_deref(), begun.model.as_deref()), (Some("resp_1"), Some("m")));
    assert!(!begun.content && begun.finish_reason.is_none());
    let said = chunk(r#"{"type":"response.output_text.delta","sequence_number":4,"delta":"안녕"}"#);
    assert_eq!((said.content, said.content_bytes, said.sequence), (true, 6, Some(4)));
    assert!(!chunk(r#"{"type":"response.output_item.added","item":{"type":"reasoning"}}"#).content);
    let end = chunk(
        r#"{"type":"response.completed","response":{"usage":{"input_tokens":3,"output_tokens":4,"input_tokens_details":{"cached_tokens":2}}}}"#,
    );
    assert_eq!(end.finish_reason.as_deref(), Some("response.completed"));
    assert_eq!(end.usage.map(|usage| (usage.prompt.0, usage.cached.0)), Some((3, 2)));
    for (data, code, status) in [
        (r#"{"type":"error","code":"server_error","message":"m"}"#, "server_error", Some(500)),
        (
            r#"{"type":"error","error":{"code":"rate_limit_exceeded"}}"#,
            "rate_limit_exceeded",
            Some(429),
        ),
        (
            r#"{"type":"response.failed","response":{"error":{"code":"server_error"}}}"#,
            "server_error",
            Some(500),
        ),
        (r#"{"type":"response.failed"}"#, "", None),
    ] {
        let reported = error(data);
        assert_eq!((&*reported.code, reported.status), (code, status), "{data}");
    }
    let failed = error(
        r#"{"type":"response.failed","response":{"error":{"code":"server_error"},"usage":{"input_tokens":3,"output_tokens":4}}}"#,
    );
    assert_eq!(failed.usage.map(|usage| usage.completion.0), Some(4));
    let flat = error(r#"{"type":"error","code":"invalid_prompt","message":"m","param":null}"#);
    let body: Value = serde_json::from_slice(&flat.body).unwrap();
    assert_eq!(body["error"]["message"], "m");
    assert_eq!(body["error"]["code"], "invalid_prompt");
}

#[track_caller]
fn error(data: &str) -> Reported {
    let event = Event::read(format!("event: x\ndata: {data}\n\n").as_bytes());
    let Event::Error(reported) = event else { panic!("{event:?}") };
    reported
}

#[track_caller]
fn chunk(data: &str) -> Chunk {
    let event = Event::read(format!("data: {data}\n\n").as_bytes());
    let Event::Chunk(chunk) = event else { panic!("{event:?}") };
    chunk
}

#[test]
fn chunks_are_told_apart() {
    let first = chunk(r#"{"id":"","choices":[],"model":"","prompt_filter_results":[]}"#);
    assert!(!first.content && !first.reports_usage && first.model.is_none());
    assert!(!chunk(r#"{"choices":[{"delta":{"role":"assistant","content":""}}]}"#).content);
    assert!(chunk(r#"{"choices":[{"delta":{"content":"안"}}]}"#).content);
    assert!(!chunk(r#"{"choices":[{"delta":{"tool_calls":[]}}]}"#).content);
    assert!(chunk(r#"{"choices":[{"delta":{"audio":{"data":"AA"}}}]}"#).content);
    let open = chunk(r#"{"choices":[{"delta":{"content":"x"},"finish_reason":""}]}"#);
    assert!(open.finish_reason.is_none() && open.finished == 0);
    let inside = chunk(r#"{"choices":[{"delta":{"finish_reason":"stop"}}]}"#);
    assert_eq!((inside.finish_reason.as_deref(), inside.finished), (Some("stop"), 1));
    for blank in ["{}", "\"\"", "false", "[]", "null"] {
        let good = format!(r#"{{"choices":[{{"delta":{{"content":"x"}}}}],"error":{blank}}}"#);
        assert!(chunk(&good).content, "{blank}");
    }
    error(r#"{"choices":[],"error":{"message":"m"}}"#);
    assert!(chunk(r#"{"choices":[{"delta":{"tool_calls":[{"index":0}]}}]}"#).content);
    assert!(!chunk(r#"{"choices":[{"content_filter_offsets":{"check_offset":1}}]}"#).content);
    let last = chunk(r#"{"choices":[{"delta":{},"finish_reason":"stop"}],"usage":null}"#);
    assert_eq!(last.finish_reason.as_deref(), Some("stop"));
    let usage = chunk(r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#);
    assert_eq!(usage.usage.map(|usage| usage.completion.0), Some(4));
    assert!(usage.reports_usage);
    // Nobody asked for it, whether or not it can be read.
    let odd = chunk(r#"{"choices":[],"usage":{"prompt_tokens":"many"}}"#);
    assert!(odd.reports_usage && odd.usage.is_none());
    assert!(!chunk(r#"{"choices":[],"usage":null,"prompt_filter_results":[]}"#).reports_usage);
}

#[test]
fn what_a_hosted_tool_does_is_content_and_an_announcement_is_not() {
    for (data, content) in [
        (r#"{"type":"response.created","response":{"id":"r","background":false}}"#, false),
        (r#"{"type":"response.created","response":{"id":"r","background":true}}"#, true),
        (r#"{"type":"response.queued","response":{"id":"r","background":true}}"#, true),
        (r#"{"type":"response.in_progress","response":{"id":"r"}}"#, false),
        (r#"{"type":"response.output_item.added","item":{"type":"message"}}"#, false),
        (r#"{"type":"response.output_item.added","item":{"type":"reasoning"}}"#, false),
        (r#"{"type":"response.output_item.added","item":{"type":"web_search_call"}}"#, true),
        (r#"{"type":"response.output_item.added","item":{"type":"mcp_call"}}"#, true),
        (r#"{"type":"response.content_part.added"}"#, false),
        (r#"{"type":"response.web_search_call.searching"}"#, true),
        (r#"{"type":"response.image_generation_call.partial_image"}"#, true),
        (r#"{"type":"response.something_new"}"#, true),
        (r#"{"type":"response.audio.delta","delta":"AA"}"#, true),
        (r#"{"type":"transcript.text.delta","delta":"a"}"#, true),
        (r#"{"type":"image_generation.partial_image"}"#, true),
    ] {
        assert_eq!(chunk(data).content, content, "{data}");
    }
    for (kind, ended, last) in [
        ("response.completed", true, true),
        ("response.incomplete", true, true),
        ("image_generation.completed", true, false),
        ("transcript.text.done", true, false),
        ("response.output_text.done", false, false),
    ] {
        let event = chunk(&format!(r#"{{"type":"{kind}","usage":{{"input_tokens":3}}}}"#));
        assert_eq!((event.finish_reason.is_some(), event.last), (ended, last), "{kind}");
        assert_eq!(event.usage.map(|usage| usage.prompt.0), Some(3));
    }
}

#[test]
fn content_may_be_a_list_of_parts() {
    let parts = chunk(r#"{"choices":[{"delta":{"content":[{"type":"text","text":"hi"}]}}]}"#);
    assert_eq!((parts.content, parts.content_bytes), (true, 2));
    assert!(!chunk(r#"{"choices":[{"delta":{"content":[]}}]}"#).content);
    assert!(chunk(r#"{"choices":[{"delta":{"content":[{"type":"thinking"}]}}]}"#).content);
}

#[test]
fn choices_are_told_apart_by_their_index() {
    let two = chunk(
        r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"},{"index":2,"delta":{}}]}"#,
    );
    assert_eq!((two.choices, two.finished), (0b101, 0b001));
    assert_eq!(chunk(r#"{"choices":[{"index":128,"delta":{}}]}"#).choices, 0);
}

#[test]
fn a_text_alone_is_an_error_too_and_what_is_no_object_is_foreign() {
    assert_eq!(error(r#"{"error":"no room"}"#).status, None);
    assert_eq!(Event::read(b"data: {\"choices\":[{]}\n\n"), Event::Malformed);
    for data in [
        "data: {\"choices\":7}\n\n",
        "data: ping\n\n",
        "data: 5\n\n",
        "data:\n\n",
        "data: [DON\n\n",
    ] {
        assert_eq!(Event::read(data.as_bytes()), Event::Foreign, "{data}");
    }
}

#[test]
fn data_over_several_lines_is_one() {
    assert_eq!(
        Event::read(b"event: x\ndata: {\"choices\":\ndata: []}\n\n"),
        Event::read(b"data:{\"choices\":[]}")
    );
}
