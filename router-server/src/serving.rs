//! Starts the server, keeps its sockets, and stops it without cutting anybody off before the drain time has passed.
//!
//! This is the one file that starts a background task. Connections live in a set that the accept loop owns, so nothing
//! outlives the server: what has not ended by the end of the drain time is aborted, and so is everything when
//! [`Running`] is dropped.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use prometheus::Registry;
use router_core::config::Config;
use router_core::router::ModelRouter;
use router_core::state::Replicas;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior};
use tracing::warn;

use crate::connection::Connection;
use crate::connection::LONGEST_SILENCE;
use crate::connection::Noted;
use crate::connection::Verdict;
use crate::crowd::Crowd;
use crate::crowd::Seldom;
use crate::crowd::default_connections;
use crate::outgoing::follow;
use crate::reload::Live;
use crate::reload::RunFault;
use crate::state_dir;
use crate::watch::Follow;

/// How long a connection that has to end may take for it.
const FAREWELL: Duration = Duration::from_secs(1);
/// How often an HTTP/2 connection is asked for a sign of life, and how long it may take for one.
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// How many streams a connection of HTTP/2 may have at once, and how much each and all together may send unread.
const STREAMS: u32 = 200;
const STREAM_WINDOW: u32 = 256 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;
/// The longest head of a request, and what is buffered of an answer.
const HEAD_BYTES: u32 = 64 << 10;
const BUFFER_BYTES: usize = 128 << 10;
/// How many streams a peer may reset before they were handled.
const RESETS: usize = 64;

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartFault {
    /// The address cannot be listened at.
    #[error("cannot listen at {listen}: {source}")]
    Listen {
        /// The address that config names.
        listen: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The configuration cannot be run.
    #[error(transparent)]
    Run(#[from] RunFault),
}

/// A running server. Dropping it closes its sockets at once; [`Running::stop`] lets open requests end first.
#[derive(Debug)]
pub struct Running {
    live: Arc<Live>,
    addr: SocketAddr,
    stop: watch::Sender<bool>,
    accepting: Option<JoinHandle<()>>,
    sampling: JoinHandle<()>,
}

/// Starts a server: builds the router and listens where config says.
///
/// # Errors
/// Nothing listens then: the address is beyond this machine and callers show no key, it is taken, or the router cannot
/// be built.
pub async fn start(config: &Config) -> Result<Running, StartFault> {
    let listen = config.server.listen;
    let live = Arc::new(Live::new(config)?);
    let fault = |source| StartFault::Listen { listen, source };
    let listener = TcpListener::bind(listen).await.map_err(fault)?;
    let addr = listener.local_addr().map_err(fault)?;
    // Whoever watches from the first moment finds the deployments.
    live.sample();
    let (stop, stopped) = watch::channel(false);
    let replicas = live.current().router.replicas().cloned();
    let serving = accept(listener, Arc::clone(&live), stopped);
    let serving = beside_replicas(serving, replicas);
    #[expect(clippy::disallowed_methods, reason = "Running holds the handle and aborts it")]
    let accepting = Some(tokio::spawn(serving));
    #[expect(clippy::disallowed_methods, reason = "Running holds the handle and aborts it")]
    let sampling = tokio::spawn(sample(Arc::clone(&live)));
    Ok(Running { live, addr, stop, accepting, sampling })
}

impl Running {
    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// `http://` or `https://`, and the address.
    pub fn url(&self) -> String {
        let scheme = if self.live.current().handshakes.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.addr)
    }

    /// The router inside, under the configuration that runs now.
    pub fn router(&self) -> ModelRouter {
        self.live.current().router.clone()
    }

    /// The metrics.
    pub fn registry(&self) -> &Registry {
        &self.live.process.registry
    }

    /// Runs another configuration from the next request on; requests under way end under the one before it.
    ///
    /// `server.listen`, `server.log`, `replicas` and `traces` keep their values.
    ///
    /// # Errors
    /// It cannot be run; the one before it goes on, and log, metrics and `/readyz?verbose` say why.
    pub fn reload(&self, config: Config) -> Result<(), RunFault> {
        self.live.change(config).inspect_err(|fault| self.live.keep(fault))
    }

    /// Reloads the files at each of their changes and at SIGHUP, for as long as it is awaited.
    pub async fn follow(&self, files: Follow) {
        files.follow(&self.live).await;
    }

    /// From now on `/readyz` answers 503, so that load balancers look elsewhere; requests are still served.
    pub fn drain(&self) {
        self.live.process.drain();
    }

    /// Accepts no more, lets open requests and streams end within the drain time of config, and cuts what is left.
    pub async fn stop(mut self) {
        self.live.process.drain();
        self.live.process.dashboard.close();
        self.stop.send_replace(true);
        if let Some(accepting) = self.accepting.take() {
            // It ends by itself; a panic in it would have nothing to tell us.
            drop(accepting.await);
        }
        let spans = async {
            if let Some(tracer) = self.live.process.tracer.clone() {
                tracer.close().await;
            }
        };
        let live = Arc::clone(&self.live);
        let spending = tokio::task::spawn_blocking(move || live.keep_spending());
        let ((), (), _) = tokio::join!(self.live.writer.flush(), spans, spending);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(accepting) = &self.accepting {
            accepting.abort();
        }
        self.sampling.abort();
    }
}

/// Closes a second of the dashboard's each second.
async fn sample(live: Arc<Live>) {
    let mut second = tokio::time::interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Skip);
    second.tick().await;
    let mut kept = Instant::now();
    loop {
        second.tick().await;
        live.sample();
        if kept.elapsed() >= state_dir::EVERY {
            kept = Instant::now();
            let live = Arc::clone(&live);
            // The next second waits for a slow disk, no request does.
            drop(tokio::task::spawn_blocking(move || live.keep_spending()).await);
        }
    }
}

/// Keeps in touch with the other replicas while it serves, and no longer.
async fn beside_replicas(serving: impl Future<Output = ()>, replicas: Option<Arc<Replicas>>) {
    let Some(replicas) = replicas else { return serving.await };
    tokio::select! {
        () = serving => {}
        () = replicas.run() => {}
    }
}

async fn accept(listener: TcpListener, live: Arc<Live>, mut stop: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    let (mut crowd, by_default) = (Crowd::default(), default_connections());
    let (mut failed, mut full) = (Seldom::default(), Seldom::default());
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let most = live.current().config.server.max_connections.unwrap_or(by_default);
                    let now = Instant::now();
                    if !crowd.make_room(most) {
                        if let Some(count) = full.happened(now) {
                            warn!(count, most, "connections were refused: requests are under way on all that there may be");
                        }
                        continue;
                    }
                    let connection = Arc::new(Connection::new(now));
                    let number = crowd.enter(&connection);
                    let (live, stop) = (Arc::clone(&live), stop.clone());
                    connections.spawn(async move {
                        tokio::select! {
                            () = connection.closing() => {}
                            () = welcome(stream, live, Arc::clone(&connection), stop) => {}
                        }
                        number
                    });
                }
                Err(error) => {
                    // Out of file handles or the like: an idle connection gives way.
                    if let Some(count) = failed.happened(Instant::now()) {
                        warn!(%error, count, "connections could not be accepted");
                    }
                    crowd.dismiss();
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            },
            Some(ended) = connections.join_next() => {
                if let Ok(number) = ended {
                    crowd.leave(number);
                }
            }
            _ = stop.changed() => break,
        }
    }
    drop(listener);
    let drain = live.current().config.server.drain;
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(drain, drained).await.is_err() {
        warn!(connections = connections.len(), "requests were cut at the end of the drain time");
        // When this is done all of them have been accounted.
        connections.shutdown().await;
    }
}

/// Begins a connection as the configuration of the moment says, and serves it.
async fn welcome(
    stream: TcpStream,
    live: Arc<Live>,
    connection: Arc<Connection>,
    mut stop: watch::Receiver<bool>,
) {
    // An event of a stream leaves when it is written; a socket that refuses the option still works.
    drop(stream.set_nodelay(true));
    let handshakes = live.current().handshakes.clone();
    match handshakes {
        None => serve(stream, live, connection, stop).await,
        Some(handshakes) => {
            let made = tokio::select! {
                made = handshakes.make(stream) => made,
                _ = stop.changed() => None,
            };
            if let Some(stream) = made {
                serve(stream, live, connection, stop).await;
            }
        }
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

/// How connections are served.
fn builder() -> Builder<Streams> {
    let mut builder = Builder::new(Streams);
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(LONGEST_SILENCE)
        .max_buf_size(BUFFER_BYTES);
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

async fn serve<S>(
    stream: S,
    live: Arc<Live>,
    connection: Arc<Connection>,
    mut stop: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let socket = Noted { socket: stream, connection: Arc::clone(&connection) };
    // Each request meets the configuration of its own moment, however long its connection has been open.
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let (live, connection) = (Arc::clone(&live), Arc::clone(&connection));
        async move {
            let version = request.version();
            let answer = connection.begin(STREAM.try_with(Arc::clone).ok());
            let app = TowerToHyperService::new(live.current().app());
            app.call(request).await.map(|response| follow(response, version, answer))
        }
    });
    let builder = builder();
    let http = builder.serve_connection(TokioIo::new(socket), service);
    tokio::pin!(http);
    let (mut look, mut stopping) = (Instant::now(), false);
    // However a connection ends, its requests have been logged; an error here is a caller that went away.
    loop {
        tokio::select! {
            ended = http.as_mut() => return drop(ended),
            _ = stop.changed(), if !stopping => {
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
