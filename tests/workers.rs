//! Several threads serve requests: none waits behind a busy one while another is idle, and they
//! share their state.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use router_core::record::{Observer, RequestRecord};
use serde_json::json;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::support::{Answer, Bench, Layout, PATIENCE, question};

/// Holds up the thread that serves one request, as soon as that is answered.
#[derive(Debug)]
struct HoldsUp {
    held: Mutex<Option<oneshot::Sender<()>>>,
    until: Mutex<Receiver<()>>,
}

const BUSY: &str = "busy";

impl HoldsUp {
    fn new() -> (Arc<Self>, oneshot::Receiver<()>, Sender<()>) {
        let (held, holds) = oneshot::channel();
        let (go_on, until) = channel();
        (Arc::new(Self { held: Mutex::new(Some(held)), until: Mutex::new(until) }), holds, go_on)
    }
}

impl Observer for HoldsUp {
    fn closed(&self, record: &RequestRecord) {
        if record.request_id.as_deref() != Some(BUSY) {
            return;
        }
        if let Some(held) = self.held.lock().unwrap_or_else(PoisonError::into_inner).take() {
            held.send(()).ok();
        }
        let until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        // At most until the test is over.
        until.recv_timeout(PATIENCE).ok();
    }
}

/// Asks over a connection of its own.
async fn ask_afresh(bench: &Bench, id: &str) -> Answer {
    let client = reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap();
    let request = client.post(bench.url("/v1/chat/completions")).json(&question("chat", json!({})));
    Answer::of(request.header("x-request-id", id)).await
}

#[tokio::test]
async fn no_request_waits_behind_a_busy_thread_while_another_idles() {
    let bench = Layout::pair().set("server.workers", 2).start().await;
    let (holds_up, held, go_on) = HoldsUp::new();
    bench.server.router().observe(holds_up);
    let others = async {
        timeout(PATIENCE, held).await.unwrap().unwrap();
        for number in 0..8 {
            let id = number.to_string();
            let answer = timeout(PATIENCE / 4, ask_afresh(&bench, &id)).await;
            let answer = answer.expect("a thread idles");
            answer.assert_answered_by("chat_ptu", false);
        }
        drop(go_on);
    };
    let (busy, ()) = tokio::join!(ask_afresh(&bench, BUSY), others);
    busy.assert_answered_by("chat_ptu", false);
}

/// Everything that one thread learns holds for all: limits of the router and of keys are counted together, and a cooldown is seen.
#[tokio::test]
async fn threads_share_what_they_count_and_learn() {
    let layout = Layout::pair().set("server.workers", 4).set("server.max_in_flight", 3);
    let bench = layout.start().await;
    for _ in 0..3 {
        let step = azure_emulator::Step::normal().stall_after(1);
        bench.emulator.script("chat_ptu", step);
    }
    let streamed = question("chat", json!({"stream": true}));
    let mut open = Vec::new();
    for _ in 0..3 {
        let client = reqwest::Client::builder().build().unwrap();
        let request = client.post(bench.url("/v1/chat/completions")).json(&streamed);
        open.push(timeout(PATIENCE, request.send()).await.unwrap().unwrap());
    }
    let refused = ask_afresh(&bench, "one-too-many").await;
    assert_eq!((refused.status, refused.code().as_str()), (503, "router_overloaded"));
    drop(open);
    let answered = async {
        loop {
            let answer = ask_afresh(&bench, "later").await;
            if answer.status == 200 {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, answered).await.unwrap().assert_answered_by("chat_ptu", false);
}
