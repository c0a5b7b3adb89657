//! The queue of a full provisioned deployment without an alternative: who is served, and what
//! operators see.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use azure_emulator::Deployment;
use azure_emulator::bucket::BucketSettings;
use reqwest::Client;
use serde_json::{Value, json};

use crate::keys::{client_of, with_keys};
use crate::support::memory::{Canned, InMemory};
use crate::support::{Answer, Bench, Layout, PATIENCE, question};

/// One provisioned deployment of 6,250 tokens a second that holds one second of them, and nothing else.
fn alone(keys: &[&str]) -> Layout {
    let bucket = BucketSettings {
        window: Duration::from_secs(1),
        ..BucketSettings::new(150.0, 2_500.0, 4.0)
    };
    with_keys(Layout::empty(), keys)
        .ptu("chat_ptu", "gpt-4o")
        .set("deployments.chat_ptu.ptu", 150)
        .set("deployments.chat_ptu.window_ms", 1_000)
        .emulate(Deployment::provisioned("chat_ptu", "gpt-4o", bucket))
        .set("roles.reasoning.models", r#"["gpt-4o"]"#)
        .without("capacity.bound_wait_ms")
}

/// An answer of so many tokens, under a cap.
fn asked(tokens: u32, cap: u32) -> Value {
    let metadata = json!({"emulator_output_tokens": tokens.to_string()});
    question("chat", json!({"max_tokens": cap, "metadata": metadata}))
}

async fn ask(bench: &Bench, client: &Client, body: &Value) -> Answer {
    Answer::of(client.post(bench.url("/v1/chat/completions")).json(body)).await
}

#[tokio::test]
async fn a_key_that_floods_the_queue_delays_others_by_a_request_and_operators_see_it() {
    let layout = alone(&["flood", "branch", "retail", "operator"]);
    let bench = layout.set("keys.operator.operator", true).start().await;
    let (flood, operator) = (client_of("flood"), client_of("operator"));
    // About ten seconds of work at once.
    let body = asked(300, 500);
    let flooded = futures_util::future::join_all((0..50).map(|_| ask(&bench, &flood, &body)));
    let others = async {
        let waiting = async {
            loop {
                let state = Answer::of(operator.get(bench.url("/dashboard/state"))).await.json();
                let queue = state["deployments"][0]["queue"].clone();
                if queue["waiting"].as_u64().unwrap() > 10 {
                    return queue;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let queue = tokio::time::timeout(PATIENCE, waiting).await.unwrap();
        assert!(queue["longest_ms"].is_u64() && queue["left"]["shed"].is_u64(), "{queue}");
        let ready = Answer::of(operator.get(bench.url("/readyz?verbose"))).await.json();
        assert!(ready.to_string().contains("\"longest_wait_ms\":"), "{ready}");
        let small = asked(20, 40);
        for _ in 0..4 {
            for name in ["branch", "retail"] {
                let began = tokio::time::Instant::now();
                let answer = ask(&bench, &client_of(name), &small).await;
                answer.assert_answered_by("chat_ptu", false);
                // Ahead of it: at most the request that fills the deployment, a third of a second of work.
                let took = began.elapsed();
                assert!(took < Duration::from_secs(4), "{name} waited {took:?}");
            }
        }
    };
    let (flooded, ()) = tokio::join!(flooded, others);
    let served = flooded.iter().filter(|answer| answer.status == 200).count();
    let refused: Vec<&Answer> = flooded.iter().filter(|answer| answer.status == 429).collect();
    assert_eq!(served + refused.len(), 50);
    assert!(served >= 5 && refused.len() >= 5, "{served} served");
    for answer in refused {
        assert_eq!(answer.code(), "capacity_exhausted");
        assert!(answer.number("retry-after-ms") > 0, "{answer:?}");
    }
    let text = Answer::of(operator.get(bench.url("/metrics"))).await.text;
    let left = |how: &str| {
        let line =
            format!("model_router_queue_left_total{{deployment=\"chat_ptu\",how=\"{how}\"}} ");
        let found = text.lines().find_map(|known| known.strip_prefix(&line));
        found.map_or(0.0, |count| count.parse::<f64>().unwrap())
    };
    assert!(left("entered") >= 5.0 && left("shed") + left("refused") >= 5.0, "{text}");
    assert!(left("gave_up").abs() < 1e-9);
}

/// Learned lengths order a stream in the queue, but its body is sent unchanged: a cut end could not be requested again.
#[tokio::test(start_paused = true)]
async fn a_learned_cap_is_sent_with_whole_answers_and_never_with_streams() {
    let caps: Arc<Mutex<Vec<(bool, Value)>>> = Arc::default();
    let seen = Arc::clone(&caps);
    let layout = Layout::empty()
        .ptu("chat_ptu", "gpt-4o")
        .set("roles.reasoning.models", r#"["gpt-4o"]"#)
        .without("capacity.bound_wait_ms");
    let router = InMemory::new(&layout, move |attempt, _| {
        let body: Value = serde_json::from_slice(&attempt.body).unwrap();
        seen.lock().unwrap().push((attempt.streamed, body["max_tokens"].clone()));
        Ok(Canned::good(attempt))
    });
    for _ in 0..210 {
        router.ask(&question("chat", json!({})), &[]).await.unwrap();
        router.ask(&question("chat", json!({"stream": true})), &[]).await.unwrap();
    }
    let caps = caps.lock().unwrap();
    let streams: Vec<&Value> =
        caps.iter().filter(|(stream, _)| *stream).map(|(_, cap)| cap).collect();
    assert!(streams.len() == 210 && streams.iter().all(|cap| cap.is_null()), "{streams:?}");
    let whole: Vec<&Value> =
        caps.iter().filter(|(stream, _)| !*stream).map(|(_, cap)| cap).collect();
    assert!(whole.first().unwrap().is_null(), "nothing is known of the first");
    assert!(whole.last().unwrap().as_u64().is_some_and(|cap| cap < 10), "{:?}", whole.last());
}
