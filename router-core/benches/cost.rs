//! Counts the allocations of one request, and its instructions under
//! `valgrind --tool=callgrind`. `tests/cost/run.py` compares both with recorded figures.
//!
//! Reads lines from standard input: the name of a size and how many requests to make, such as `1 KB=100`. Prints a line for
//! each: the name, the allocations and the allocated bytes of one request.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a measurement that prints and fails"
)]

use std::alloc::System;
use std::io::stdin;

use bytes::Bytes;
use router_core::router::ChatCall;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[path = "support/in_memory.rs"]
mod in_memory;
mod support;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() {
    let router = in_memory::router();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    for line in stdin().lines() {
        let line = line.expect("a line");
        let (name, times) = line.split_once('=').expect("NAME=TIMES");
        let times: usize = times.parse().expect("a number");
        let size = support::SIZES.iter().find(|(known, _)| *known == name).expect("a known size").1;
        let body = Bytes::from(support::body(size));
        let ask = || {
            let call = ChatCall::of_body(body.clone());
            drop(runtime.block_on(router.chat(call)).expect("an answer"));
        };
        // The first ones fill caches and make metrics.
        (0..5).for_each(|_| ask());
        let region = Region::new(ALLOCATOR);
        (0..times).for_each(|_| ask());
        let change = region.change();
        let each = |count: usize| count / times.max(1);
        println!(
            "{name}: {} allocations, {} bytes",
            each(change.allocations),
            each(change.bytes_allocated)
        );
    }
}
