//! Serves one connection: its TLS handshake, its version of HTTP, its requests under the configuration of their moment, and
//! its end.
//!
//! `connection.rs` decides when it has to end, `workers.rs` which connections are accepted.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::connection::Connection;
use crate::connection::FIRST_HEAD;
use crate::connection::Noted;
use crate::connection::Verdict;
use crate::outgoing::follow;
use crate::reload::Live;
use crate::tls::Handshakes;
use crate::unread;

/// Time that a connection gets to close.
const FAREWELL: Duration = Duration::from_secs(1);
/// Interval of HTTP/2 pings, and the time limit of each answer.
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// Limits of an HTTP/2 connection: concurrent streams, and unread bytes of each and of all together.
const STREAMS: u32 = 200;
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;
/// The longest head of a request, and the buffer of an answer.
const HEAD_BYTES: u32 = 64 << 10;
const BUFFER_BYTES: usize = 128 << 10;
/// The most streams that a peer may reset before they were handled.
const RESETS: usize = 64;

/// Begins a connection as the configuration of the moment says, and serves it.
pub(crate) async fn welcome(stream: TcpStream, live: Arc<Live>, connection: Arc<Connection>) {
    // An event of a stream leaves when it is written; a socket that refuses the option still works.
    drop(stream.set_nodelay(true));
    let handshakes = live.current().handshakes.clone();
    match handshakes {
        None => {
            if let Some(spoken) = first_words(&stream, &connection).await {
                serve(stream, spoken, live, connection).await;
            }
        }
        // Plain connections would have to carry the room for TLS.
        Some(handshakes) => Box::pin(encrypted(stream, handshakes, live, connection)).await,
    }
}

/// The same over TLS, once the handshake is made.
async fn encrypted(
    stream: TcpStream,
    handshakes: Handshakes,
    live: Arc<Live>,
    connection: Arc<Connection>,
) {
    let made = tokio::select! {
        made = handshakes.make(stream) => made,
        () = connection.stopping() => None,
    };
    if let Some(stream) = made {
        let spoken = match stream.get_ref().1.alpn_protocol() {
            Some(b"h2") => Spoken::Http2,
            Some(b"http/1.1") => Spoken::Http1,
            Some(_) | None => Spoken::Unsaid,
        };
        serve(stream, spoken, live, connection).await;
    }
}

/// The version of HTTP that a connection speaks.
#[derive(Debug, Clone, Copy)]
enum Spoken {
    Http1,
    Http2,
    /// Undecided after the first bytes. hyper then detects the version itself, which doubles its read buffer.
    Unsaid,
}

/// The version by the first bytes of a plain connection; `None` if none come in time.
async fn first_words(stream: &TcpStream, connection: &Connection) -> Option<Spoken> {
    let mut first = [0; 3];
    let length = tokio::select! {
        peeked = stream.peek(&mut first) => peeked.ok()?,
        () = connection.stopping() => return None,
        () = tokio::time::sleep(FIRST_HEAD) => return None,
    };
    match first.get(..length)? {
        [] => None,
        b"PRI" => Some(Spoken::Http2),
        b"P" | b"PR" => Some(Spoken::Unsaid),
        _ => Some(Spoken::Http1),
    }
}

tokio::task_local! {
    /// Told when the HTTP/2 stream of this task shall end.
    static STREAM: Arc<Notify>;
}

/// Runs each stream of an HTTP/2 connection as a task that can be ended alone. Ended, it resets its stream and drops the
/// request, which cancels the upstream call.
#[derive(Debug, Clone, Copy)]
struct Streams;

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let reset = Arc::new(Notify::new());
        let task = STREAM.scope(Arc::clone(&reset), async move {
            tokio::select! {
                biased;
                () = reset.notified() => {}
                () = stream => {}
            }
        });
        #[expect(clippy::disallowed_methods, reason = "it ends with its connection")]
        drop(tokio::spawn(task));
    }
}

/// Builds the HTTP server of connections.
fn builder() -> Builder<Streams> {
    let mut builder = Builder::new(Streams);
    // `Connection::check` enforces the time limit of a head, without a timer for each request.
    builder.http1().max_buf_size(BUFFER_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_TIMEOUT)
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(HEAD_BYTES)
        .max_pending_accept_reset_streams(RESETS)
        .max_local_error_reset_streams(RESETS)
        .max_send_buf_size(BUFFER_BYTES);
    builder
}

async fn serve<S>(stream: S, spoken: Spoken, live: Arc<Live>, connection: Arc<Connection>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let socket = Noted { socket: stream, connection: Arc::clone(&connection) };
    // Each request meets the configuration of its own moment, however long its connection has been open.
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let (live, connection) = (Arc::clone(&live), Arc::clone(&connection));
        // hyper keeps room for one request as long as the connection is open: a pointer's, not that of the whole way.
        Box::pin(async move {
            let version = request.version();
            let answer = connection.begin(STREAM.try_with(Arc::clone).ok());
            let current = live.current();
            let most = current.config.server.max_body_bytes.saturating_mul(2);
            let handle = |request| current.app().answer(request);
            let response = unread::answered(request, most, handle).await;
            Ok::<_, Infallible>(follow(response, version, answer))
        })
    });
    let builder = match spoken {
        Spoken::Http1 => builder().http1_only(),
        Spoken::Http2 => builder().http2_only(),
        Spoken::Unsaid => builder(),
    };
    let http = builder.serve_connection(TokioIo::new(socket), service);
    tokio::pin!(http);
    let (mut look, mut stopping) = (Instant::now(), false);
    // However a connection ends, its requests have been logged; an error here is a caller that went away.
    loop {
        tokio::select! {
            biased;
            ended = http.as_mut() => return drop(ended),
            () = connection.stopping(), if !stopping => {
                stopping = true;
                http.as_mut().graceful_shutdown();
            }
            () = connection.is_idle(), if stopping => break,
            () = tokio::time::sleep_until(look) => {
                let write_idle = live.current().config.server.write_idle;
                match connection.check(Instant::now(), write_idle) {
                    Verdict::Keep(until) => look = until,
                    Verdict::Retire => {
                        http.as_mut().graceful_shutdown();
                        break;
                    }
                    Verdict::Close => return,
                }
            }
        }
    }
    // No request is under way: only a farewell is.
    drop(tokio::time::timeout(FAREWELL, http).await);
}
