//! What the whole path costs without a network: parse, score, decide, splice, send in memory, account, metrics.
//! `cargo bench -p router-core --bench request`
#![expect(clippy::expect_used, reason = "a benchmark that cannot start shall say so and stop")]

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use http::{HeaderMap, HeaderValue, StatusCode};
use router_core::config::Config;
use router_core::fallback::Limits;
use router_core::router::{ChatCall, ModelRouter, rules_of};
use router_core::units::Day;
use router_core::upstream::{Attempt, Reply, Unreachable, Upstream};

mod support;

/// As in `router-server`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Answers at once with the same answer, by the model that these requests go to.
#[derive(Debug)]
struct InMemory;

const ANSWER: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-4o-2024-11-20",
    "choices":[{"index":0,"message":{"role":"assistant","content":"Because of the time zone."},
    "finish_reason":"stop"}],"usage":{"prompt_tokens":250,"completion_tokens":120,"total_tokens":370,
    "completion_tokens_details":{"reasoning_tokens":64},"prompt_tokens_details":{"cached_tokens":0}}}"#;

impl Upstream for InMemory {
    async fn send(&self, _attempt: Attempt) -> Result<Reply, Unreachable> {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        let body = futures_util::stream::iter([Ok(Bytes::from_static(ANSWER.as_bytes()))]);
        Ok(Reply { status: StatusCode::OK, headers, body: Box::pin(body) })
    }
}

fn requests(criterion: &mut Criterion) {
    let today = Day::try_from("2026-11-23").expect("a day");
    let config = Config::from_toml(support::CONFIG, today).expect("a good config");
    let rules = rules_of(&config).expect("the shipped scorer");
    let registry = prometheus::Registry::new();
    let router = ModelRouter::with_upstream(rules, Limits::default(), InMemory, &registry)
        .expect("a fresh registry");
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let mut group = criterion.benchmark_group("request");
    for (name, size) in support::SIZES {
        let body = Bytes::from(support::body(size));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let call = ChatCall::of_body(body.clone());
                let answer = runtime.block_on(router.chat(call)).expect("an answer");
                assert_eq!(answer.status, StatusCode::OK);
                answer
            });
        });
    }
    group.finish();
}

criterion_group!(benches, requests);
criterion_main!(benches);
