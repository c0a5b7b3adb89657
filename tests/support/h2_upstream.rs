//! A scripted upstream that speaks HTTP/2 over TLS and allows one request at a time on a connection.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use h2::server::SendResponse;
use http::{Request, Response};
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::layout::Layout;
use super::raw_upstream::completion;
use super::tls::{Authority, Files};

/// The reaction to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// A chat completion.
    Answer,
    /// Events without end, as fast as they are read.
    Flood,
    /// The connection stays open and nothing is read or written on it any more.
    Freeze,
    /// Nothing yet: the request is in flight until the test ends.
    Hold,
}

/// A request: its connection's number, its own number there, its path.
type Script = dyn Fn(usize, usize, &str) -> Act + Send + Sync;

/// The upstream. It ends when it is dropped.
#[derive(Debug)]
pub(crate) struct H2Upstream {
    addr: SocketAddr,
    files: Files,
    /// The connection of each request that arrived, oldest first.
    arrived: Arc<Mutex<Vec<usize>>>,
    opened: Arc<AtomicUsize>,
    flooded: Arc<AtomicUsize>,
    _serving: JoinSet<()>,
}

/// State that the connections share.
#[derive(Clone)]
struct Shared {
    script: Arc<Script>,
    arrived: Arc<Mutex<Vec<usize>>>,
    flooded: Arc<AtomicUsize>,
}

impl H2Upstream {
    pub(crate) async fn start(
        script: impl Fn(usize, usize, &str) -> Act + Send + Sync + 'static,
    ) -> Self {
        let authority = Authority::new();
        let files = Files::new();
        files.write("ca.pem", &authority.pem());
        let pair = authority.pair();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(pair.chain(), pair.private_key())
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let opened = Arc::new(AtomicUsize::new(0));
        let shared = Shared {
            script: Arc::new(script),
            arrived: Arc::new(Mutex::new(Vec::new())),
            flooded: Arc::new(AtomicUsize::new(0)),
        };
        let (arrived, flooded) = (Arc::clone(&shared.arrived), Arc::clone(&shared.flooded));
        let counted = Arc::clone(&opened);
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let connection = counted.fetch_add(1, Ordering::Relaxed);
                let (acceptor, shared) = (acceptor.clone(), shared.clone());
                // The router may leave at any moment.
                open.spawn(async move { drop(serve(&acceptor, stream, connection, shared).await) });
            }
        });
        Self { addr, files, arrived, opened, flooded, _serving: serving }
    }

    pub(crate) fn url(&self) -> String {
        format!("https://{}", self.addr)
    }

    /// The keys of an endpoint that is reached here.
    pub(crate) fn reached_by(&self, layout: Layout) -> Layout {
        let path = self.files.path("ca.pem");
        let path = Path::to_str(&path).unwrap().to_owned();
        layout.text("endpoints.azure.ca_file", &path)
    }

    pub(crate) fn opened(&self) -> usize {
        self.opened.load(Ordering::Relaxed)
    }

    pub(crate) fn arrived(&self) -> Vec<usize> {
        self.arrived.lock().unwrap().clone()
    }

    /// The number of flood bytes accepted so far.
    pub(crate) fn flooded(&self) -> usize {
        self.flooded.load(Ordering::Relaxed)
    }
}

async fn serve(
    acceptor: &TlsAcceptor,
    stream: TcpStream,
    number: usize,
    shared: Shared,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let tls = acceptor.accept(stream).await?;
    let mut connection =
        h2::server::Builder::new().max_concurrent_streams(1).handshake::<_, Bytes>(tls).await?;
    let mut working = JoinSet::new();
    for nth in 0.. {
        let Some(next) = connection.accept().await else { break };
        let (request, respond) = next?;
        shared.arrived.lock().unwrap().push(number);
        let act = (shared.script)(number, nth, request.uri().path());
        if act == Act::Freeze {
            std::future::pending::<()>().await;
        }
        let flooded = Arc::clone(&shared.flooded);
        working.spawn(async move { drop(answer(request, respond, act, &flooded).await) });
    }
    Ok(())
}

async fn answer(
    request: Request<h2::RecvStream>,
    mut respond: SendResponse<Bytes>,
    act: Act,
    flooded: &AtomicUsize,
) -> Result<(), h2::Error> {
    let mut body = request.into_body();
    while let Some(bytes) = body.data().await {
        let length = bytes?.len();
        body.flow_control().release_capacity(length)?;
    }
    let head = |kind: &str| Response::builder().header("content-type", kind).body(()).unwrap();
    match act {
        Act::Answer => {
            let mut stream = respond.send_response(head("application/json"), false)?;
            stream.send_data(completion("good").to_string().into(), true)
        }
        Act::Hold | Act::Freeze => std::future::pending().await,
        Act::Flood => {
            let mut stream = respond.send_response(head("text/event-stream"), false)?;
            let event = format!(
                "data: {}\n\n",
                serde_json::json!({"id": "c", "object": "chat.completion.chunk", "model": "gpt-4o",
                    "choices": [{"index": 0, "delta": {"content": "word ".repeat(200)}, "finish_reason": null}]})
            );
            let event = Bytes::from(event);
            let mut left = event.clone();
            loop {
                stream.reserve_capacity(left.len());
                let capacity = std::future::poll_fn(|context| stream.poll_capacity(context)).await;
                let Some(Ok(capacity)) = capacity else { return Ok(()) };
                let piece = left.split_to(capacity.min(left.len()));
                flooded.fetch_add(piece.len(), Ordering::Relaxed);
                stream.send_data(piece, false)?;
                if left.is_empty() {
                    left = event.clone();
                }
            }
        }
    }
}
