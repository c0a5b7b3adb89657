//! An upstream that keeps the bytes that it receives and answers each request with the same JSON,
//! without interpreting them.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    /// Path and query.
    pub(crate) target: String,
    /// All header lines, each with its line end.
    pub(crate) headers: String,
    pub(crate) body: Vec<u8>,
}

impl Received {
    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.lines().find_map(|line| {
            let (known, value) = line.split_once(": ")?;
            known.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

/// The upstream; it ends when it is dropped.
#[derive(Debug)]
pub(crate) struct RawUpstream {
    address: std::net::SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    _serving: JoinSet<()>,
}

const ANSWER: &str = r#"{"created":1,"data":[{"b64_json":"aGk="}]}"#;

impl RawUpstream {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&received);
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                open.spawn(serve(stream, Arc::clone(&kept)));
            }
        });
        Self { address, received, _serving: serving }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The bytes so far, oldest first.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Serves one connection until its other end closes it.
async fn serve(mut stream: TcpStream, kept: Arc<Mutex<Vec<Received>>>) {
    let mut buffer = Vec::new();
    loop {
        let Some(head) = head_of(&mut stream, &mut buffer).await else { return };
        let (line, headers) = head.split_once("\r\n").unwrap();
        let target = line.split(' ').nth(1).unwrap().to_owned();
        let mut received = Received { target, headers: format!("{headers}\r\n"), body: Vec::new() };
        let length = received.header("content-length").unwrap_or("0").parse().unwrap();
        while buffer.len() < length {
            if stream.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
                return;
            }
        }
        received.body = buffer.drain(..length).collect();
        kept.lock().unwrap_or_else(PoisonError::into_inner).push(received);
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{ANSWER}",
            ANSWER.len()
        );
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// The next head, without the empty line at its end; `None` if the connection has ended.
async fn head_of(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<String> {
    loop {
        let end = buffer.windows(4).position(|window| window == b"\r\n\r\n");
        if let Some(end) = end {
            let head: Vec<u8> = buffer.drain(..end + 4).collect();
            return Some(String::from_utf8(head[..end].to_vec()).unwrap());
        }
        if stream.read_buf(buffer).await.unwrap_or(0) == 0 {
            return None;
        }
    }
}
