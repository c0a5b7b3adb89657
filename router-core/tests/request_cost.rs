//! Pins the allocations of one request and the size of its futures. Growth here costs every request.
//!
//! Allocations are counted with the crate `stats_alloc` around the system's allocator. `.ci/run instructions` counts the
//! instructions of the same path.

use std::alloc::System;

use bytes::Bytes;
use router_core::router::ChatCall;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[expect(
    clippy::expect_used,
    reason = "shared with the benchmarks, where a broken set-up ends the run"
)]
#[path = "../benches/support/in_memory.rs"]
mod in_memory;
#[path = "../benches/support/mod.rs"]
mod support;

#[global_allocator]
static COUNTED: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The recorded figures of a request of 1 KB, from its head to its whole answer, and of the future that a caller of the library
/// holds. Lower them when you have made a request cheaper.
const RECORDED: Cost = Cost { allocations: 60, bytes: 25087, future: 752 };

/// The cost of one request.
#[derive(Debug)]
struct Cost {
    allocations: usize,
    bytes: usize,
    future: usize,
}

// The only test of this program: allocations of a concurrent test would be counted too.
#[tokio::test]
async fn a_request_allocates_no_more_than_is_recorded() {
    let router = in_memory::router();
    let body = Bytes::from(support::body(support::SIZES[0].1));
    let call = || ChatCall::of_body(body.clone());
    // The first ones create metrics, learn and fill the buffers of their thread.
    for _ in 0..20 {
        router.chat(call()).await.unwrap();
    }
    let future = router.chat(call());
    let future_bytes = size_of_val(&future);
    let region = Region::new(COUNTED);
    let answer = future.await.unwrap();
    let change = region.change();
    assert_eq!(answer.status, http::StatusCode::OK);
    let cost = Cost {
        allocations: change.allocations + change.reallocations,
        bytes: change.bytes_allocated,
        future: future_bytes,
    };
    let within = cost.allocations <= RECORDED.allocations
        && cost.bytes <= RECORDED.bytes
        && cost.future <= RECORDED.future;
    assert!(within, "{cost:?}, recorded is {RECORDED:?}");
}
