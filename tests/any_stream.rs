//! However the bytes of a stream are split, the caller gets the same bytes and the same account is
//! closed. No bytes, from a caller or an upstream, make the router panic or a stream end silently.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use bytes::Bytes;
use prometheus::proto::MetricFamily;
use proptest::prelude::*;
use router_core::chat::adapt::{Target, adapt};
use router_core::chat::{ChatRequest, Operation};
use router_core::config::shipped_records;
use router_core::model::{Effort, ModelRecord};
use router_core::router::ChatCall;
use serde_json::{Value, json};

use crate::support::Layout;
use crate::support::memory::{Canned, InMemory};

/// A stream as Azure sends it with an asynchronous filter: an opening without an id, chunks without a delta, comments, Korean
/// letters, a chunk after the finish, the usage.
const CHAT: &str = concat!(
    "data: {\"id\":\"\",\"object\":\"\",\"created\":0,\"model\":\"\",\"choices\":[],\"prompt_filter_results\":[]}\n\n",
    ": a comment\n\n",
    "data: {\"id\":\"c\",\"model\":\"gpt-4o\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n",
    "data:{\"id\":\"c\",\"model\":\"gpt-4o\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"안녕하세요 😀\"}}]}\n\n",
    "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"content_filter_results\":{},\"content_filter_offsets\":{\"check_offset\":1}}]}\n\n",
    "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":null}\n\n",
    "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"finish_reason\":null,\"content_filter_offsets\":{\"end_offset\":9}}]}\n\n",
    "data: {\"id\":\"c\",\"choices\":[],\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":7}}\n\n",
    "data: [DONE]\n\n",
);

const RESPONSES: &str = concat!(
    "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":\"resp_1\",\"model\":\"gpt-4o\"}}\n\n",
    "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":1,\"delta\":\"두 번째\"}\n\n",
    "event: response.completed\ndata: {\"type\":\"response.completed\",\"sequence_number\":2,\"response\":{\"id\":\"resp_1\",\"model\":\"gpt-4o\",\"usage\":{\"input_tokens\":11,\"output_tokens\":7}}}\n\n",
);

/// A router whose upstream answers with the pieces that a test puts here.
struct AnyStream {
    router: InMemory,
    pieces: Arc<Mutex<Vec<Bytes>>>,
    runtime: tokio::runtime::Runtime,
}

impl AnyStream {
    fn new() -> Self {
        let pieces: Arc<Mutex<Vec<Bytes>>> = Arc::default();
        let given = Arc::clone(&pieces);
        let layout = Layout::pair().text("endpoints.azure.api_version", "2025-04-01-preview");
        let router = InMemory::new(&layout, move |_, _| {
            let body = given.lock().unwrap_or_else(PoisonError::into_inner).clone();
            Ok(Canned { body, ..Canned::stream(&[]) })
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        Self { router, pieces, runtime }
    }

    /// The result for the caller of a stream; `None` if no stream starts.
    fn ask(&self, operation: Operation, pieces: Vec<Bytes>) -> Option<Bytes> {
        *self.pieces.lock().unwrap_or_else(PoisonError::into_inner) = pieces;
        let body = match operation {
            Operation::Responses => {
                json!({"model": "deployment:chat_payg", "input": "hi", "stream": true})
            }
            Operation::Chat
            | Operation::Completions
            | Operation::Embeddings
            | Operation::InputTokens
            | Operation::Compact
            | Operation::Passed(_) => {
                json!({"model": "deployment:chat_payg", "messages": [{"role": "user", "content": "hi"}],
                "stream": true, "stream_options": {"include_usage": true}})
            }
        };
        // Paused time passes at once: what failed before is forgotten by then.
        self.runtime.block_on(async {
            tokio::time::sleep(std::time::Duration::from_secs(3_600)).await;
            let mut call = ChatCall::of(operation, body.to_string());
            call.received = tokio::time::Instant::now();
            self.router.read(call).await.ok().map(|(_, bytes)| bytes)
        })
    }

    /// The amounts billed so far: input tokens, output tokens, complete streams, interrupted streams.
    fn account(&self) -> [f64; 4] {
        let families = self.router.registry.gather();
        let sum = |name: &str, label: &str| -> f64 {
            let family = families.iter().find(|family| family.name() == name);
            let lines = family.into_iter().flat_map(MetricFamily::get_metric);
            let of_label =
                lines.filter(|line| line.get_label().iter().any(|pair| pair.value() == label));
            of_label
                .map(|line| line.get_histogram().get_sample_sum() + line.get_counter().get_value())
                .sum()
        };
        let tokens = "gen_ai_client_token_usage";
        let streams = "model_router_streams_total";
        [
            sum(tokens, "input"),
            sum(tokens, "output"),
            sum(streams, "whole"),
            sum(streams, "interrupted"),
        ]
    }
}

/// The bytes, cut at these places.
fn cut(bytes: &[u8], places: &[prop::sample::Index]) -> Vec<Bytes> {
    let mut places: Vec<usize> = places.iter().map(|place| place.index(bytes.len() + 1)).collect();
    places.sort_unstable();
    let ends = places.iter().copied().chain([bytes.len()]);
    let mut from = 0;
    ends.map(|end| Bytes::copy_from_slice(&bytes[std::mem::replace(&mut from, end)..end])).collect()
}

#[test]
fn any_cutting_gives_the_same_bytes_and_the_same_account() {
    let upstream = AnyStream::new();
    let streams = [
        (Operation::Chat, CHAT.to_owned()),
        (Operation::Chat, CHAT.replace('\n', "\r\n")),
        (Operation::Responses, RESPONSES.to_owned()),
        (Operation::Responses, RESPONSES.replace('\n', "\r\n")),
    ];
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) };
    let places = prop::collection::vec(any_place(), 0..40);
    proptest!(config, |(which in 0..streams.len(), places in places)| {
        let (operation, text) = &streams[which];
        let before = upstream.account();
        let got = upstream.ask(*operation, cut(text.as_bytes(), &places));
        prop_assert_eq!(got.as_deref(), Some(text.as_bytes()));
        let after = upstream.account();
        let closed: Vec<f64> = after.iter().zip(before).map(|(after, before)| after - before).collect();
        prop_assert_eq!(closed, [11.0, 7.0, 1.0, 0.0]);
    });
}

fn any_place() -> impl Strategy<Value = prop::sample::Index> {
    any::<prop::sample::Index>()
}

/// True if the stream reports how it ended.
fn says_its_end(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    [
        "finish_reason\":\"stop",
        "response.completed",
        "\"error\":{",
        "[DONE]",
        "\"type\":\"error\"",
        "response.failed",
    ]
    .iter()
    .any(|end| text.contains(end))
}

#[test]
fn no_stream_of_an_upstream_panics_or_ends_in_silence() {
    let upstream = AnyStream::new();
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) };
    let noise = prop::collection::vec(any::<u8>(), 0..30);
    let at = (any_place(), any_place());
    proptest!(config, |(responses in any::<bool>(), (from, to) in at, noise in noise, places in prop::collection::vec(any_place(), 0..6))| {
        let (operation, text) =
            if responses { (Operation::Responses, RESPONSES) } else { (Operation::Chat, CHAT) };
        let mut bytes = text.as_bytes().to_vec();
        let (from, to) = (from.index(bytes.len()), to.index(bytes.len()));
        bytes.splice(from.min(to)..from.max(to), noise);
        if let Some(got) = upstream.ask(operation, cut(&bytes, &places)) {
            prop_assert!(says_its_end(&got), "{}", String::from_utf8_lossy(&got));
        }
    });
}

static RECORDS: LazyLock<Vec<Arc<ModelRecord>>> =
    LazyLock::new(|| shipped_records().into_values().collect());

/// Bodies with all that adaption touches, in every operation.
const BODIES: [(Operation, &str); 4] = [
    (
        Operation::Chat,
        r#"{"model":"m","messages":[{"role":"system","content":"안"},{"role":"developer","content":null},{"role":"user","content":[{"type":"text","text":"a\u0041"}]}],"max_tokens":5,"temperature":0.5,"stop":["x"],"parallel_tool_calls":true,"reasoning_effort":"high","stream":true,"x":1.0e0}"#,
    ),
    (
        Operation::Responses,
        r#"{"model":"m","instructions":"be","input":[{"role":"user","content":"x"}],"reasoning":{"effort":"minimal"},"include":["reasoning.encrypted_content"],"max_output_tokens":9,"temperature":0.5,"top_p":0.1,"stream":true,"store":false}"#,
    ),
    (
        Operation::Completions,
        r#"{"model":"m","prompt":["a","b"],"max_tokens":5,"stream":true,"stream_options":{"x":1}}"#,
    ),
    (
        Operation::Embeddings,
        r#"{"model":"m","input":[[1,2],[3]],"encoding_format":"base64","dimensions":8}"#,
    ),
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    #[test]
    fn no_body_panics_and_what_is_adapted_stays_json(
        which in 0..BODIES.len(),
        at in any_place(),
        length in 0usize..12,
        noise in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..4),
            Just(b"null".to_vec()), Just(b"\"".to_vec()), Just(b"{}".to_vec()), Just(b"-1".to_vec()), Just(b",".to_vec()),
        ],
        record in any_place(),
    ) {
        let (operation, text) = BODIES[which];
        let mut bytes = text.as_bytes().to_vec();
        let from = at.index(bytes.len());
        let to = (from + length).min(bytes.len());
        bytes.splice(from..to, noise);
        let record = record.get(&RECORDS);
        for body in [text.as_bytes(), &bytes] {
            let Ok(request) = ChatRequest::read(operation, body) else { continue };
            let target = Target {
                record,
                model_field: Some("deployed"),
                stream_options: true,
                effort: Some(Effort::Medium),
                refused: &["user", "max_tokens"],
                tight: None,
                unreadable: &[],
                cache_key: None,
                service_tier: None,
 chosen: false,
            };
            let adapted = adapt(&request, target);
            let sent = serde_json::from_slice::<Value>(&adapted.body);
            prop_assert!(sent.is_ok(), "{}", String::from_utf8_lossy(&adapted.body));
            let sent = sent.unwrap_or_default();
            prop_assert_eq!(&sent["model"], "deployed");
            let written: Value = serde_json::from_slice(body).unwrap();
            for (name, value) in written.as_object().unwrap() {
                let changed = adapted.changed.iter().any(|known| known.split('.').next() == Some(name));
                let ours = ["model", "stream", "stream_options"].contains(&name.as_str());
                prop_assert!(changed || ours || sent.get(name) == Some(value), "{} {}", name, sent);
            }
        }
    }
}
