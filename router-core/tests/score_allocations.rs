//! A thread allocates its scratch buffers at its first score. No later score allocates, however long the text is.
//!
//! Allocations are counted with the crate `stats_alloc` around the system's allocator.

use std::alloc::System;

use router_core::chat::ChatRequest;
use router_core::task::{LinearScorer, Scorer};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static COUNTED: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

// One test in this program: a second one would run at the same time and be counted too.
#[test]
fn the_buffers_of_a_thread_and_nothing_else() {
    let scorer = LinearScorer::shipped().unwrap();
    let body = serde_json::json!({"messages": [{"role": "user", "content": "Hello"}]}).to_string();
    let request = ChatRequest::parse(body.as_bytes()).unwrap();
    let region = Region::new(COUNTED);
    scorer.score(&request);
    let first = region.change();
    assert_eq!((first.allocations, first.reallocations), (3, 0), "letters, words, segments");
    assert!(first.bytes_allocated < 64_000, "the buffers have a cap: {}", first.bytes_allocated);
    for unit in ["Prove that it holds. ", "증명해 주세요. ", "```\nlet x = 1;\n```\n"] {
        for repeats in [1, 100, 10_000] {
            let text = unit.repeat(repeats);
            let body =
                serde_json::json!({"messages": [{"role": "user", "content": text}]}).to_string();
            let request = ChatRequest::parse(body.as_bytes()).unwrap();
            let region = Region::new(COUNTED);
            let score = scorer.score(&request);
            let change = region.change();
            assert_eq!(change.allocations, 0, "{unit:?} x {repeats}");
            assert_eq!(change.reallocations, 0, "{unit:?} x {repeats}");
            assert!((0.0..=1.0).contains(&score.value()));
        }
    }
}
