//! Opens a connection to a host: TCP, TLS where the address asks for it, then HTTP/1.1 or HTTP/2.
//!
//! Not done here: which request uses a connection (`connections.rs`), and connections through a proxy (`dial.rs`).

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Uri;
use http_body::{Body, Frame, SizeHint};
use hyper::client::conn::{http1, http2};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tower::ServiceExt;

/// A connection that is silent for this long is probed by TCP, and again at each gap.
pub(super) const PROBE_AFTER: Duration = Duration::from_secs(15);
pub(super) const PROBE_GAP: Duration = Duration::from_secs(5);
pub(super) const PROBES: u32 = 3;
/// Time for which the peer's TCP may leave bytes unacknowledged.
pub(super) const UNACKNOWLEDGED: Duration = Duration::from_secs(15);
/// The most headers of a response; their bytes are bounded by the client's buffer of 400 KiB.
pub(super) const MAX_HEADERS: usize = 512;
/// A connection of HTTP/2 is pinged this often, idle or not, and closed if a ping is not answered in time.
pub(super) const PING_AFTER: Duration = Duration::from_secs(10);
pub(super) const PING_TIME: Duration = Duration::from_secs(5);
/// Bytes of an HTTP/2 response that may be in flight, which a caller who does not read can hold.
pub(super) const WINDOW: u32 = 512 << 10;

/// Opens connections to one host.
pub(super) struct Opener {
    origin: Uri,
    connector: HttpConnector,
    /// `None` if the address is `http`.
    tls: Option<(TlsConnector, ServerName<'static>)>,
    timeout: Duration,
}

/// The request side of an open connection.
pub(super) enum Sender {
    Http1(http1::SendRequest<Payload>),
    Http2(http2::SendRequest<Payload>),
}

impl Sender {
    /// False if no further request can be sent.
    pub(super) fn is_open(&self) -> bool {
        match self {
            Self::Http1(sender) => !sender.is_closed(),
            Self::Http2(sender) => !sender.is_closed(),
        }
    }
}

impl Opener {
    /// Opens connections to the host of `origin`. `None` if the address has no host.
    pub(super) fn new(origin: Uri, tls: rustls::ClientConfig, timeout: Duration) -> Option<Self> {
        let host = origin.host()?;
        let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let secure = origin.scheme_str() == Some("https");
        let tls = if secure {
            Some((TlsConnector::from(Arc::new(tls)), ServerName::try_from(name).ok()?))
        } else {
            None
        };
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(timeout));
        connector.set_keepalive(Some(PROBE_AFTER));
        connector.set_keepalive_interval(Some(PROBE_GAP));
        connector.set_keepalive_retries(Some(PROBES));
        #[cfg(target_os = "linux")]
        connector.set_tcp_user_timeout(Some(UNACKNOWLEDGED));
        Some(Self { origin, connector, tls, timeout })
    }

    /// Opens a connection and leaves it to a task that ends with it.
    pub(super) async fn open(&self) -> Result<Sender, Failed> {
        // Seldom needed and large: every request would carry the room for it.
        let opened = Box::pin(self.opened());
        tokio::time::timeout(self.timeout, opened).await.map_err(|_| Failed)?
    }

    async fn opened(&self) -> Result<Sender, Failed> {
        let connector = self.connector.clone();
        let stream = connector.oneshot(self.origin.clone()).await.map_err(|_| Failed)?;
        let Some((tls, name)) = &self.tls else { return http1(stream).await };
        let stream = tls.connect(name.clone(), stream.into_inner()).await.map_err(|_| Failed)?;
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let stream = TokioIo::new(stream);
        if http2 { self::http2(stream).await } else { http1(stream).await }
    }
}

/// No connection came about; the causes may name addresses, so that none is kept.
#[derive(Debug)]
pub(super) struct Failed;

async fn http1<S>(stream: TokioIo<S>) -> Result<Sender, Failed>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = http1::Builder::new();
    builder.max_headers(MAX_HEADERS);
    let (sender, connection) = builder.handshake(stream).await.map_err(|_| Failed)?;
    beside(connection);
    Ok(Sender::Http1(sender))
}

async fn http2<S>(stream: TokioIo<S>) -> Result<Sender, Failed>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .keep_alive_interval(PING_AFTER)
        .keep_alive_timeout(PING_TIME)
        .keep_alive_while_idle(true);
    let (sender, connection) = builder.handshake(stream).await.map_err(|_| Failed)?;
    beside(connection);
    Ok(Sender::Http2(sender))
}

/// Drives a connection until it closes: at its peer's wish, at a fault, or when its request side is dropped.
fn beside(connection: impl Future<Output = hyper::Result<()>> + Send + 'static) {
    #[expect(clippy::disallowed_methods, reason = "it ends with its connection")]
    drop(tokio::spawn(async move { drop(connection.await) }));
}

/// The body of a request, sent as it is.
#[derive(Debug, Default)]
pub(super) struct Payload(Option<Bytes>);

impl Payload {
    pub(super) fn new(bytes: Bytes) -> Self {
        Self(Some(bytes).filter(|bytes| !bytes.is_empty()))
    }
}

impl Body for Payload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.get_mut().0.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let left = self.0.as_ref().map_or(0, Bytes::len);
        SizeHint::with_exact(u64::try_from(left).unwrap_or(u64::MAX))
    }
}

impl std::fmt::Debug for Opener {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Opener").finish_non_exhaustive()
    }
}

/// True if a fault of the connection is that the other side did not answer in time.
pub(super) fn timed_out(fault: &hyper::Error) -> bool {
    if fault.is_timeout() {
        return true;
    }
    let mut next = std::error::Error::source(fault);
    while let Some(cause) = next {
        let io = cause.downcast_ref::<io::Error>();
        if io.is_some_and(|io| io.kind() == io::ErrorKind::TimedOut) {
            return true;
        }
        next = cause.source();
    }
    false
}
