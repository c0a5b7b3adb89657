//! The state of one caller's connection: whether a request has begun, how many are running, whether
//! the reader accepts data, and when it must close.
//!
//! A request is running until the last byte of its answer is in the socket: each piece of an answer
//! that is handed to the connection keeps the answer alive, and with it the request's slots.
//!
//! It closes nothing: `http_connection.rs` applies the result of [`Connection::check`].

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::handlers::intake::Occupied;
use crate::load::Load;

/// Time limit of the first request's head, from the moment at which the connection was accepted: a TLS handshake and
/// finding out the version of HTTP are part of it.
pub(crate) const FIRST_HEAD: Duration = Duration::from_secs(10);

/// Time limit of idleness between two requests. It is longer than the usual pools of clients keep a connection (hyper's and
/// reqwest's: 90 s), so that the client closes it first and no request meets a closing connection.
pub(crate) const LONGEST_SILENCE: Duration = Duration::from_secs(120);

/// The longest time between two looks at a connection.
const LOOK: Duration = Duration::from_secs(15);

/// The next step for a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing; look again at this moment.
    Keep(Instant),
    /// It has been idle for too long: it ends as its protocol ends one.
    Retire,
    /// It is closed at once: no request came, or its reader accepts nothing.
    Close,
}

/// The requests to end a connection: after its running requests, or at once.
const STOP: u8 = 1;
const CLOSE: u8 = 2;

/// A connection.
#[derive(Debug)]
pub(crate) struct Connection {
    accepted: Instant,
    /// True once a request has begun.
    begun: AtomicBool,
    /// Running requests.
    open: AtomicUsize,
    /// Time of its last becoming idle, and of the socket's last progress; in milliseconds since it was accepted.
    idle_since: AtomicU64,
    written: AtomicU64,
    answers: Mutex<Vec<Weak<Answer>>>,
    idle: Notify,
    /// [`STOP`], [`CLOSE`], or both. An atomic, because every poll of the connection reads it.
    told: AtomicU8,
    attention: AtomicWaker,
    /// Of the worker that serves it.
    load: Arc<Load>,
}

impl Connection {
    pub(crate) fn new(accepted: Instant, load: Arc<Load>) -> Self {
        load.accepted();
        Self {
            accepted,
            begun: AtomicBool::new(false),
            open: AtomicUsize::new(0),
            idle_since: AtomicU64::new(0),
            written: AtomicU64::new(0),
            answers: Mutex::default(),
            idle: Notify::new(),
            told: AtomicU8::new(0),
            attention: AtomicWaker::new(),
            load,
        }
    }

    /// A request begins. `reset` ends its stream alone; `None` on HTTP/1, where the connection ends.
    pub(crate) fn begin(self: &Arc<Self>, reset: Option<Arc<Notify>>) -> Arc<Answer> {
        // The first one counts since the connection was accepted.
        if self.begun.swap(true, Ordering::Relaxed) {
            self.load.begun();
        }
        self.open.fetch_add(1, Ordering::Relaxed);
        let answer = Arc::new(Answer {
            connection: Arc::clone(self),
            reset,
            was_reset: AtomicBool::new(false),
            // The router is at work: the reader is not waited for.
            reader: AtomicBool::new(false),
            unwritten: AtomicUsize::new(0),
            moved: AtomicU64::new(0),
            drained: AtomicWaker::new(),
            occupied: Mutex::new(None),
        });
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.retain(|answer| answer.strong_count() > 0);
        answers.push(Arc::downgrade(&answer));
        drop(answers);
        answer
    }

    /// Returns when no request is under way.
    pub(crate) async fn is_idle(&self) {
        loop {
            let idle = self.idle.notified();
            if self.open.load(Ordering::Relaxed) == 0 {
                return;
            }
            idle.await;
        }
    }

    /// From now on it shall close.
    pub(crate) fn close(&self) {
        self.tell(CLOSE);
    }

    /// From now on it takes no further request.
    pub(crate) fn stop(&self) {
        self.tell(STOP);
    }

    fn tell(&self, what: u8) {
        self.told.fetch_or(what, Ordering::Release);
        self.attention.wake();
    }

    fn is_told(&self, what: u8, context: &Context<'_>) -> Poll<()> {
        self.attention.register(context.waker());
        if self.told.load(Ordering::Acquire) & what == 0 { Poll::Pending } else { Poll::Ready(()) }
    }

    /// Returns when it shall close. Only the task that serves the connection may wait.
    pub(crate) async fn closing(&self) {
        poll_fn(|context| self.is_told(CLOSE, context)).await;
    }

    /// Returns when it shall take no further request. Only the task that serves the connection may wait.
    pub(crate) async fn stopping(&self) {
        poll_fn(|context| self.is_told(STOP, context)).await;
    }

    /// Its rank for closing, if no request is running: connections without any request first, then those idle for longest.
    pub(crate) fn dispensable(&self) -> Option<(bool, Instant)> {
        let idle = self.open.load(Ordering::Relaxed) == 0;
        let since = self.accepted + Duration::from_millis(self.idle_since.load(Ordering::Relaxed));
        idle.then(|| (self.begun.load(Ordering::Relaxed), since))
    }

    /// The step that is due now, if a reader may accept nothing for `write_idle`.
    pub(crate) fn check(&self, now: Instant, write_idle: Duration) -> Verdict {
        let first_by = self.accepted + FIRST_HEAD;
        if !self.begun.load(Ordering::Relaxed) {
            return if now >= first_by { Verdict::Close } else { Verdict::Keep(first_by) };
        }
        let age = |at: &AtomicU64| {
            let at = self.accepted + Duration::from_millis(at.load(Ordering::Relaxed));
            now.saturating_duration_since(at)
        };
        if self.open.load(Ordering::Relaxed) == 0 && age(&self.idle_since) >= LONGEST_SILENCE {
            return Verdict::Retire;
        }
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let stalled = answers.iter().filter_map(Weak::upgrade);
        let stalled =
            stalled.filter(|answer| answer.waits_for_reader() && age(&answer.moved) >= write_idle);
        // An HTTP/2 stream ends alone. If its rest stays unread even then, the connection ends.
        let hopeless = |answer: Arc<Answer>| match &answer.reset {
            None => age(&self.written) >= write_idle,
            Some(_) if answer.was_reset.swap(true, Ordering::Relaxed) => true,
            Some(reset) => {
                reset.notify_one();
                false
            }
        };
        let close = stalled.map(hopeless).fold(false, |any, one| any | one);
        if close { Verdict::Close } else { Verdict::Keep(now + (write_idle / 4).min(LOOK)) }
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.accepted.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if !self.begun.load(Ordering::Relaxed) {
            self.load.ended();
        }
        self.load.closed();
    }
}

/// A request's answer, from the request's head until the answer's last byte is in the socket.
#[derive(Debug)]
pub(crate) struct Answer {
    connection: Arc<Connection>,
    reset: Option<Arc<Notify>>,
    was_reset: AtomicBool,
    /// True while there is something to send that the reader has not made room for.
    reader: AtomicBool,
    /// Pieces handed to the connection and not yet written.
    unwritten: AtomicUsize,
    /// Time of its last progress, in milliseconds since the connection was accepted.
    moved: AtomicU64,
    /// Woken when nothing is unwritten.
    drained: AtomicWaker,
    occupied: Mutex<Option<Occupied>>,
}

impl Answer {
    /// Keeps the request's slots for as long as the answer lasts.
    pub(crate) fn occupies(&self, occupied: Option<Occupied>) {
        *self.occupied.lock().unwrap_or_else(PoisonError::into_inner) = occupied;
    }

    /// The next piece, which counts as unwritten until the connection drops it.
    pub(crate) fn hand_over(self: &Arc<Self>, bytes: Bytes) -> Bytes {
        self.unwritten.fetch_add(1, Ordering::Relaxed);
        self.moves();
        self.reader.store(true, Ordering::Relaxed);
        Bytes::from_owner(Piece { bytes, answer: Arc::clone(self) })
    }

    /// There is something to send, or nothing yet.
    pub(crate) fn reader_is_next(&self, is: bool) {
        if is {
            self.moves();
        }
        self.reader.store(is, Ordering::Relaxed);
    }

    /// Ready when all that was handed over has been written.
    pub(crate) fn poll_written(&self, context: &Context<'_>) -> Poll<()> {
        self.drained.register(context.waker());
        if self.all_written() { Poll::Ready(()) } else { Poll::Pending }
    }

    pub(crate) fn all_written(&self) -> bool {
        self.unwritten.load(Ordering::Acquire) == 0
    }

    fn waits_for_reader(&self) -> bool {
        self.reader.load(Ordering::Relaxed) || !self.all_written()
    }

    fn moves(&self) {
        self.moved.store(self.connection.millis(), Ordering::Relaxed);
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        let connection = &self.connection;
        connection.load.ended();
        if connection.open.fetch_sub(1, Ordering::Relaxed) == 1 {
            connection.idle_since.store(connection.millis(), Ordering::Relaxed);
            connection.idle.notify_waiters();
        }
    }
}

struct Piece {
    bytes: Bytes,
    answer: Arc<Answer>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.answer.moves();
        if self.answer.unwritten.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.answer.drained.wake();
        }
    }
}

/// A socket that notes when it took bytes.
#[derive(Debug)]
pub(crate) struct Noted<S> {
    pub(crate) socket: S,
    pub(crate) connection: Arc<Connection>,
}

impl<S> Noted<S> {
    fn note(&self, written: &Poll<std::io::Result<usize>>) {
        if matches!(written, Poll::Ready(Ok(_))) {
            self.connection.written.store(self.connection.millis(), Ordering::Relaxed);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Noted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(context, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Noted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(context, bytes);
        self.note(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(context, bytes);
        self.note(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests;
