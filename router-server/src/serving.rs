//! Starts the server, and stops it without interrupting requests before the drain time has passed.
//!
//! Nothing outlives the server: what has not finished by the end of the drain time is aborted, and
//! so is everything when [`Running`] is dropped. The threads of `workers.rs` serve requests. The
//! runtime that started the server runs the rest: accepting connections, dashboard samples, the
//! exchange with other replicas.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use prometheus::Registry;
use router_core::router::ModelRouter;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;
use tokio::time::MissedTickBehavior;
use tracing::warn;

use crate::config::Config;
use crate::crowd::Seldom;
use crate::crowd::default_connections;
use crate::dashboard;
use crate::notify;
use crate::notify::Noticed;
use crate::reload::Live;
use crate::reload::RunFault;
use crate::state_dir;
use crate::watch::Follow;
use crate::workers::Refused;
use crate::workers::Workers;

/// Pause after a failed accept.
const PAUSE: Duration = Duration::from_millis(10);

/// The reason why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartFault {
    /// The address cannot be listened at.
    #[error("server.listen: cannot listen at {listen}: {}", refused(source))]
    Listen {
        /// The address that config names.
        listen: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
    /// No thread could be started.
    #[error("no worker: {0}")]
    Worker(#[source] io::Error),
    /// The configuration cannot be run.
    #[error(transparent)]
    Run(#[from] RunFault),
}

/// The system's reason in words, and what helps.
fn refused(fault: &io::Error) -> String {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the system's own words do for the rest")]
    match fault.kind() {
        io::ErrorKind::AddrInUse => {
            "another program listens there; stop it or choose another port \
             (ROUTER__SERVER__LISTEN=127.0.0.1:8081)"
                .to_owned()
        }
        io::ErrorKind::PermissionDenied => {
            "permission denied; ports below 1024 need a privilege".to_owned()
        }
        io::ErrorKind::AddrNotAvailable => {
            "this machine has no such address; 0.0.0.0 stands for all that it has".to_owned()
        }
        _ => fault.to_string(),
    }
}

/// A running server. Dropping it closes its sockets at once; [`Running::stop`] lets open requests end first.
#[derive(Debug)]
pub struct Running {
    live: Arc<Live>,
    addr: SocketAddr,
    /// `None` once it stops.
    accepting: Option<Accepting>,
    beside: Vec<JoinHandle<()>>,
}

/// The task that accepts connections. It owns the workers, and gives them back when it is stopped.
#[derive(Debug)]
struct Accepting {
    stop: oneshot::Sender<()>,
    workers: JoinHandle<Workers>,
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
    let workers = Workers::start(&live, config.server.workers).map_err(StartFault::Worker)?;
    let (stop, stopped) = oneshot::channel();
    #[expect(clippy::disallowed_methods, reason = "Running holds the handle and aborts it")]
    let accepting = tokio::spawn(accept(listener, Arc::clone(&live), workers, stopped));
    let accepting = Some(Accepting { stop, workers: accepting });
    let mut running = Running { live, addr, accepting, beside: Vec::new() };
    running.beside(sample(Arc::clone(&running.live)));
    if let Some(replicas) = running.router().replicas().cloned() {
        running.beside(async move { replicas.run().await });
    }
    Ok(running)
}

impl Running {
    /// Runs a task for as long as the server runs.
    fn beside(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        #[expect(clippy::disallowed_methods, reason = "it is aborted with the server")]
        self.beside.push(tokio::spawn(task));
    }

    /// The address that it listens at.
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

    /// Runs another configuration from the next request on; running requests end under the one before it.
    ///
    /// `server.listen`, `server.workers`, `server.log`, `replicas` and `traces` keep their values.
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

    /// Accepts no more requests, lets open ones end within the configured drain time, and aborts the rest.
    pub async fn stop(mut self) {
        self.live.process.drain();
        self.live.process.dashboard.close();
        if let Some(Accepting { stop, workers }) = self.accepting.take() {
            drop(stop);
            // A panic in it has ended the workers.
            if let Ok(workers) = workers.await {
                workers.stop().await;
            }
        }
        let spans = async {
            if let Some(tracer) = self.live.process.tracer.clone() {
                tracer.close().await;
            }
        };
        let live = Arc::clone(&self.live);
        let spending = tokio::task::spawn_blocking(move || {
            live.keep_spending();
            live.keep_history();
        });
        let ((), (), _) = tokio::join!(self.live.writer.flush(), spans, spending);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(accepting) = &self.accepting {
            accepting.workers.abort();
        }
        self.beside.iter().for_each(JoinHandle::abort);
    }
}

/// Samples the dashboard each second, sends notices, and writes what survives a restart.
async fn sample(live: Arc<Live>) {
    let mut second = tokio::time::interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Skip);
    second.tick().await;
    let (mut kept, mut kept_history) = (Instant::now(), Instant::now());
    let (mut noticed, mut sending) = (Noticed::default(), JoinSet::new());
    loop {
        second.tick().await;
        live.sample();
        while sending.try_join_next().is_some() {}
        let room = notify::MOST.saturating_sub(sending.len());
        for notice in live.notices(&mut noticed, room) {
            sending.spawn(notice);
        }
        if kept.elapsed() >= state_dir::EVERY {
            kept = Instant::now();
            let live = Arc::clone(&live);
            // The next second waits for a slow disk, no request does.
            drop(tokio::task::spawn_blocking(move || live.keep_spending()).await);
        }
        if kept_history.elapsed() >= dashboard::KEEP_EVERY {
            kept_history = Instant::now();
            let live = Arc::clone(&live);
            drop(tokio::task::spawn_blocking(move || live.keep_history()).await);
        }
    }
}

/// Accepts connections and hands them to workers, until it is stopped.
async fn accept(
    listener: TcpListener,
    live: Arc<Live>,
    workers: Workers,
    mut stop: oneshot::Receiver<()>,
) -> Workers {
    let by_default = default_connections();
    let (mut failed, mut full) = (Seldom::default(), Seldom::default());
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = &mut stop => return workers,
        };
        let now = Instant::now();
        match accepted {
            Ok((stream, _)) => {
                let most = live.current().config.server.max_connections.unwrap_or(by_default);
                let refused = workers.hand_over(stream, most);
                let count = matches!(refused, Err(Refused::Full)).then(|| full.happened(now));
                if let Some(count) = count.flatten() {
                    warn!(
                        count,
                        most,
                        "connections were refused: requests are under way on all that there may be"
                    );
                }
            }
            Err(error) => {
                // The process is out of file handles or the like: an idle connection is closed.
                if let Some(count) = failed.happened(now) {
                    warn!(%error, count, "connections could not be accepted");
                }
                workers.dismiss();
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
