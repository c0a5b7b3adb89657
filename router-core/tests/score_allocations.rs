//! A score allocates its scratch buffer once, however long the text is, and nothing else.
//!
//! Allocations are counted with the crate `stats_alloc` around the system's allocator.

use std::alloc::System;

use router_core::chat::ChatRequest;
use router_core::task::{LinearScorer, Scorer};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static COUNTED: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

// One test in this program: a second one would run beside it and be counted too.
#[test]
fn one_buffer_and_nothing_else() {
    let scorer = LinearScorer::shipped().unwrap();
    for unit in ["Prove that it holds. ", "증명해 주세요. ", "```\nlet x = 1;\n```\n"] {
        for repeats in [1, 100, 10_000] {
            let text = unit.repeat(repeats);
            let body =
                serde_json::json!({"messages": [{"role": "user", "content": text}]}).to_string();
            let request = ChatRequest::parse(body.as_bytes()).unwrap();
            let region = Region::new(COUNTED);
            let score = scorer.score(&request);
            let change = region.change();
            assert_eq!(change.allocations, 1, "{unit:?} x {repeats}");
            assert_eq!(change.reallocations, 0, "{unit:?} x {repeats}");
            assert!(change.bytes_allocated < 16_000, "the buffer has a cap");
            assert!((0.0..=1.0).contains(&score.value()));
        }
    }
}
