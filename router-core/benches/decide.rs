//! Measures a decision: parse, score, choose, order. `cargo bench -p router-core --bench decide`
#![expect(clippy::expect_used, reason = "a benchmark that cannot start shall say so and stop")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use router_core::capacity::Snapshot;
use router_core::chat::ChatRequest;
use router_core::config::Config;
use router_core::decision::{Ask, Moment, Ties, decide};
use router_core::policy::{Hints, Rights, Sender};
use router_core::units::Day;
use std::hint::black_box;
use tokio::time::Instant;

mod support;

/// As in `router-server`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn decisions(criterion: &mut Criterion) {
    let today = Day::try_from("2026-11-23").expect("a day");
    let config = Config::from_toml(support::CONFIG, today).expect("a good config");
    let rules = config.rules().expect("the shipped scorer");
    let (snapshot, hints) = (Snapshot::default(), Hints::default());
    let rights = Rights::default();
    let mut group = criterion.benchmark_group("decide");
    for (name, size) in support::SIZES {
        let body = support::body(size);
        group.throughput(Throughput::Bytes(u64::try_from(body.len()).unwrap_or_default()));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let request = ChatRequest::parse(black_box(body.as_bytes())).expect("a request");
                let ask = Ask {
                    request: &request,
                    path_model: None,
                    hints: &hints,
                    rights: &rights,
                    sender: Sender::default(),
                    ties: Ties::default(),
                };
                let moment = Moment { now: Instant::now(), today };
                decide(ask, &rules, &snapshot, moment).expect("a decision")
            });
        });
        group.bench_function(format!("parse only, {name}"), |bencher| {
            bencher.iter(|| ChatRequest::parse(black_box(body.as_bytes())).expect("a request"));
        });
    }
    group.finish();
}

criterion_group!(benches, decisions);
criterion_main!(benches);
