//! A caller that disconnects cancels the upstream call, at every stage.

use std::time::Duration;

use azure_emulator::{End, Entry, Step};
use serde_json::{Value, json};

use crate::support::{Bench, Layout, PATIENCE, question};

fn ends(end: End) -> impl Fn(&[Entry]) -> bool {
    move |entries| entries.iter().any(|entry| entry.end == end)
}

/// Sends, waits until the request is upstream, hangs up, and waits until the upstream has noticed.
async fn hangs_up(bench: &Bench, body: &Value) {
    let asking = bench.request(body).send();
    let arrived = bench.emulator.wait_for(ends(End::InFlight), PATIENCE);
    tokio::select! {
        answer = asking => panic!("answered: {answer:?}"),
        arrived = arrived => assert!(arrived),
    }
    assert!(
        bench.emulator.wait_for(ends(End::HungUp), PATIENCE).await,
        "the call goes on upstream"
    );
}

#[tokio::test]
async fn before_the_answer() {
    for streamed in [false, true] {
        for step in [Step::hang(), Step::normal().delay(Duration::from_secs(60))] {
            let bench = Layout::pair().start().await;
            bench.emulator.script("chat_ptu", step);
            hangs_up(&bench, &question("chat", json!({"stream": streamed}))).await;
            assert_eq!(bench.counts(["chat_ptu", "chat_payg"]), [1, 0], "nobody waits for another");
        }
    }
}

#[tokio::test]
async fn at_the_second_deployment() {
    let bench = Layout::pair().start().await;
    bench.emulator.script("chat_ptu", Step::throttled_ms(400));
    bench.emulator.script("chat_payg", Step::hang());
    hangs_up(&bench, &question("chat", json!({}))).await;
}

#[tokio::test]
async fn in_the_middle_of_a_stream() {
    let bench = Layout::pair().start().await;
    bench.emulator.script("chat_ptu", Step::normal().stall_after(2));
    let body = question("chat", json!({"stream": true}));
    let mut response = bench.request(&body).send().await.unwrap();
    assert!(response.chunk().await.unwrap().is_some());
    drop(response);
    assert!(bench.emulator.wait_for(ends(End::HungUp), PATIENCE).await);
    // The account is closed all the same.
    let line = "model_router_streams_total{deployment=\"chat_ptu\",ended=\"hung_up\"}";
    let started = tokio::time::Instant::now();
    while bench.metric(line).await < 0.5 {
        assert!(started.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(bench.metric("model_router_in_flight").await.abs() < 1e-9);
    // It says nothing about the deployment: the next request goes there.
    bench.ask_in_form("chat", true).await.assert_answered_by("chat_ptu", true);
}

#[tokio::test]
async fn while_heartbeats_go_out() {
    let bench =
        Layout::pair().set("limits.hold_ms", 50).set("limits.heartbeat_ms", 20).start().await;
    bench.emulator.script("chat_ptu", Step::hang());
    let body = question("chat", json!({"stream": true}));
    let mut response = bench.request(&body).send().await.unwrap();
    assert!(response.chunk().await.unwrap().is_some());
    drop(response);
    assert!(bench.emulator.wait_for(ends(End::HungUp), PATIENCE).await);
}
