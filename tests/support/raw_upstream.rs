//! A scripted upstream over raw sockets: it writes the script's bytes, then keeps the connection,
//! closes it, goes silent or repeats itself forever.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::bench::Bench;
use super::layout::{Layout, checked};

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    /// The number of its connection, from 0.
    pub(crate) connection: usize,
    /// Its number on that connection, from 0.
    pub(crate) nth: usize,
    /// The request line and the headers, in lower case.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

/// The behavior after the bytes.
#[derive(Debug, Clone)]
pub(crate) enum Then {
    /// The next request is read.
    Keep,
    Close,
    /// Nothing more, and the connection stays open.
    Silence,
    /// These bytes, until the other side closes.
    Endless(Vec<u8>),
}

/// The reaction to a request.
#[derive(Debug, Clone)]
pub(crate) struct Scripted {
    pub(crate) bytes: Vec<u8>,
    pub(crate) then: Then,
}

impl Scripted {
    /// These bytes, and the connection is kept.
    pub(crate) fn bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Self { bytes: bytes.into(), then: Then::Keep }
    }

    /// A response of this status, content type and body.
    pub(crate) fn response(status: u16, content_type: &str, body: impl AsRef<[u8]>) -> Self {
        Self::with_headers(status, &[("content-type", content_type)], body)
    }

    /// A response with these headers.
    pub(crate) fn with_headers(
        status: u16,
        headers: &[(&str, &str)],
        body: impl AsRef<[u8]>,
    ) -> Self {
        let body = body.as_ref();
        let headers = headers
            .iter()
            .fold(String::new(), |headers, (name, value)| headers + name + ": " + value + "\r\n");
        let head =
            format!("HTTP/1.1 {status} X\r\n{headers}content-length: {}\r\n\r\n", body.len());
        Self::bytes([head.as_bytes(), body].concat())
    }

    /// The head of an event stream whose body ends with the connection, and the first bytes of it.
    pub(crate) fn event_stream(body: impl AsRef<[u8]>) -> Self {
        let head =
            b"HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
        Self { bytes: [head, body.as_ref()].concat(), then: Then::Close }
    }

    /// A chat completion with this text.
    pub(crate) fn completion(text: &str) -> Self {
        Self::response(200, "application/json", completion(text).to_string())
    }

    /// A chat completion in the requested form.
    pub(crate) fn good(asked: &Asked) -> Self {
        let streamed = serde_json::from_slice::<Value>(&asked.body)
            .is_ok_and(|body| body["stream"] == json!(true));
        if streamed { Self::event_stream(events("good")) } else { Self::completion("good") }
    }

    pub(crate) fn then(self, then: Then) -> Self {
        Self { then, ..self }
    }
}

/// A chat completion as JSON.
pub(crate) fn completion(text: &str) -> Value {
    json!({"id": "c", "object": "chat.completion", "created": 1, "model": "gpt-4o",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 11}})
}

/// The events of a streamed chat completion.
pub(crate) fn events(text: &str) -> String {
    let chunk = |delta: Value, finish: Value| {
        let chunk = json!({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o",
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
        format!("data: {chunk}\n\n")
    };
    let content = chunk(json!({"role": "assistant", "content": text}), Value::Null);
    content + &chunk(json!({}), json!("stop")) + "data: [DONE]\n\n"
}

type Script = dyn Fn(&Asked) -> Scripted + Send + Sync;

/// The upstream. It ends when it is dropped.
#[derive(Debug)]
pub(crate) struct RawUpstream {
    pub(crate) addr: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    opened: Arc<AtomicUsize>,
    _serving: JoinSet<()>,
}

impl RawUpstream {
    pub(crate) async fn start(script: impl Fn(&Asked) -> Scripted + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let opened = Arc::new(AtomicUsize::new(0));
        let (heard, counted) = (Arc::clone(&asked), Arc::clone(&opened));
        let script: Arc<Script> = Arc::new(script);
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let connection = counted.fetch_add(1, Ordering::Relaxed);
                let (script, heard) = (Arc::clone(&script), Arc::clone(&heard));
                open.spawn(async move {
                    // The router may leave at any moment.
                    drop(serve(stream, connection, &*script, &heard).await);
                });
            }
        });
        Self { addr, asked, opened, _serving: serving }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The requests so far, oldest first.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// The number of requests to a deployment so far.
    pub(crate) fn count(&self, deployment: &str) -> usize {
        let path = format!("/deployments/{deployment}/");
        self.asked().iter().filter(|asked| asked.head.contains(&path)).count()
    }

    /// The number of connections opened so far.
    pub(crate) fn opened(&self) -> usize {
        self.opened.load(Ordering::Relaxed)
    }

    /// A router whose endpoint this is.
    pub(crate) async fn routed(&self, layout: Layout) -> Bench {
        routed(&layout, &self.url()).await
    }
}

/// A router whose endpoint is at this address, with an emulator that gets no request.
pub(crate) async fn routed(layout: &Layout, url: &str) -> Bench {
    let server = router_server::start(&checked(&layout.toml(url))).await.unwrap();
    let quiet = azure_emulator::Emulator::start(azure_emulator::Settings::new()).await.unwrap();
    Bench::new(quiet, server)
}

async fn serve(
    mut stream: TcpStream,
    connection: usize,
    script: &Script,
    heard: &Mutex<Vec<Asked>>,
) -> std::io::Result<()> {
    for nth in 0.. {
        let (head, body) = read_request(&mut stream).await?;
        let asked = Asked { connection, nth, head, body };
        heard.lock().unwrap().push(asked.clone());
        let Scripted { bytes, then } = script(&asked);
        stream.write_all(&bytes).await?;
        match then {
            Then::Keep => {}
            Then::Close => return Ok(()),
            Then::Silence => {
                // Until the other side closes.
                stream.read_u8().await?;
                return Ok(());
            }
            Then::Endless(bytes) => loop {
                stream.write_all(&bytes).await?;
            },
        }
    }
    Ok(())
}

async fn read_request(stream: &mut TcpStream) -> std::io::Result<(String, Vec<u8>)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).await?;
    Ok((head, body))
}
