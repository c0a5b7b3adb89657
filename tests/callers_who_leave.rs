//! A caller who leaves loses no history: whatever stage its request is in, the attempts made so far are in the record, in the
//! metrics and in the request log. Over an upstream in memory, in paused time; spans and the log are tested over sockets.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt as _;
use router_core::fallback::Note;
use router_core::log_line::LoggedRequest;
use router_core::record::{Observer, RequestEnd, RequestRecord};
use router_core::response::Body;
use router_core::router::ChatCall;
use router_core::upstream::{Attempt, Unreachable};
use serde_json::json;

use crate::support::memory::{CONTENT, Canned, DONE, END, InMemory};
use crate::support::{Layout, question};

/// An event without content.
const PREAMBLE: &str = "data: {\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n";

/// Keeps records, and counts how often a head was seen before its end.
#[derive(Debug, Default)]
struct Keeper {
    heads: Mutex<usize>,
    closed: Mutex<Vec<RequestRecord>>,
}

impl Observer for Keeper {
    fn head(&self, _: &RequestRecord) {
        *self.heads.lock().unwrap() += 1;
    }

    fn closed(&self, record: &RequestRecord) {
        assert_eq!(*self.heads.lock().unwrap(), 1, "the head comes first, once");
        self.closed.lock().unwrap().push(record.clone());
    }
}

struct Watched {
    memory: InMemory,
    keeper: Arc<Keeper>,
}

/// A router whose first attempt fails and whose second one does as the script says.
fn watched(
    layout: &Layout,
    script: impl Fn(&Attempt, usize) -> Result<Canned, Unreachable> + Send + Sync + 'static,
) -> Watched {
    let memory = InMemory::new(layout, script);
    let keeper = Arc::new(Keeper::default());
    memory.router.observe(Arc::<Keeper>::clone(&keeper));
    Watched { memory, keeper }
}

fn call(streamed: bool) -> ChatCall {
    ChatCall::of_body(question("chat", json!({"stream": streamed})).to_string())
}

impl Watched {
    /// Sends a request and leaves after a while.
    async fn leave_after(&self, wait: Duration, streamed: bool) {
        let asked = self.memory.router.chat(call(streamed));
        assert!(tokio::time::timeout(wait, asked).await.is_err(), "answered");
    }

    /// Checks what is left of the request: how each attempt ended, by deployment.
    #[track_caller]
    fn check(&self, expected: &[(&str, &str)]) -> RequestRecord {
        let closed = self.keeper.closed.lock().unwrap();
        let [record] = closed.as_slice() else { panic!("{closed:?}") };
        assert_eq!(record.ended, RequestEnd::HungUp);
        let attempts = record.attempts.iter();
        let attempts = attempts.map(|step| (step.deployment.name.as_str(), step.ended.as_str()));
        assert_eq!(attempts.collect::<Vec<_>>(), expected, "record");
        let line = LoggedRequest::of(record);
        let logged = line.trail.iter().map(|attempt| (&*attempt.deployment, &*attempt.outcome));
        assert_eq!(logged.collect::<Vec<_>>(), expected, "request log");
        let metrics = self.memory.registry.gather();
        let text = prometheus::TextEncoder::new().encode_to_string(&metrics).unwrap();
        for (deployment, outcome) in expected {
            let counted = text.lines().any(|line| {
                line.starts_with("model_router_attempts_total")
                    && line
                        .contains(&format!("deployment=\"{deployment}\",outcome=\"{outcome}\"}} 1"))
            });
            assert!(counted, "{deployment} {outcome} in {text}");
        }
        assert!(text.contains("error_type=\"caller_hung_up\""), "{text}");
        record.clone()
    }
}

fn fails_then(
    second: impl Fn(&Attempt) -> Canned + Send + Sync + 'static,
) -> impl Fn(&Attempt, usize) -> Result<Canned, Unreachable> + Send + Sync + 'static {
    move |attempt, number| Ok(if number == 0 { Canned::of(500, "{}") } else { second(attempt) })
}

#[tokio::test(start_paused = true)]
async fn while_it_is_queued() {
    let layout = Layout::empty().ptu("chat_ptu", "gpt-4o").payg("o1_payg", "o1");
    let layout = layout.set("capacity.bound_wait_ms", 60_000);
    let full = |_: &Attempt, _| Ok(Canned::of(429, "{}").header("retry-after-ms", "20000"));
    let watched = watched(&layout, full);
    watched.leave_after(Duration::from_secs(5), false).await;
    let record = watched.check(&[("chat_ptu", "throttled")]);
    let held: Duration = record.notes.iter().map(Note::held).sum();
    assert!(held > Duration::from_secs(4), "{:?}", record.notes);
}

#[tokio::test(start_paused = true)]
async fn before_the_first_byte() {
    for streamed in [false, true] {
        let slow =
            |attempt: &Attempt| Canned { delay: Duration::from_secs(30), ..Canned::good(attempt) };
        let watched = watched(&Layout::pair(), fails_then(slow));
        watched.leave_after(Duration::from_secs(3), streamed).await;
        let record = watched.check(&[("chat_ptu", "status_5xx"), ("chat_payg", "hung_up")]);
        assert!(record.attempts[1].took > Duration::from_secs(2), "{:?}", record.attempts);
    }
}

#[tokio::test(start_paused = true)]
async fn in_the_held_stream() {
    let stalls = |_: &Attempt| Canned {
        pause: Duration::from_secs(50),
        ..Canned::stream(&[PREAMBLE, CONTENT, END, DONE])
    };
    // Nothing has gone out yet.
    let early = watched(&Layout::pair(), fails_then(stalls));
    early.leave_after(Duration::from_secs(3), true).await;
    early.check(&[("chat_ptu", "status_5xx"), ("chat_payg", "hung_up")]);
    // The head and a comment have.
    let late = watched(&Layout::pair(), fails_then(stalls));
    let response = late.memory.router.chat(call(true)).await.unwrap();
    let Body::Stream(mut stream) = response.body else { panic!("no stream") };
    assert!(stream.next().await.is_some());
    drop(stream);
    late.check(&[("chat_ptu", "status_5xx"), ("chat_payg", "hung_up")]);
}

#[tokio::test(start_paused = true)]
async fn in_the_middle_of_the_stream() {
    let pauses = |_: &Attempt| Canned {
        pause: Duration::from_secs(5),
        ..Canned::stream(&[CONTENT, CONTENT, END, DONE])
    };
    let watched = watched(&Layout::pair(), fails_then(pauses));
    let response = watched.memory.router.chat(call(true)).await.unwrap();
    let Body::Stream(mut stream) = response.body else { panic!("no stream") };
    assert!(stream.next().await.is_some());
    drop(stream);
    let record = watched.check(&[("chat_ptu", "status_5xx"), ("chat_payg", "served")]);
    assert!(record.answer.unwrap().usage.unwrap().estimated);
}
