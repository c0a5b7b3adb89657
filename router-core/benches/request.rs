//! Measures the whole path without a network: parse, score, decide, splice, send in memory, account, metrics.
//! `cargo bench -p router-core --bench request`
#![expect(clippy::expect_used, reason = "a benchmark that cannot start shall say so and stop")]

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use http::StatusCode;
use router_core::router::ChatCall;

#[path = "support/in_memory.rs"]
mod in_memory;
mod support;

/// As in `router-server`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn requests(criterion: &mut Criterion) {
    let router = in_memory::router();
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
