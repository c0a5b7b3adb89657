//! Keeps the open connections to one host and sends each request over one of them, which it has to itself until its response
//! has ended.
//!
//! Two requests never share a connection, over HTTP/2 no more than over HTTP/1.1: a caller who stops reading delays nobody else,
//! and a dead connection costs one request. A connection goes back when its response has ended, and closes once it is idle for
//! too long, or older than it may be. A response that never came condemns all connections that were open by then.
//!
//! A connection is driven by the runtime that opened it, so each runtime has its own: a request never waits for a thread other
//! than its own.
//!
//! Not done here: opening a connection (`opening.rs`), and noticing that a response does not come (`fallback`).

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use tokio::runtime::{Handle, Id};
use tokio::time::Instant;

use super::attempt::Unreachable;
use super::opening::{Failed, Opener, Payload, Sender, timed_out};

/// An idle connection is closed after this time.
pub(super) const POOL_IDLE: Duration = Duration::from_secs(90);
/// An attempt may have opened its connection shortly after it began.
const OPENING: Duration = Duration::from_secs(1);

/// The connections to one host.
#[derive(Debug)]
pub(super) struct Connections {
    opener: Opener,
    max_age: Duration,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    idle: Vec<Idle>,
    /// Connections opened before this moment serve no later request.
    condemned: Option<Instant>,
    /// True while a task closes those that are idle for too long.
    watched: bool,
}

/// A connection that waits for a request.
struct Idle {
    connection: Connection,
    since: Instant,
}

impl std::fmt::Debug for Idle {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Idle").field("since", &self.since).finish_non_exhaustive()
    }
}

struct Connection {
    sender: Sender,
    opened: Instant,
    /// The runtime that drives it; `None` outside any.
    runtime: Option<Id>,
}

/// A connection for one request.
pub(super) struct Leased {
    connection: Connection,
    pool: Arc<Connections>,
    /// True if it was opened for this request.
    pub(super) is_new: bool,
}

impl Connections {
    pub(super) fn new(opener: Opener, max_age: Duration) -> Arc<Self> {
        Arc::new(Self { opener, max_age, kept: Mutex::default() })
    }

    /// The connection for the next request: one that is idle, or a new one.
    pub(super) async fn lease(self: &Arc<Self>) -> Result<Leased, Failed> {
        match self.idle(Instant::now()) {
            Some(connection) => Ok(Leased { connection, pool: Arc::clone(self), is_new: false }),
            None => self.open().await,
        }
    }

    /// A new connection, for a request whose connection died under it. Idle ones are well, and stay.
    pub(super) async fn open(self: &Arc<Self>) -> Result<Leased, Failed> {
        let sender = self.opener.open().await?;
        let connection = Connection { sender, opened: Instant::now(), runtime: runtime() };
        Ok(Leased { connection, pool: Arc::clone(self), is_new: true })
    }

    /// The response to an attempt that began at `began` never came: later requests use new connections.
    pub(super) fn fell_silent(&self, began: Instant) {
        let now = Instant::now();
        let mut kept = self.kept();
        kept.condemned = kept.condemned.max(Some(now.min(began + OPENING)));
        let Kept { idle, condemned, .. } = &mut *kept;
        idle.retain(|one| Some(one.connection.opened) > *condemned);
    }

    /// The connection of this runtime that became idle last: those that a burst has opened fall idle, and close.
    fn idle(&self, now: Instant) -> Option<Connection> {
        let here = runtime();
        let mut kept = self.kept();
        loop {
            let at = kept.idle.iter().rposition(|one| one.connection.runtime == here)?;
            let Idle { connection, since } = kept.idle.remove(at);
            let young = now < connection.opened + self.max_age && now < since + POOL_IDLE;
            if young && connection.sender.is_open() {
                return Some(connection);
            }
        }
    }

    /// Takes a connection back whose response has ended.
    fn keep(self: &Arc<Self>, connection: Connection) {
        let now = Instant::now();
        let mut kept = self.kept();
        let condemned = kept.condemned.is_some_and(|before| connection.opened <= before);
        if condemned || !connection.sender.is_open() || now >= connection.opened + self.max_age {
            return;
        }
        kept.idle.push(Idle { connection, since: now });
        if !std::mem::replace(&mut kept.watched, true) {
            close_idle(Arc::downgrade(self));
        }
    }

    /// Closes connections that are idle for too long; false if none is left.
    fn close_old(&self, now: Instant) -> bool {
        let mut kept = self.kept();
        kept.idle.retain(|Idle { connection, since }| {
            let young = now < connection.opened + self.max_age && now < *since + POOL_IDLE;
            young && connection.sender.is_open()
        });
        kept.watched = !kept.idle.is_empty();
        kept.watched
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn runtime() -> Option<Id> {
    Handle::try_current().ok().map(|handle| handle.id())
}

/// Closes connections that are idle for too long, until none is left.
fn close_idle(pool: Weak<Connections>) {
    let closing = Closing(pool);
    #[expect(clippy::disallowed_methods, reason = "it ends with the last idle connection")]
    drop(tokio::spawn(async move {
        loop {
            tokio::time::sleep(POOL_IDLE / 9).await;
            let Some(pool) = closing.0.upgrade() else { return };
            if !pool.close_old(Instant::now()) {
                return;
            }
        }
    }));
}

/// The task that closes idle connections may end with its runtime; the next connection that falls idle starts another.
struct Closing(Weak<Connections>);

impl Drop for Closing {
    fn drop(&mut self) {
        if let Some(pool) = self.0.upgrade() {
            pool.kept().watched = false;
        }
    }
}

impl Leased {
    /// Sends the request and waits for the head of its response.
    pub(super) async fn send(
        mut self,
        request: Request<Payload>,
    ) -> Result<Response<Arriving>, hyper::Error> {
        let response = match &mut self.connection.sender {
            Sender::Http1(sender) => {
                // It has been when its last response ended; a connection that is closing says so here.
                if !sender.is_ready() {
                    sender.ready().await?;
                }
                sender.send_request(request).await?
            }
            Sender::Http2(sender) => sender.send_request(request).await?,
        };
        Ok(response.map(|body| Arriving::new(body, self)))
    }

    /// True for HTTP/2, where a request names the whole address.
    pub(super) fn is_http2(&self) -> bool {
        matches!(self.connection.sender, Sender::Http2(_))
    }
}

/// The body of a response as it arrives. Its connection goes back at its end.
pub(super) struct Arriving {
    body: Incoming,
    leased: Option<Leased>,
}

impl Arriving {
    fn new(body: Incoming, leased: Leased) -> Self {
        let mut arriving = Self { body, leased: Some(leased) };
        if arriving.body.is_end_stream() {
            arriving.give_back();
        }
        arriving
    }

    fn give_back(&mut self) {
        if let Some(Leased { connection, pool, .. }) = self.leased.take() {
            pool.keep(connection);
        }
    }
}

impl Stream for Arriving {
    type Item = Result<Bytes, Unreachable>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let arriving = self.get_mut();
        loop {
            match std::task::ready!(Pin::new(&mut arriving.body).poll_frame(context)) {
                None => {
                    arriving.give_back();
                    return Poll::Ready(None);
                }
                Some(Err(fault)) => {
                    arriving.leased = None;
                    return Poll::Ready(Some(Err(named(&fault))));
                }
                // Trailers say nothing here.
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data() {
                        return Poll::Ready(Some(Ok(bytes)));
                    }
                }
            }
        }
    }
}

impl Drop for Arriving {
    /// Over HTTP/2 an unread response is reset and its connection serves the next request; over HTTP/1.1 it closes.
    fn drop(&mut self) {
        let whole = self.body.is_end_stream();
        if whole || self.leased.as_ref().is_some_and(Leased::is_http2) {
            self.give_back();
        }
    }
}

/// Names the fault of a connection for its request.
pub(super) fn named(fault: &hyper::Error) -> Unreachable {
    if timed_out(fault) { Unreachable::Timeout } else { Unreachable::Broken }
}
