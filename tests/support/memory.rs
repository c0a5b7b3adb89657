//! A router with an in-memory upstream, in paused time: what takes minutes over sockets takes none
//! here, to the millisecond.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use router_core::decision::Rules;
use router_core::response::Response;
use router_core::router::{ChatCall, ModelRouter};
use router_core::task::{Classifier, LinearScorer};
use router_core::upstream::{Attempt, Reply, Unreachable, Upstream};
use tokio::time::Instant;

use super::layout::{Layout, checked};

/// The reaction of an in-memory upstream to an attempt: `Ok` answers, `Err` fails to connect.
type Script = dyn Fn(&Attempt, usize) -> Result<Canned, Unreachable> + Send + Sync;

/// An answer in memory.
#[derive(Debug, Clone)]
pub(crate) struct Canned {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<Bytes>,
    /// Before the head.
    pub(crate) delay: Duration,
    /// True where the head takes another poll once it has arrived, as over a socket.
    pub(crate) yields: bool,
    /// Between two pieces of the body.
    pub(crate) pause: Duration,
    /// True where the body breaks off after its last piece.
    pub(crate) breaks: bool,
}

impl Canned {
    /// An answer of this status and JSON body.
    pub(crate) fn of(status: u16, body: &str) -> Self {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        let body = vec![Bytes::copy_from_slice(body.as_bytes())];
        let (delay, pause) = (Duration::from_millis(1), Duration::ZERO);
        Self { status, headers, body, delay, yields: false, pause, breaks: false }
    }

    /// A good answer, in the form the attempt awaits.
    pub(crate) fn good(attempt: &Attempt) -> Self {
        if attempt.streamed {
            return Self::stream(&[CONTENT, END, DONE]);
        }
        let body = r#"{"id":"c","object":"chat.completion","model":"m","choices":[{"index":0,"message":
            {"role":"assistant","content":"hi"},"finish_reason":"stop"}],
            "usage":{"prompt_tokens":10,"completion_tokens":1,"total_tokens":11}}"#;
        Self::of(200, body)
    }

    /// An event stream in these pieces.
    pub(crate) fn stream(pieces: &[&str]) -> Self {
        let body = pieces.iter().map(|piece| Bytes::copy_from_slice(piece.as_bytes())).collect();
        let headers = vec![("content-type".to_owned(), "text/event-stream".to_owned())];
        Self { headers, body, ..Self::of(200, "") }
    }

    /// With a header, written as it is.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// An event with content, one with the end's reason, and the last.
pub(crate) const CONTENT: &str = "data: {\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"hi\"},\"finish_reason\":null}]}\n\n";
pub(crate) const END: &str = "data: {\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
pub(crate) const DONE: &str = "data: [DONE]\n\n";

/// An attempt as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Arrived {
    pub(crate) deployment: String,
    pub(crate) model: String,
    pub(crate) area: router_core::deployment::Area,
    pub(crate) at: Instant,
    pub(crate) traceparent: Option<HeaderValue>,
}

/// An upstream in memory: it answers by a script and keeps what it was asked.
#[derive(Clone)]
pub(crate) struct Memory {
    script: Arc<Script>,
    arrived: Arc<Mutex<Vec<Arrived>>>,
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Memory")
    }
}

impl Upstream for Memory {
    async fn send(&self, attempt: Attempt) -> Result<Reply, Unreachable> {
        let number = {
            let mut arrived = self.arrived.lock().unwrap_or_else(PoisonError::into_inner);
            let Attempt { deployment, .. } = &attempt;
            let (name, area) = (deployment.name.to_string(), deployment.area);
            let model = deployment.model.name.to_string();
            let trace = attempt.trace.iter().find(|(name, _)| name == "traceparent");
            let traceparent = trace.map(|(_, value)| value.clone());
            let at = Instant::now();
            arrived.push(Arrived { deployment: name, model, area, at, traceparent });
            arrived.len() - 1
        };
        let canned = (self.script)(&attempt, number)?;
        tokio::time::sleep(canned.delay).await;
        if canned.yields {
            tokio::task::yield_now().await;
        }
        let mut headers = HeaderMap::new();
        for (name, value) in &canned.headers {
            headers.append(
                HeaderName::try_from(name.as_str()).unwrap(),
                HeaderValue::try_from(value.as_str()).unwrap(),
            );
        }
        let broken = canned.breaks.then_some(Err(Unreachable::Broken));
        let body = canned.body.into_iter().map(Ok).chain(broken);
        let status = StatusCode::from_u16(canned.status).unwrap();
        let body = futures_util::stream::iter(body);
        if canned.pause.is_zero() {
            return Ok(Reply { status, headers, body: Box::pin(body) });
        }
        let paused = body.enumerate().then(move |(at, piece)| async move {
            let pause = if at == 0 { Duration::ZERO } else { canned.pause };
            tokio::time::sleep(pause).await;
            piece
        });
        Ok(Reply { status, headers, body: Box::pin(paused) })
    }
}

/// Read once: hundreds of routers share it.
static SCORER: LazyLock<Arc<LinearScorer>> =
    LazyLock::new(|| Arc::new(LinearScorer::shipped().unwrap()));

/// A router in memory.
#[derive(Debug)]
pub(crate) struct InMemory {
    pub(crate) router: ModelRouter<Memory>,
    pub(crate) registry: prometheus::Registry,
    arrived: Arc<Mutex<Vec<Arrived>>>,
}

impl InMemory {
    /// The router of a layout over an upstream that answers by a script; attempts are numbered from 0.
    pub(crate) fn new(
        layout: &Layout,
        script: impl Fn(&Attempt, usize) -> Result<Canned, Unreachable> + Send + Sync + 'static,
    ) -> Self {
        let config = checked(&layout.toml("http://127.0.0.1:9"));
        let arrived = Arc::new(Mutex::new(Vec::new()));
        let memory = Memory { script: Arc::new(script), arrived: Arc::clone(&arrived) };
        let registry = prometheus::Registry::new();
        let rules = Rules {
            classifier: Classifier::new(SCORER.clone(), config.router.scoring.signals),
            policy: config.router.policy,
            catalog: config.router.catalog,
            capacity: config.router.capacity,
        };
        let router =
            ModelRouter::with_upstream(rules, config.router.limits, memory, &registry).unwrap();
        Self { router, registry, arrived }
    }

    /// A chat request with headers; a stream is read to its end.
    pub(crate) async fn ask(
        &self,
        body: &serde_json::Value,
        headers: &[(&'static str, &str)],
    ) -> Result<(Response, Bytes), router_core::error::RouteError> {
        let mut call = ChatCall::of_body(body.to_string());
        for (name, value) in headers {
            call.headers.insert(*name, HeaderValue::try_from(*value).unwrap());
        }
        self.read(call).await
    }

    /// Any call; a stream is read to its end.
    pub(crate) async fn read(
        &self,
        call: ChatCall,
    ) -> Result<(Response, Bytes), router_core::error::RouteError> {
        Ok(bytes_of(self.router.chat(call).await?).await)
    }

    /// The requests so far, oldest first.
    pub(crate) fn arrived(&self) -> Vec<Arrived> {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A response and its bytes; a stream is read to its end.
pub(crate) async fn bytes_of(mut response: Response) -> (Response, Bytes) {
    let empty = router_core::response::Body::Full(Bytes::new());
    let bytes = match std::mem::replace(&mut response.body, empty) {
        router_core::response::Body::Full(bytes) => bytes,
        router_core::response::Body::Stream(stream) => {
            let pieces: Vec<Bytes> = stream.filter_map(|item| async { item.ok() }).collect().await;
            pieces.concat().into()
        }
    };
    (response, bytes)
}
