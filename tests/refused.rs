//! 400 and similar: an error that the request causes goes back byte for byte; one that the
//! deployment causes is repaired once, or goes to a larger window.

use azure_emulator::Step;
use http::HeaderMap;
use serde_json::json;

use crate::support::Layout;

#[tokio::test]
async fn the_callers_own_faults_go_back_byte_for_byte() {
    // Odd spacing and an unknown field: nothing of the body is rewritten.
    let odd = |code: &str| {
        format!("{{ \"error\" : {{\"code\":\"{code}\",  \"message\":\"그대로\", \"x\": 1e0}} }}\n")
    };
    let filter = r#"{"error":{"message":"filtered","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation"}}}"#;
    for (status, body) in [
        (400, filter.to_owned()),
        (400, odd("invalid_value")),
        (400, "not json".to_owned()),
        (413, odd("too_large")),
        (422, odd("unprocessable")),
        // A file or an item that the request names; the deployment is there.
        (404, r#"{"error":{"message":"No such file","param":"messages"}}"#.to_owned()),
    ] {
        for streamed in [false, true] {
            let bench = Layout::pair().start().await;
            bench
                .emulator
                .script("chat_ptu", Step::answer(status, [("x-request-id", "up-1")], body.clone()));
            let answer = bench.ask_in_form("chat", streamed).await;
            assert_eq!((answer.status, &answer.text), (status, &body));
            assert_eq!(answer.deployment(), Some("chat_ptu"), "{answer:?}");
            assert_eq!(bench.counts(["chat_ptu", "chat_payg"]), [1, 0], "{body}");
            // It is no fault of the deployment: the next request goes there again.
            bench.ask_in_form("chat", streamed).await.assert_answered_by("chat_ptu", streamed);
        }
    }
}

#[tokio::test]
async fn a_real_content_filter_body_passes_whole() {
    let bench = Layout::pair().start().await;
    bench.emulator.script("chat_ptu", Step::content_filter());
    let answer = bench.ask("chat", json!({})).await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "content_filter"));
    let inner = &answer.json()["error"]["innererror"]["content_filter_result"];
    assert_eq!(inner["violence"]["filtered"], true, "{answer:?}");
}

#[tokio::test]
async fn a_parameter_that_is_refused_is_left_out_once_at_the_same_deployment_and_remembered() {
    for streamed in [false, true] {
        let bench = Layout::pair().start().await;
        bench.emulator.script("chat_ptu", Step::unsupported_parameter("temperature"));
        let more = || json!({"temperature": 0.5, "stream": streamed});
        let first = bench.ask("chat", more()).await;
        first.assert_answered_by("chat_ptu", streamed);
        assert_eq!(first.header("x-router-adapted"), Some("temperature"));
        assert_eq!(first.header("x-router-attempts"), Some("2"));
        let second = bench.ask("chat", more()).await;
        second.assert_answered_by("chat_ptu", streamed);
        assert_eq!(second.header("x-router-attempts"), Some("1"), "it is remembered");
        let asked = bench.asked("chat_ptu");
        let temperatures: Vec<bool> =
            asked.iter().map(|entry| entry.json().unwrap().get("temperature").is_some()).collect();
        assert_eq!(temperatures, [true, false, false]);
        assert_eq!(bench.counts(["chat_payg"]), [0]);
    }
}

#[tokio::test]
async fn a_value_that_is_refused_is_left_out_for_this_request_alone() {
    let bench = Layout::pair().start().await;
    let body = r#"{"error":{"message":"no","code":"unsupported_value","param":"temperature"}}"#;
    bench.emulator.script("chat_ptu", Step::answer(400, [], body));
    let first = bench.ask("chat", json!({"temperature": 0.2})).await;
    first.assert_answered_by("chat_ptu", false);
    assert_eq!(first.header("x-router-adapted"), Some("temperature"));
    let second = bench.ask("chat", json!({"temperature": 0.7})).await;
    second.assert_answered_by("chat_ptu", false);
    assert_eq!(second.header("x-router-adapted"), None, "another value may be welcome");
    let last = bench.asked("chat_ptu").pop().unwrap().json().unwrap();
    assert_eq!(last["temperature"], 0.7);
}

#[tokio::test]
async fn a_cap_that_is_refused_by_its_newer_name_goes_by_the_older() {
    let bench = Layout::pair().start().await;
    bench.emulator.script("chat_ptu", Step::unsupported_parameter("max_completion_tokens"));
    let answer = bench.ask("chat", json!({"max_completion_tokens": 50})).await;
    answer.assert_answered_by("chat_ptu", false);
    let last = bench.asked("chat_ptu").pop().unwrap().json().unwrap();
    assert_eq!((&last["max_tokens"], last.get("max_completion_tokens")), (&json!(50), None));
}

#[tokio::test]
async fn a_parameter_that_stays_refused_goes_back_instead_of_going_round() {
    let bench = Layout::pair().start().await;
    bench.emulator.script("chat_ptu", Step::unsupported_parameter("temperature").forever());
    let answer = bench.ask("chat", json!({"temperature": 0.5})).await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "unsupported_parameter"));
    assert_eq!(bench.counts(["chat_ptu", "chat_payg"]), [2, 0]);
}

#[tokio::test]
async fn a_prompt_that_is_too_long_goes_where_the_window_is_larger_else_back_as_it_came() {
    // gpt-4.1 takes a million tokens; gpt-4o's second deployment would say the same as the first.
    let layout = Layout::pair()
        .payg("long_payg", "gpt-4.1")
        .set("roles.chat.models", r#"["gpt-4o", "gpt-4.1"]"#);
    let event = "data: {\"error\":{\"code\":\"context_length_exceeded\",\"message\":\"m\"}}\n\n";
    let event = Step::answer(200, [("content-type", "text/event-stream")], event);
    for (streamed, step) in
        [(false, Step::context_length()), (true, Step::context_length()), (true, event)]
    {
        let bench = layout.clone().start().await;
        bench.emulator.script("chat_ptu", step);
        let answer = bench.ask_in_form("chat", streamed).await;
        answer.assert_answered_by("long_payg", streamed);
        assert_eq!(answer.header("x-router-fallback"), Some("context_length"));
        assert_eq!(bench.counts(["chat_ptu", "chat_payg", "long_payg"]), [1, 0, 1]);
    }
    let bench = Layout::pair().start().await;
    bench.emulator.script("chat_ptu", Step::context_length());
    let answer = bench.ask_in_form("chat", false).await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "context_length_exceeded"));
    assert!(answer.json()["error"]["message"].as_str().unwrap().contains("maximum context length"));
    assert_eq!(bench.counts(["chat_ptu", "chat_payg"]), [1, 0]);
}

#[tokio::test]
async fn at_most_ten_headers_beside_the_standard_ones_go_to_an_upstream() {
    let bench = Layout::pair().start().await;
    let mut headers = HeaderMap::new();
    for number in 0..30 {
        let name = http::HeaderName::try_from(format!("x-own-{number}")).unwrap();
        headers.insert(name, "1".parse().unwrap());
    }
    headers.insert(
        "traceparent",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap(),
    );
    headers.insert("authorization", "Bearer of-the-caller".parse().unwrap());
    headers.insert("api-key", "of-the-caller".parse().unwrap());
    let body = crate::support::question("chat", json!({}));
    let answer = crate::support::Answer::of(bench.request(&body).headers(headers)).await;
    answer.assert_answered_by("chat_ptu", false);
    let asked = bench.asked("chat_ptu");
    let sent = &asked[0].headers;
    assert!(sent.contains_key("traceparent"), "the trace goes on: {sent:?}");
    assert!(!sent.contains_key("authorization") && !sent.contains_key("api-key"), "{sent:?}");
    let standard =
        ["host", "accept", "content-type", "content-length", "user-agent", "accept-encoding"];
    let others = sent.keys().filter(|name| !standard.contains(&name.as_str())).count();
    assert!(others <= 10, "{sent:?}");
}
