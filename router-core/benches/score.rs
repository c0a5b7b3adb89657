//! Measures the scoring of prompts of 1, 10 and 100 KB in English, Korean and code, on one core.
#![expect(clippy::expect_used, reason = "a benchmark stops where its input is wrong")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use router_core::chat::ChatRequest;
use router_core::task::{LinearScorer, Scorer};

/// As in `router-server`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ENGLISH: &str = "The committee met on Tuesday to talk about the new library, and most of the members agreed \
    that the reading room should stay open later. Please work out how many staff hours that adds in 52 weeks. ";
const KOREAN: &str = "위원회는 화요일에 모여 새 도서관에 대해 이야기했고, 대부분 열람실을 더 늦게까지 열자는 데 동의했다. \
    52주 동안 직원 근무 시간이 몇 시간 늘어나는지 계산해 주세요. ";
const CODE: &str = "fn merge(mut left: Vec<u32>, right: &[u32]) -> Vec<u32> {\n    left.extend(right);\n    \
    left.sort_unstable();\n    left\n}\n";

/// The start of a text, at most so many bytes.
fn cut(text: &str, size: usize) -> &str {
    let end = (0..=size).rev().find(|&at| text.is_char_boundary(at)).unwrap_or_default();
    text.get(..end).unwrap_or_default()
}

fn scores(criterion: &mut Criterion) {
    let scorer = LinearScorer::shipped().expect("the shipped model loads");
    let mut group = criterion.benchmark_group("score");
    for (name, unit) in [("english", ENGLISH), ("korean", KOREAN), ("code", CODE)] {
        for size in [1_000, 10_000, 100_000] {
            let text = cut(&unit.repeat(size / unit.len() + 1), size).to_owned();
            let body =
                serde_json::json!({"messages": [{"role": "user", "content": text}]}).to_string();
            let request = ChatRequest::parse(body.as_bytes()).expect("the body is a request");
            group.bench_with_input(BenchmarkId::new(name, size), &request, |bencher, request| {
                bencher.iter(|| scorer.score(black_box(request)));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, scores);
criterion_main!(benches);
