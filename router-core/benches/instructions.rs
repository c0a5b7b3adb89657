//! Sends a number of requests along the whole path with the upstream in memory, for a tool that counts instructions.
//!
//! No two bodies are the same: their first sentences differ by a word. `.ci/run instructions` runs it twice under callgrind with
//! different numbers; the difference is what requests cost, without the start. An instruction count does not depend on how busy
//! the machine is.
//!
//! `cargo bench -p router-core --profile release --bench instructions -- BYTES REQUESTS`
#![expect(clippy::expect_used, reason = "a benchmark that cannot start shall say so and stop")]

use bytes::Bytes;
use http::StatusCode;
use router_core::router::ChatCall;

#[path = "support/in_memory.rs"]
mod in_memory;
mod support;

/// As in `router-server`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let words = std::env::args().skip(1).filter(|word| word != "--bench");
    let numbers: Vec<usize> = words.map(|word| word.parse().expect("a number")).collect();
    let [(_, small), ..] = support::SIZES;
    let (size, times) = match numbers.as_slice() {
        [] => (small, 1),
        [size] => (*size, 1),
        [size, times, ..] => (*size, *times),
    };
    let first = support::body(size);
    let router = in_memory::router();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    for number in 0..times {
        let call = ChatCall::of_body(numbered(&first, number));
        let answer = runtime.block_on(router.chat(call)).expect("an answer");
        assert_eq!(answer.status, StatusCode::OK);
    }
}

/// The body with a word of its own for each number, so that no text as a whole comes again.
fn numbered(body: &str, number: usize) -> Bytes {
    let at = body.find(support::WORD).expect("the word");
    let mut bytes = body.as_bytes().to_vec();
    let mut left = number;
    for place in bytes.iter_mut().skip(at).take(support::WORD.len()) {
        *place = b'a' + u8::try_from(left % 26).expect("a letter");
        left /= 26;
    }
    bytes.into()
}
