//! The threads that serve: each has a runtime of one thread and the connections that were handed to it. What they share lies
//! in [`Live`].
//!
//! A request never leaves its thread, so nothing wakes another one on its way, and the connections to upstreams are those of
//! its thread. Work that would hold up the other requests of a worker does not run here: the library parses large bodies on
//! the blocking pool, and files are read there.
//!
//! Connections are accepted in `serving.rs`, by a thread that is never busy. Sockets of their own (`SO_REUSEPORT`) would leave a
//! connection waiting behind a busy worker while another idles, spread few connections unevenly, and let a second server that
//! was started by mistake take half of the callers.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::warn;

use crate::connection::Connection;
use crate::crowd::Crowd;
use crate::http_connection::welcome;
use crate::load::Load;
use crate::load::least;
use crate::reload::Live;

/// The running threads. Dropping them closes all their sockets at once.
#[derive(Debug)]
pub(crate) struct Workers {
    all: Vec<Handle>,
    crowd: Arc<Mutex<Crowd>>,
    stop: watch::Sender<bool>,
    /// Threads end when it is gone.
    _kept: watch::Sender<()>,
}

/// A worker, seen from those who accept connections.
#[derive(Debug)]
struct Handle {
    inbox: mpsc::UnboundedSender<Fresh>,
    load: Arc<Load>,
    drained: oneshot::Receiver<()>,
}

/// A connection on its way to the worker that serves it.
#[derive(Debug)]
struct Fresh {
    stream: std::net::TcpStream,
    connection: Arc<Connection>,
    place: Place,
}

/// A connection's place among those that there may be. It is free again when this is dropped, even by a panic.
#[derive(Debug)]
struct Place {
    crowd: Arc<Mutex<Crowd>>,
    number: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        locked(&self.crowd).leave(self.number);
    }
}

/// No worker takes the connection.
#[derive(Debug)]
pub(crate) enum Refused {
    /// Requests are under way on all connections that there may be.
    Full,
    /// The socket or the worker failed.
    Failed,
}

struct Worker {
    live: Arc<Live>,
    inbox: mpsc::UnboundedReceiver<Fresh>,
    stop: watch::Receiver<bool>,
    serving: JoinSet<()>,
    /// Signals that every connection of this worker has ended.
    drained: oneshot::Sender<()>,
}

impl Workers {
    /// Starts `workers` threads, each with a runtime of its own.
    ///
    /// # Errors
    /// The system gives no thread, or a runtime cannot watch its sockets.
    pub(crate) fn start(live: &Arc<Live>, workers: usize) -> io::Result<Self> {
        let (stop, stopped) = watch::channel(false);
        let (kept, ended) = watch::channel(());
        let crowd = Arc::new(Mutex::new(Crowd::new(live.process.bounds.connections.clone())));
        let mut all = Vec::with_capacity(workers);
        for number in 0..workers {
            let (inbox, fresh) = mpsc::unbounded_channel();
            let (done, drained) = oneshot::channel();
            let worker = Worker {
                live: Arc::clone(live),
                inbox: fresh,
                stop: stopped.clone(),
                serving: JoinSet::new(),
                drained: done,
            };
            let ended = ended.clone();
            let (built, outcome) = std::sync::mpsc::channel();
            // The runtime is built where it runs: it must not be dropped on a thread of another one.
            let work = move || match Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => {
                    drop(built.send(Ok(())));
                    worker.work(runtime, ended);
                }
                Err(fault) => drop(built.send(Err(fault))),
            };
            std::thread::Builder::new().name(format!("worker-{number}")).spawn(work)?;
            outcome.recv().unwrap_or_else(|_| Err(io::ErrorKind::BrokenPipe.into()))?;
            all.push(Handle { inbox, load: Arc::default(), drained });
        }
        Ok(Self { all, crowd, stop, _kept: kept })
    }

    /// Hands a fresh connection to the least busy worker that is alive, unless `most` connections are open. This also bounds
    /// the inboxes.
    pub(crate) fn hand_over(&self, stream: TcpStream, most: usize) -> Result<(), Refused> {
        let mut stream = stream.into_std().map_err(|_| Refused::Failed)?;
        loop {
            // A worker that died takes nothing out of its inbox, so that it would seem to be the least busy one.
            let alive = self.all.iter().filter(|worker| !worker.inbox.is_closed());
            let worker = least(alive, |worker| &worker.load).ok_or(Refused::Failed)?;
            let fresh = self.admitted(stream, &worker.load, most)?;
            match worker.inbox.send(fresh) {
                Ok(()) => return Ok(()),
                // It died just now.
                Err(unsent) => stream = unsent.0.stream,
            }
        }
    }

    /// A connection with its place.
    fn admitted(
        &self,
        stream: std::net::TcpStream,
        load: &Arc<Load>,
        most: usize,
    ) -> Result<Fresh, Refused> {
        let mut crowd = locked(&self.crowd);
        if !crowd.make_room(most) {
            return Err(Refused::Full);
        }
        let connection = Arc::new(Connection::new(Instant::now(), Arc::clone(load)));
        let number = crowd.enter(&connection);
        Ok(Fresh { stream, connection, place: Place { crowd: Arc::clone(&self.crowd), number } })
    }

    /// Closes the most dispensable connection, where one can be spared.
    pub(crate) fn dismiss(&self) {
        locked(&self.crowd).dismiss();
    }

    /// Lets open requests end within the drain time, and aborts the rest.
    pub(crate) async fn stop(self) {
        self.stop.send_replace(true);
        // No more are accepted by now.
        locked(&self.crowd).stop();
        for worker in self.all {
            // A worker that panicked has nothing left to drain.
            drop(worker.drained.await);
        }
    }
}

impl Worker {
    /// Serves on this thread until the server ends all workers.
    fn work(self, runtime: Runtime, mut ended: watch::Receiver<()>) {
        runtime.block_on(async {
            let serving = async {
                self.serve().await;
                // Others may still wait for what this thread has begun, such as a token.
                std::future::pending::<()>().await;
            };
            tokio::select! {
                () = serving => {}
                _ = ended.changed() => {}
            }
        });
        // Tasks of the blocking pool are not awaited.
        runtime.shutdown_background();
    }

    async fn serve(mut self) {
        while !*self.stop.borrow() {
            tokio::select! {
                Some(fresh) = self.inbox.recv() => self.begin(fresh),
                Some(_) = self.serving.join_next() => {}
                _ = self.stop.changed() => {}
            }
        }
        let drain = self.live.current().config.server.drain;
        if tokio::time::timeout(drain, self.drain()).await.is_err() {
            let connections = self.serving.len();
            warn!(connections, "requests were cut at the end of the drain time");
            // Afterwards all of them are accounted for.
            self.serving.shutdown().await;
        }
        // The receiver is gone if the server was dropped rather than stopped.
        match self.drained.send(()) {
            Ok(()) | Err(()) => {}
        }
    }

    /// Returns once every connection has ended.
    async fn drain(&mut self) {
        loop {
            // Connections that were handed over before the server was stopped.
            while let Ok(fresh) = self.inbox.try_recv() {
                self.begin(fresh);
            }
            if self.serving.join_next().await.is_none() {
                return;
            }
        }
    }

    fn begin(&mut self, fresh: Fresh) {
        let Fresh { stream, connection, place } = fresh;
        let Ok(stream) = TcpStream::from_std(stream) else { return };
        let live = Arc::clone(&self.live);
        self.serving.spawn(async move {
            let _place = place;
            tokio::select! {
                biased;
                () = connection.closing() => {}
                () = welcome(stream, live, Arc::clone(&connection)) => {}
            }
        });
    }
}

/// A lock that a panic left behind still holds a whole value.
fn locked(crowd: &Mutex<Crowd>) -> MutexGuard<'_, Crowd> {
    crowd.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A worker whose inbox the test reads itself.
    fn worker() -> (Handle, mpsc::UnboundedReceiver<Fresh>) {
        let (inbox, fresh) = mpsc::unbounded_channel();
        let (_, drained) = oneshot::channel();
        (Handle { inbox, load: Arc::default(), drained }, fresh)
    }

    async fn accepted() -> TcpStream {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (connected, accepted) = tokio::join!(TcpStream::connect(addr), listener.accept());
        connected.unwrap();
        accepted.unwrap().0
    }

    #[tokio::test]
    async fn a_worker_that_died_is_not_chosen_and_what_is_lost_keeps_no_place() {
        let ((dead, gone), (alive, mut inbox)) = (worker(), worker());
        drop(gone);
        let (stop, _) = watch::channel(false);
        let (kept, _) = watch::channel(());
        let crowd = Arc::new(Mutex::new(Crowd::default()));
        let workers = Workers { all: vec![dead, alive], crowd, stop, _kept: kept };
        for _ in 0..2 {
            assert!(workers.hand_over(accepted().await, 2).is_ok());
        }
        // Both are served by the one that lives.
        let fresh = [inbox.try_recv().unwrap(), inbox.try_recv().unwrap()];
        assert_eq!(locked(&workers.crowd).len(), 2);
        drop(fresh);
        assert_eq!(locked(&workers.crowd).len(), 0);
        drop(inbox);
        assert!(matches!(workers.hand_over(accepted().await, 2), Err(Refused::Failed)));
        assert_eq!(locked(&workers.crowd).len(), 0);
    }

    /// A panicking task drops its state, which frees the place.
    #[tokio::test]
    async fn a_connection_whose_task_panics_leaves_its_place() {
        let crowd = Arc::new(Mutex::new(Crowd::default()));
        let connection = Arc::new(Connection::new(Instant::now(), Arc::default()));
        let number = locked(&crowd).enter(&connection);
        let place = Place { crowd: Arc::clone(&crowd), number };
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let _place = place;
            std::panic::resume_unwind(Box::new("a bug"));
        });
        assert!(serving.join_next().await.unwrap().is_err());
        assert_eq!(locked(&crowd).len(), 0);
    }
}
