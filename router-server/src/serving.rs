//! Starts the server, keeps its sockets, and stops it without cutting anybody off before the drain time has passed.
//!
//! This is the one file that starts a background task. Connections live in a set that the accept loop owns, so nothing
//! outlives the server: what has not ended by the end of the drain time is aborted, and so is everything when
//! [`Running`] is dropped.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use prometheus::Registry;
use router_core::config::Config;
use router_core::router::ModelRouter;
use router_core::state::Replicas;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::MissedTickBehavior;
use tracing::warn;

use crate::follow::Follow;
use crate::live::Live;
use crate::live::RunFault;

/// How long a connection may stay silent between two requests, or take to send a request's head. Longer than the usual
/// pools of clients keep a connection (hyper's and reqwest's: 90 s), so that the client closes it first and no request
/// meets a closing connection.
const LONGEST_SILENCE: Duration = Duration::from_secs(120);

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
        &self.live.lasting.registry
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
        self.live.lasting.drain();
    }

    /// Accepts no more, lets open requests and streams end within the drain time of config, and cuts what is left.
    pub async fn stop(mut self) {
        self.live.lasting.drain();
        self.live.lasting.dashboard.close();
        self.stop.send_replace(true);
        if let Some(accepting) = self.accepting.take() {
            // It ends by itself; a panic in it would have nothing to tell us.
            drop(accepting.await);
        }
        let spans = async {
            if let Some(tracer) = self.live.lasting.tracer.clone() {
                tracer.close().await;
            }
        };
        tokio::join!(self.live.writer.flush(), spans);
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
    loop {
        second.tick().await;
        live.sample();
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
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(welcome(stream, Arc::clone(&live), stop.clone()));
                }
                Err(error) => {
                    // Out of file handles or the like: others may close some meanwhile.
                    warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            },
            Some(_) = connections.join_next() => {}
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
async fn welcome(stream: TcpStream, live: Arc<Live>, stop: watch::Receiver<bool>) {
    // An event of a stream leaves when it is written; a socket that refuses the option still works.
    drop(stream.set_nodelay(true));
    let handshakes = live.current().handshakes.clone();
    match handshakes {
        None => serve(stream, live, stop).await,
        Some(handshakes) => {
            if let Some(stream) = handshakes.make(stream).await {
                serve(stream, live, stop).await;
            }
        }
    }
}

async fn serve<S>(stream: S, live: Arc<Live>, mut stop: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(LONGEST_SILENCE);
    builder.http2().timer(TokioTimer::new());
    // Each request meets the configuration of its own moment, however long its connection has been open.
    let current =
        service_fn(move |request| TowerToHyperService::new(live.current().app()).call(request));
    let connection = builder.serve_connection(TokioIo::new(stream), current);
    tokio::pin!(connection);
    // However a connection ends, its requests have been logged; an error here is a caller that went away.
    tokio::select! {
        ended = connection.as_mut() => drop(ended),
        _ = stop.changed() => {
            connection.as_mut().graceful_shutdown();
            drop(connection.await);
        }
    }
}
