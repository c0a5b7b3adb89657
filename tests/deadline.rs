//! One deadline for all attempts of a request. The official clients send theirs, and ours is never
//! longer.

use std::time::Duration;

use azure_emulator::Step;
use serde_json::json;
use tokio::time::Instant;

use crate::support::memory::{Canned, InMemory};
use crate::support::{Answer, Layout, PATIENCE, question};

#[tokio::test]
async fn a_clients_own_timeout_ends_all_attempts_and_a_strange_one_is_ignored() {
    for streamed in [false, true] {
        let bench = Layout::pair().start().await;
        for deployment in ["chat_ptu", "chat_payg"] {
            bench.emulator.script(deployment, Step::hang().forever());
        }
        let began = Instant::now();
        let request = bench.request(&question("chat", json!({"stream": streamed})));
        let answer = Answer::of(request.header("x-stainless-read-timeout", "0.4")).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (504, "upstream_timeout"),
            "{answer:?}"
        );
        let took = began.elapsed();
        assert!((Duration::from_millis(400)..PATIENCE).contains(&took), "{took:?}");
        assert_eq!(bench.counts(["chat_ptu", "chat_payg"]), [1, 0], "no time is left for another");
        bench.emulator.clear_script("chat_ptu");
        bench.emulator.clear_script("chat_payg");
        let request = bench.request(&question("chat", json!({"stream": streamed})));
        let answer = Answer::of(request.header("x-stainless-read-timeout", "not a number")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

#[tokio::test]
async fn a_longer_timeout_does_not_stretch_ours() {
    let bench = Layout::pair().set("limits.deadline_ms", 400).set("limits.connect_timeout_ms", 300);
    let bench = bench.start().await;
    bench.emulator.script("chat_ptu", Step::hang().forever());
    let began = Instant::now();
    let request = bench.request(&question("chat", json!({})));
    let answer = Answer::of(request.header("x-stainless-read-timeout", "600")).await;
    assert_eq!(answer.status, 504, "{answer:?}");
    assert!(began.elapsed() >= Duration::from_millis(400));
}

#[tokio::test(start_paused = true)]
async fn a_whole_answer_that_trickles_is_bounded_too() {
    let letters = vec![bytes::Bytes::from_static(b" "); 100_000];
    let trickle = Canned { body: letters, pause: Duration::from_secs(60), ..Canned::of(200, "") };
    let router = InMemory::new(&Layout::pair(), move |_, _| Ok(trickle.clone()));
    let began = Instant::now();
    let error = router.ask(&question("chat", json!({})), &[]).await.unwrap_err();
    assert_eq!(error.kind().as_str(), "upstream_timeout", "{error:?}");
    assert_eq!(began.elapsed().as_secs(), 600, "the shipped deadline");
    assert_eq!(router.arrived().len(), 1, "no time is left for another");
}
