//! Sockets: accepting, serving, resetting and closing them.
//!
//! This is the one file that starts background tasks. Connections live in a set that the accept
//! loop owns, so nothing outlives the emulator. A handler that wants its connection reset answers
//! with the extension [`Reset`]; the connection then fails instead of answering, and the socket is
//! closed without lingering, so that the peer sees a reset and not an orderly end.

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::task::JoinSet;

/// Time that open connections get to finish once the emulator is stopped.
const DRAIN: Duration = Duration::from_secs(1);

/// Response extension: send nothing, reset the connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reset;

/// Starts serving; ends once `stop` says true, or its sender is gone.
pub(crate) fn start(
    listener: TcpListener,
    app: axum::Router,
    stop: watch::Receiver<bool>,
) -> JoinHandle<()> {
    #[expect(clippy::disallowed_methods, reason = "the emulator holds the handle and aborts it")]
    tokio::spawn(accept(listener, app, stop))
}

async fn accept(listener: TcpListener, app: axum::Router, mut stop: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(stream, app.clone(), stop.clone()));
                }
                // Out of file handles or the like: others may close some meanwhile.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            Some(_) = connections.join_next() => {}
            _ = stop.changed() => break,
        }
    }
    drop(listener);
    let drained = async { while connections.join_next().await.is_some() {} };
    // Dropping the set aborts the connections that are still open.
    drop(tokio::time::timeout(DRAIN, drained).await);
}

async fn serve(stream: TcpStream, app: axum::Router, mut stop: watch::Receiver<bool>) {
    // Small writes must leave as they are made: splitting them is what some scripts ask for.
    drop(stream.set_nodelay(true));
    let reset = Arc::new(AtomicBool::new(false));
    let socket = Socket { stream, reset: Arc::clone(&reset) };
    let app = TowerToHyperService::new(app);
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let answer = app.call(request.map(Body::new));
        let reset = Arc::clone(&reset);
        async move { resettable(answer.await, &reset) }
    });
    let builder = Builder::new(TokioExecutor::new());
    let connection = builder.serve_connection(TokioIo::new(socket), service);
    tokio::pin!(connection);
    // However a connection ends, the journal has what matters about its requests.
    tokio::select! {
        ended = connection.as_mut() => drop(ended),
        _ = stop.changed() => {
            connection.as_mut().graceful_shutdown();
            drop(connection.await);
        }
    }
}

fn resettable<E>(answer: Result<Response, E>, reset: &AtomicBool) -> io::Result<Response> {
    match answer {
        Ok(response) if response.extensions().get::<Reset>().is_none() => Ok(response),
        _ => {
            reset.store(true, Ordering::Relaxed);
            Err(io::ErrorKind::ConnectionReset.into())
        }
    }
}

/// A stream that can be told to vanish instead of closing.
#[derive(Debug)]
struct Socket {
    stream: TcpStream,
    reset: Arc<AtomicBool>,
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.reset.load(Ordering::Relaxed) {
            drop(self.stream.set_zero_linger());
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
