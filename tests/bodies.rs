//! Every known error body of Azure and OpenAI, and its effect: the next deployment, or back to the
//! caller unchanged. Codes are strings, numbers or null; types may be null; fields may be missing.

use azure_emulator::Step;
use serde_json::json;

use crate::support::{Answer, Bench, Layout};

/// The effect of an error.
#[derive(Debug, Clone, Copy)]
enum Then {
    /// The next deployment answers; this is the cause reported to the caller.
    Next(&'static str),
    /// The same deployment answers, asked without this field.
    Without(&'static str),
    /// It goes back as it came.
    Back,
}

const FILTER: &str = r#"{"error":{"message":"The response was filtered due to the prompt triggering Azure OpenAI's content management policy.","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation","content_filter_result":{"hate":{"filtered":true,"severity":"high"},"jailbreak":{"detected":false,"filtered":false}}}}}"#;
const FILTER_TOO: &str = r#"{"error":{"message":"filtered","type":null,"param":"prompt","code":"content_filter","status":400,"inner_error":{"code":"ResponsibleAIPolicyViolation","content_filter_results":{"violence":{"filtered":true,"severity":"medium"}}}}}"#;

/// Status, body, and what becomes of it.
///
/// **Source:** Microsoft, "Manage Azure OpenAI quota", "Content filtering", "Provisioned throughput", "Model lifecycle"; issues
/// of the official clients for the wording of the rest.
const TABLE: [(u16, &str, Then); 33] = [
    // 429: quotas, capacity, size, flex, in all forms of the code.
    (
        429,
        r#"{"error":{"code":"429","message":"Requests to the ChatCompletions_Create Operation under Azure OpenAI API version 2024-10-21 have exceeded token rate limit of your current OpenAI S0 pricing tier. Please retry after 1 seconds."}}"#,
        Then::Next("throttled"),
    ),
    (
        429,
        r#"{"error":{"code":"429","message":"Requests have exceeded call rate limit of your current AIServices S0 pricing tier. Please retry after 1 seconds."}}"#,
        Then::Next("throttled"),
    ),
    (
        429,
        r#"{"error":{"code":"RateLimitReached","message":"Your requests to gpt-4o for gpt-4o in koreacentral have exceeded the token rate limit for your current tier. Please retry after 1 seconds."}}"#,
        Then::Next("throttled"),
    ),
    (
        429,
        r#"{"error":{"code":429,"message":"The service is temporarily unable to process your request. Please try again later."}}"#,
        Then::Next("throttled"),
    ),
    (
        429,
        r#"{"error":{"code":null,"type":null,"message":"System is experiencing high demand and cannot process your request."}}"#,
        Then::Next("throttled"),
    ),
    (
        429,
        r#"{"error":{"code":"429","message":"Your request exceeds the maximum usage size allowed during peak load. Please retry after 1 seconds or reduce it."}}"#,
        Then::Next("throttled"),
    ),
    (
        429,
        r#"{"error":{"message":"Rate limit reached for gpt-4o in organization org on tokens per min (TPM): Limit 30000, Used 29000, Requested 2000. Please try again in 2s.","type":"tokens","param":null,"code":"rate_limit_exceeded"}}"#,
        Then::Next("throttled"),
    ),
    (
        429,
        r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#,
        Then::Next("throttled"),
    ),
    (429, r#"{"message":"too many requests"}"#, Then::Next("throttled")),
    (429, "", Then::Next("throttled")),
    (429, "<html>slow down</html>", Then::Next("throttled")),
    // 401, 403, 404, 410: this deployment, not the request.
    (
        401,
        r#"{"error":{"code":"401","message":"Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key."}}"#,
        Then::Next("misconfigured"),
    ),
    (
        401,
        r#"{"error":{"code":"PermissionDenied","message":"The principal `p` lacks the required data action `Microsoft.CognitiveServices/accounts/OpenAI/deployments/chat/completions/action` to perform `POST`."}}"#,
        Then::Next("misconfigured"),
    ),
    (
        401,
        r#"{"statusCode":401,"message":"Unauthorized. Access token is missing, invalid or expired."}"#,
        Then::Next("misconfigured"),
    ),
    (
        403,
        r#"{"error":{"code":"403","message":"Access denied due to Virtual Network/Firewall rules."}}"#,
        Then::Next("misconfigured"),
    ),
    (
        403,
        r#"{"error":{"code":"403","message":"Your resource has been temporarily blocked."}}"#,
        Then::Next("misconfigured"),
    ),
    (
        404,
        r#"{"error":{"code":"DeploymentNotFound","message":"The API deployment for this resource does not exist."}}"#,
        Then::Next("misconfigured"),
    ),
    (
        404,
        r#"{"error":{"code":"404","message":"Resource not found"}}"#,
        Then::Next("misconfigured"),
    ),
    (
        410,
        r#"{"error":{"code":"ModelDeprecated","message":"The model has been retired."}}"#,
        Then::Next("retired"),
    ),
    // Faults.
    (
        408,
        r#"{"error":{"code":"Timeout","message":"The operation was timeout."}}"#,
        Then::Next("status_5xx"),
    ),
    (
        500,
        r#"{"error":{"message":"The server had an error while processing your request. Sorry about that! (Please include the request ID req-1 in your email.)","type":"server_error","param":null,"code":null}}"#,
        Then::Next("status_5xx"),
    ),
    (
        503,
        r#"{"error":{"message":"The server had an error while processing your request.","type":"server_error","param":null,"code":"503"}}"#,
        Then::Next("status_5xx"),
    ),
    (503, "upstream connect error or disconnect/reset before headers", Then::Next("status_5xx")),
    (
        529,
        r#"{"error":{"message":"That model is currently overloaded with other requests.","type":"server_error"}}"#,
        Then::Next("status_5xx"),
    ),
    // 400: a field of the deployment's, or the caller's own.
    (
        400,
        r#"{"error":{"message":"Unsupported parameter: 'user' is not supported with this model.","type":"invalid_request_error","param":"user","code":"unsupported_parameter"}}"#,
        Then::Without("user"),
    ),
    (
        400,
        r#"{"error":{"message":"Unsupported value: 'user' does not support x.","type":"invalid_request_error","param":"user","code":"unsupported_value"}}"#,
        Then::Without("user"),
    ),
    (
        400,
        r#"{"error":{"message":"Unrecognized request argument supplied: user","type":"invalid_request_error","param":"user","code":null}}"#,
        Then::Without("user"),
    ),
    (400, FILTER, Then::Back),
    (400, FILTER_TOO, Then::Back),
    (
        400,
        r#"{"error":{"message":"This model's maximum context length is 128000 tokens.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#,
        Then::Back,
    ),
    (400, r#"{"error":{"code":400,"message":null,"type":null,"param":null}}"#, Then::Back),
    (422, r#"{"detail":[{"loc":["body"],"msg":"field required"}]}"#, Then::Back),
    (431, r#"{"error":{"code":"431","message":"Request header fields too large"}}"#, Then::Back),
];

/// The form of a request.
#[derive(Debug, Clone, Copy)]
enum Form {
    Chat,
    Stream,
    Responses,
}

async fn ask(bench: &Bench, form: Form) -> Answer {
    match form {
        Form::Chat => bench.ask("chat", json!({"user": "someone"})).await,
        Form::Stream => bench.ask("chat", json!({"user": "someone", "stream": true})).await,
        Form::Responses => {
            let body = json!({"model": "chat", "input": "Say hello.", "user": "someone"});
            Answer::of(bench.client.post(bench.url("/v1/responses")).json(&body)).await
        }
    }
}

#[track_caller]
fn assert_answered(answer: &Answer, deployment: &str, form: Form) {
    match form {
        Form::Chat => answer.assert_answered_by(deployment, false),
        Form::Stream => answer.assert_answered_by(deployment, true),
        Form::Responses => {
            assert_eq!((answer.status, answer.deployment()), (200, Some(deployment)), "{answer:?}");
            assert_eq!(answer.json()["status"], "completed", "{answer:?}");
        }
    }
}

#[tokio::test]
async fn every_known_error_body_is_read() {
    for (status, body, then) in TABLE {
        for form in [Form::Chat, Form::Stream, Form::Responses] {
            let layout = Layout::pair().text("endpoints.azure.api_version", "2025-04-01-preview");
            let bench = layout.start().await;
            bench.emulator.script("chat_ptu", Step::answer(status, [], body));
            let answer = ask(&bench, form).await;
            let what = format!("{status} {body} {form:?} {answer:?}");
            match then {
                Then::Next(cause) => {
                    assert_answered(&answer, "chat_payg", form);
                    assert_eq!(answer.header("x-router-fallback"), Some(cause), "{what}");
                    assert_eq!(bench.counts(["chat_ptu", "chat_payg"]), [1, 1], "{what}");
                }
                Then::Without(field) => {
                    assert_answered(&answer, "chat_ptu", form);
                    assert_eq!(answer.header("x-router-adapted"), Some(field), "{what}");
                    assert_eq!(bench.counts(["chat_ptu", "chat_payg"]), [2, 0], "{what}");
                }
                Then::Back => {
                    assert_eq!((answer.status, answer.text.as_str()), (status, body), "{what}");
                    assert_eq!(bench.counts(["chat_ptu", "chat_payg"]), [1, 0], "{what}");
                }
            }
        }
    }
}

/// Errors that come where an answer was awaited, in a 200, and what becomes of them.
const REPORTED: [(&str, Then); 12] = [
    (
        r#"{"message":"This model's maximum context length is 128000 tokens.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}"#,
        Then::Back,
    ),
    (
        r#"{"message":"filtered","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation"}}"#,
        Then::Back,
    ),
    (r#"{"message":"m","code":"invalid_prompt"}"#, Then::Back),
    (r#"{"message":"m","type":"invalid_request_error","param":null,"code":null}"#, Then::Back),
    (r#"{"message":"m","code":"400"}"#, Then::Back),
    (
        r#"{"message":"m","type":"invalid_request_error","param":"user","code":"unsupported_parameter"}"#,
        Then::Without("user"),
    ),
    (r#"{"message":"m","code":429}"#, Then::Next("throttled")),
    (r#"{"message":"m","code":"rate_limit_exceeded"}"#, Then::Next("throttled")),
    (
        r#"{"message":"m","type":"invalid_request_error","code":"invalid_api_key"}"#,
        Then::Next("misconfigured"),
    ),
    (r#"{"message":"m","type":"server_error","code":null}"#, Then::Next("error_event")),
    (r#"{"message":"m","code":"unheard_of"}"#, Then::Next("error_event")),
    (r#""out of room""#, Then::Next("error_event")),
];

#[tokio::test]
async fn an_error_in_place_of_an_answer_is_judged_as_its_status_would_be() {
    for (error, then) in REPORTED {
        for form in [Form::Chat, Form::Stream, Form::Responses] {
            let layout = Layout::pair().text("endpoints.azure.api_version", "2025-04-01-preview");
            let bench = layout.start().await;
            let (kind, body) = match form {
                Form::Stream => ("text/event-stream", format!("data: {{\"error\":{error}}}\n\n")),
                Form::Chat | Form::Responses => {
                    ("application/json", format!("{{\"error\":{error}}}"))
                }
            };
            let headers = [("content-type", kind), ("x-ratelimit-reset-tokens", "50")];
            bench.emulator.script("chat_ptu", Step::answer(200, headers, body));
            let answer = ask(&bench, form).await;
            let what = format!("{error} {form:?} {answer:?}");
            match then {
                Then::Next(cause) => {
                    assert_answered(&answer, "chat_payg", form);
                    assert_eq!(answer.header("x-router-fallback"), Some(cause), "{what}");
                }
                Then::Without(field) => {
                    assert_answered(&answer, "chat_ptu", form);
                    assert_eq!(answer.header("x-router-adapted"), Some(field), "{what}");
                }
                Then::Back => {
                    assert_eq!(answer.status, 400, "{what}");
                    assert_eq!(answer.header("content-type"), Some("application/json"), "{what}");
                    let error: serde_json::Value = serde_json::from_str(error).unwrap();
                    assert_eq!(answer.json()["error"], error, "{what}");
                    assert_eq!(bench.counts(["chat_ptu", "chat_payg"]), [1, 0], "{what}");
                    // It is no fault of the deployment: the next request goes there again.
                    assert_answered(&ask(&bench, form).await, "chat_ptu", form);
                }
            }
        }
    }
}
