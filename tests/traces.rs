//! Spans of requests as a collector receives them: one per request and a child per attempt, in the
//! caller's trace, with the decision and the result, without content. A slow, dead or refusing
//! collector costs only spans.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use azure_emulator::Step;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode as Told;
use prometheus::Registry;
use prost::Message as _;
use serde_json::{Value as Json, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::live_config::change;
use crate::support::{Answer, Bench, Layout, PATIENCE, logs, question};

const CALLER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// The requests that a collector got.
type Got = Arc<Mutex<Vec<(HeaderMap, ExportTraceServiceRequest)>>>;

/// A collector of traces; gone with the test.
#[derive(Debug)]
struct Collector {
    addr: SocketAddr,
    got: Got,
    serving: JoinHandle<()>,
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Collector {
    /// One that answers everything with this status.
    async fn start(status: StatusCode) -> Self {
        let got = Got::default();
        let take = async move |State(got): State<Got>, headers: HeaderMap, body: Bytes| {
            let request = ExportTraceServiceRequest::decode(body).unwrap();
            got.lock().unwrap_or_else(PoisonError::into_inner).push((headers, request));
            status
        };
        let app = axum::Router::new().route("/v1/traces", axum::routing::post(take));
        let app = app.with_state(Arc::clone(&got));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let serving = async move { axum::serve(listener, app).await.unwrap() };
        #[expect(
            clippy::disallowed_methods,
            reason = "the collector holds the handle and aborts it"
        )]
        let serving = tokio::spawn(serving);
        Self { addr, got, serving }
    }

    fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// A router that sends its spans here.
    fn before(&self, layout: Layout) -> Layout {
        layout.text("traces.endpoint", &self.url())
    }

    fn requests(&self) -> Vec<(HeaderMap, ExportTraceServiceRequest)> {
        self.got.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// All spans, the request's before those below it.
    fn spans(&self) -> Vec<Span> {
        let each = self.requests().into_iter().flat_map(|(_, request)| request.resource_spans);
        let scopes = each.flat_map(|resource| resource.scope_spans);
        scopes.flat_map(|scope| scope.spans).collect()
    }
}

/// Stops the router, with which the last spans are sent; the emulator's side is left.
async fn ended(bench: Bench) -> azure_emulator::Emulator {
    bench.server.stop().await;
    bench.emulator
}

fn plain(value: &AnyValue) -> Json {
    match value.value.as_ref().unwrap() {
        Value::StringValue(text) => json!(text),
        Value::BoolValue(truth) => json!(truth),
        Value::IntValue(number) => json!(number),
        Value::DoubleValue(number) => json!(number),
        Value::ArrayValue(array) => array.values.iter().map(plain).collect(),
        other @ (Value::KvlistValue(_) | Value::BytesValue(_) | Value::StringValueStrindex(_)) => {
            panic!("{other:?}")
        }
    }
}

fn told(attributes: &[KeyValue]) -> Json {
    attributes.iter().map(|one| (one.key.clone(), plain(one.value.as_ref().unwrap()))).collect()
}

/// The attributes of a span must hold these.
#[track_caller]
fn check(span: &Span, expected: &Json) {
    let all = told(&span.attributes);
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(all[name], *value, "{name} of {all:#}");
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// True where the status of a span is an error.
fn failed(span: &Span) -> bool {
    span.status.as_ref().is_some_and(|status| status.code() == Told::Error)
}

/// The metrics of spans.
fn counted(registry: &Registry, outcome: &str) -> f64 {
    let families = registry.gather();
    let family = families.iter().find(|one| one.name() == "model_router_trace_spans_total");
    let mut lines = family.unwrap().get_metric().iter();
    let line = lines.find(|line| line.get_label().iter().any(|label| label.value() == outcome));
    line.unwrap().get_counter().get_value()
}

/// A request that a full PTU refuses and pay-as-you-go serves: its spans, the caller's answer, and the emulator.
async fn fallen_back(collector: &Collector) -> ([Span; 3], Answer, azure_emulator::Emulator) {
    let bench = collector.before(Layout::pair()).start().await;
    bench.emulator.script("chat_ptu", Step::throttled_ms(5_000));
    let answer = bench.ask("chat", json!({"max_tokens": 9})).await;
    answer.assert_answered_by("chat_payg", false);
    let registry = bench.server.registry().clone();
    let emulator = ended(bench).await;
    let outcomes = ["exported", "failed", "dropped"].map(|outcome| counted(&registry, outcome));
    assert_eq!(outcomes.map(|count| count.to_string()), ["3", "0", "0"]);
    (collector.spans().try_into().unwrap(), answer, emulator)
}

#[tokio::test]
async fn a_fallback_is_one_span_of_the_request_and_one_below_it_for_each_attempt() {
    let collector = Collector::start(StatusCode::OK).await;
    let ([request, refused, served], _, emulator) = fallen_back(&collector).await;
    assert_eq!((request.kind(), request.name.as_str()), (SpanKind::Server, "chat"));
    assert!(request.parent_span_id.is_empty());
    for attempt in [&refused, &served] {
        assert_eq!((attempt.kind(), attempt.name.as_str()), (SpanKind::Client, "chat gpt-4o"));
        assert_eq!(attempt.trace_id, request.trace_id);
        assert_eq!(attempt.parent_span_id, request.span_id);
        assert!(request.start_time_unix_nano <= attempt.start_time_unix_nano);
        assert!(attempt.start_time_unix_nano <= attempt.end_time_unix_nano);
        assert!(attempt.end_time_unix_nano <= request.end_time_unix_nano);
    }
    assert!(refused.end_time_unix_nano <= served.start_time_unix_nano);
    assert_eq!([&request, &refused, &served].map(failed), [false, true, false]);
    // Each upstream got the id of its own attempt.
    for (deployment, attempt) in [("chat_ptu", refused), ("chat_payg", served)] {
        let heard = emulator.requests_to(deployment)[0].headers["traceparent"].clone();
        let (trace, span) = (hex(&attempt.trace_id), hex(&attempt.span_id));
        assert_eq!(heard, format!("00-{trace}-{span}-03").as_str());
    }
    let resource = collector.requests()[0].1.resource_spans[0].resource.clone().unwrap();
    assert_eq!(told(&resource.attributes)["service.name"], "model-router");
}

#[tokio::test]
async fn the_requests_span_says_what_was_decided_and_each_attempts_what_came_of_it() {
    let collector = Collector::start(StatusCode::OK).await;
    let ([request, refused, served], answer, emulator) = fallen_back(&collector).await;
    check(
        &request,
        &json!({
            "http.request.method": "POST",
            "http.response.status_code": 200,
            "error.type": null,
            "model_router.operation": "chat",
            "model_router.task": "chat",
            "model_router.residency": "global",
            "model_router.model": "gpt-4o",
            "model_router.deployment": "chat_payg",
            "model_router.billing": "pay_as_you_go",
            "model_router.first_deployment": "chat_ptu",
            "model_router.attempts": 2,
            "model_router.fallbacks": 1,
            "model_router.fallback": "throttled",
            "model_router.held_ms": 0.0,
        }),
    );
    assert!(told(&request.attributes)["model_router.cost_usd"].as_f64().unwrap() > 0.0);
    let (_, port) = emulator.url().rsplit_once(':').unwrap();
    for attempt in [&refused, &served] {
        let common = json!({
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "azure.ai.openai",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.request.max_tokens": 9,
            "server.address": "127.0.0.1",
            "server.port": port.parse::<u16>().unwrap(),
        });
        check(attempt, &common);
    }
    let expected = json!({
        "http.response.status_code": 429,
        "error.type": "throttled",
        "model_router.deployment": "chat_ptu",
        "model_router.billing": "provisioned",
        "model_router.throttle": "provisioned_full",
        "model_router.wait_ms": 5000.0,
    });
    check(&refused, &expected);
    let usage = &answer.json()["usage"];
    let expected = json!({
        "http.response.status_code": 200,
        "error.type": null,
        "model_router.deployment": "chat_payg",
        "gen_ai.response.model": answer.json()["model"],
        "gen_ai.usage.input_tokens": usage["prompt_tokens"],
        "gen_ai.usage.output_tokens": usage["completion_tokens"],
    });
    check(&served, &expected);
    // Tools add up what they find: tokens stand at the attempt that used them.
    for span in [&request, &refused] {
        check(span, &json!({"gen_ai.usage.input_tokens": null}));
    }
}

#[tokio::test]
async fn a_stream_lasts_until_its_last_byte_in_its_attempts_span_too() {
    let collector = Collector::start(StatusCode::OK).await;
    let bench = collector.before(Layout::pair()).start().await;
    let pause = Duration::from_millis(60);
    bench.emulator.script("chat_ptu", Step::normal().pause_after(2, pause));
    bench.ask("chat", json!({"stream": true})).await.assert_answered_by("chat_ptu", true);
    bench.emulator.script("chat_ptu", Step::normal().cut_after(3));
    bench.ask("chat", json!({"stream": true})).await;
    ended(bench).await;
    let spans = collector.spans();
    let [request, attempt, cut, cut_attempt] = spans.as_slice() else { panic!("{spans:#?}") };
    let nanos = attempt.end_time_unix_nano - attempt.start_time_unix_nano;
    assert!(Duration::from_nanos(nanos) >= pause, "{nanos}");
    assert_eq!(attempt.end_time_unix_nano, request.end_time_unix_nano);
    check(attempt, &json!({"gen_ai.request.stream": true, "http.response.status_code": 200}));
    let all = told(&attempt.attributes);
    let first = all["gen_ai.response.time_to_first_chunk"].as_f64().unwrap();
    assert!(first > 0.0 && first < Duration::from_nanos(nanos).as_secs_f64());
    assert!(all["gen_ai.usage.output_tokens"].as_i64().unwrap() > 0);
    for span in [cut, cut_attempt] {
        assert!(failed(span));
        check(span, &json!({"error.type": "stream_interrupted"}));
    }
}

#[tokio::test]
async fn a_traced_caller_is_the_parent_and_its_state_goes_on() {
    let collector = Collector::start(StatusCode::OK).await;
    // None of those that begin here is kept; a caller that is kept is.
    let bench = collector.before(Layout::pair()).set("traces.sample_ratio", 0).start().await;
    let body = question("chat", json!({}));
    let ask = bench.request(&body).header("traceparent", CALLER);
    let asked = ask.header("tracestate", "congo=t61rcWkgMzE").header("x-request-id", "abc");
    assert_eq!(Answer::of(asked).await.status, 200);
    bench.ask("chat", json!({})).await;
    let emulator = ended(bench).await;
    let spans = collector.spans();
    let [request, attempt] = spans.as_slice() else { panic!("{spans:#?}") };
    assert_eq!((hex(&request.trace_id).as_str(), hex(&attempt.trace_id).as_str()), (TRACE, TRACE));
    assert_eq!(hex(&request.parent_span_id), "00f067aa0ba902b7");
    assert_eq!(attempt.parent_span_id, request.span_id);
    check(request, &json!({"model_router.request_id": "abc"}));
    let heard = emulator.requests_to("chat_ptu");
    let own = format!("00-{TRACE}-{}-01", hex(&attempt.span_id));
    assert_eq!(heard[0].headers["traceparent"], own.as_str());
    assert_eq!(heard[0].headers["tracestate"], "congo=t61rcWkgMzE");
    // The flag that a trace is not recorded is forwarded as well.
    let other = heard[1].headers["traceparent"].to_str().unwrap();
    assert!(other.ends_with("-02") && !other.contains(TRACE), "{other}");
}

#[tokio::test]
async fn a_caller_that_is_not_kept_leaves_no_span_and_keeps_its_trace() {
    let collector = Collector::start(StatusCode::OK).await;
    let bench = collector.before(Layout::pair()).start().await;
    let unsampled = CALLER.replace("-01", "-00");
    let asked = bench.request(&question("chat", json!({}))).header("traceparent", &unsampled);
    assert_eq!(Answer::of(asked).await.status, 200);
    let emulator = ended(bench).await;
    assert_eq!(collector.spans(), []);
    let heard = emulator.requests_to("chat_ptu")[0].headers["traceparent"].clone();
    let heard = heard.to_str().unwrap();
    assert!(heard.starts_with(&format!("00-{TRACE}-")) && heard.ends_with("-00"), "{heard}");
}

#[tokio::test]
async fn a_refusal_is_a_span_with_its_status_and_nothing_below_it() {
    let collector = Collector::start(StatusCode::OK).await;
    let bench = collector.before(Layout::pair()).start().await;
    assert_eq!(bench.ask("no-such-model", json!({})).await.status, 404);
    bench.emulator.script("chat_ptu", Step::content_filter());
    assert_eq!(bench.ask("chat", json!({})).await.status, 400);
    ended(bench).await;
    let spans = collector.spans();
    let [unknown, filtered, attempt] = spans.as_slice() else { panic!("{spans:#?}") };
    assert!(failed(unknown) && failed(filtered) && failed(attempt));
    check(unknown, &json!({"http.response.status_code": 404, "error.type": "model_not_found"}));
    for span in [filtered, attempt] {
        check(span, &json!({"http.response.status_code": 400, "error.type": "rejected"}));
    }
    assert!(!format!("{spans:?}").contains("no-such-model"), "what a caller wrote");
}

#[tokio::test]
async fn no_content_and_no_secret_is_in_a_span_or_a_line_of_the_log() {
    logs::capture();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("authorization");
    std::fs::write(&file, "Bearer hidden-1f2e3d4c\n").unwrap();
    let collector = Collector::start(StatusCode::OK).await;
    let layout = collector
        .before(Layout::pair())
        .set("traces.headers.authorization", format_args!("{{ file = {file:?} }}"))
        .text("traces.service_name", "routers");
    let bench = layout.start().await;
    bench.emulator.script("chat_ptu", Step::normal().text("an unspeakable answer"));
    for model in ["chat", "auto"] {
        let mut body = question(model, json!({"user": "somebody-4711"}));
        body["messages"][0]["content"] = json!("an unspeakable question");
        assert_eq!(bench.chat(&body).await.status, 200);
    }
    ended(bench).await;
    let requests = collector.requests();
    assert_eq!(requests[0].0["authorization"], "Bearer hidden-1f2e3d4c");
    assert_eq!(requests[0].0["content-type"], "application/x-protobuf");
    let resource = requests[0].1.resource_spans[0].resource.clone().unwrap();
    assert_eq!(told(&resource.attributes)["service.name"], "routers");
    assert_eq!(collector.spans().len(), 4);
    let spans = format!("{:?}", collector.spans());
    for word in ["unspeakable", "hidden-1f2e3d4c", "somebody-4711"] {
        assert!(!spans.contains(word), "{word}");
        assert_eq!(logs::lines_with(word), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_collector_that_refuses_or_hangs_costs_spans_and_nothing_else() {
    let refusing = Collector::start(StatusCode::UNAUTHORIZED).await;
    let bench = refusing.before(Layout::pair()).start().await;
    assert_eq!(bench.ask("chat", json!({})).await.status, 200);
    let registry = bench.server.registry().clone();
    ended(bench).await;
    assert_eq!(counted(&registry, "failed").to_string(), "2");

    // It takes connections and says nothing.
    let hanging = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", hanging.local_addr().unwrap());
    let bench = Layout::pair().text("traces.endpoint", &url).start().await;
    for _ in 0..20 {
        assert_eq!(bench.ask("chat", json!({})).await.status, 200);
    }
    let began = Instant::now();
    ended(bench).await;
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
}

#[tokio::test]
async fn another_collector_needs_a_restart_and_a_reload_doubles_no_span() {
    let (collector, other) =
        (Collector::start(StatusCode::OK).await, Collector::start(StatusCode::OK).await);
    let layout = Layout::pair();
    let bench = collector.before(layout.clone()).start().await;
    change(&bench, &other.before(layout).set("routing.threshold", 0.9));
    let config = bench.get("/readyz?verbose").await.json()["config"].clone();
    assert_eq!(config["last_reload"]["needs_restart"], json!(["traces"]));
    assert_eq!(bench.ask("chat", json!({})).await.status, 200);
    ended(bench).await;
    assert_eq!((collector.spans().len(), other.spans().len()), (2, 0));
}
