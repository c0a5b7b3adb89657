//! Relays a stream as bytes, event by event, and observes it: first content, usage, and how it
//! ends.
//!
//! [`Relay::open`] holds everything until the first content byte, so that another deployment can
//! answer if anything fails before it. After it nothing is retried: a fault then ends the stream
//! with an error event, because a stream that merely stops looks like a complete answer to every
//! client library.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use serde_json::json;
use tokio::time::{Instant, Sleep};

use crate::chat::Operation;
use crate::chat::Reported;
use crate::chat::Usage;
use crate::chat::error_event;
use crate::chat::stream::Splitter;
use crate::error_kind::Kind;
use crate::memory::Held;
use crate::model::ServiceTier;
use crate::upstream::ReplyBody;
use crate::upstream::Unreachable;

pub(crate) use super::stream_end::{How, StreamEnd};
pub(crate) use super::watch::Watch;

use super::outbox::Outbox;
use super::seen::{Seen, Verdict};
use super::watch::{HELD_EVENT_BYTES, LINGER};

/// The reason why a stream ended before its first content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotOpened {
    /// It reported an error.
    Error(Reported),
    /// It broke off, ended, or sent what is no event.
    Broken,
    /// No content came in time.
    Timeout,
}

type OnEnd = Box<dyn FnOnce(&StreamEnd) + Send>;

/// A stream past its first content, to be passed on.
pub(crate) struct Relay {
    body: ReplyBody,
    splitter: Splitter,
    /// Events that wait to be passed on.
    ready: Outbox,
    seen: Seen,
    watch: Watch,
    /// Times at which bytes last arrived and last left.
    heard: Instant,
    told: Instant,
    /// Goes off when either has been long ago.
    silence: Pin<Box<Sleep>>,
    phase: Phase,
    /// Once the upstream has said all: when it did, and how many events the caller has yet to take, the last included.
    over: Option<Over>,
    /// The room of what was held back, until it has gone on.
    preamble: Option<Held>,
    on_end: Vec<OnEnd>,
}

/// A stream that has come to its end.
#[derive(Debug, Clone, Copy)]
struct Over {
    since: Instant,
    left: usize,
}

impl std::fmt::Debug for Relay {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Relay").field("seen", &self.seen).finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    Ended(How),
}

/// Says nothing, so that nobody on the way takes a long thought for a dead connection.
pub(crate) const KEEP_ALIVE: &str = ": keep-alive\n\n";

/// The event that ends a stream that the upstream did not end.
const CUT_OFF: Kind = Kind::StreamInterrupted;

impl Relay {
    /// Reads up to the first content, which is held back with all before it, within the memory that there is.
    ///
    /// # Errors
    /// The stream ended before its first content; nothing was passed on.
    pub(crate) async fn open(body: ReplyBody, watch: Watch, held: Held) -> Result<Self, NotOpened> {
        let now = Instant::now();
        let mut relay = Self {
            body,
            splitter: Splitter::default(),
            ready: Outbox::default(),
            seen: Seen::default(),
            watch,
            heard: now,
            told: now,
            silence: Box::pin(tokio::time::sleep_until(watch.content_by)),
            phase: Phase::Open,
            over: None,
            preamble: None,
            on_end: Vec::with_capacity(2),
        };
        let mut preamble = 0;
        while !relay.is_committed() {
            let next = relay.next_in_time().await;
            let bytes = next.ok_or(NotOpened::Timeout)?;
            let bytes = bytes.and_then(Result::ok).ok_or(NotOpened::Broken)?;
            preamble += bytes.len();
            held.grow(bytes.len()).map_err(|_| NotOpened::Broken)?;
            relay.splitter.push(bytes);
            relay.take_in()?;
            let held = preamble + relay.ready.len() * HELD_EVENT_BYTES;
            if !relay.is_committed() && held > watch.max_preamble_bytes {
                return Err(NotOpened::Broken);
            }
        }
        relay.preamble = Some(held);
        (relay.heard, relay.told) = (Instant::now(), Instant::now());
        relay.listen();
        Ok(relay)
    }

    /// The next bytes before the deadline of the first content; `None` if none arrive. One timer serves all of them.
    async fn next_in_time(&mut self) -> Option<Option<Result<Bytes, Unreachable>>> {
        let Self { body, silence, .. } = self;
        poll_fn(|context| match body.as_mut().poll_next(context) {
            Poll::Ready(next) => Poll::Ready(Some(next)),
            Poll::Pending => silence.as_mut().poll(context).map(|()| None),
        })
        .await
    }

    /// True once the caller gets something that no other deployment may answer in its place.
    fn is_committed(&self) -> bool {
        self.seen.committed() || (self.watch.background && self.seen.response_id.is_some())
    }

    /// Has `then` called once: at the stream's end, or when it is dropped before.
    pub(crate) fn on_end(&mut self, then: impl FnOnce(&StreamEnd) + Send + 'static) {
        self.on_end.push(Box::new(then));
    }

    /// The id of the response that is streamed, where it has one.
    pub(crate) fn response_id(&self) -> Option<&str> {
        self.seen.response_id.as_deref()
    }

    /// The service tier that the stream has named so far.
    pub(crate) fn tier(&self) -> Option<ServiceTier> {
        self.seen.tier
    }

    /// Moves whole events to what is ready. It fails only before any content; after it, the same faults end the stream
    /// with an error event.
    fn take_in(&mut self) -> Result<(), NotOpened> {
        let waiting = self.ready.len();
        while let Some(event) = self.splitter.split_event() {
            if self.over.is_some() {
                // Some services send another `[DONE]`.
                self.ready.push(event);
                continue;
            }
            let before_content = !self.is_committed();
            match self.seen.event(&event, self.watch.withhold_usage) {
                Verdict::Error(reported) if before_content => {
                    return Err(NotOpened::Error(reported));
                }
                Verdict::Malformed | Verdict::Cut if before_content => {
                    return Err(NotOpened::Broken);
                }
                Verdict::Pass | Verdict::Foreign => self.pass(event, waiting),
                Verdict::Withhold => {}
                Verdict::Error(reported) => {
                    self.ready.push(event);
                    self.phase = Phase::Ended(how_of(&reported));
                    return Ok(());
                }
                // Passed on, it would break the client that reads it.
                Verdict::Malformed | Verdict::Cut => {
                    self.interrupt();
                    return Ok(());
                }
            }
            if self.seen.is_over() {
                self.over = Some(Over { since: Instant::now(), left: self.ready.len() });
                self.listen();
            }
        }
        let too_long = self.splitter.held() > self.watch.max_event_bytes;
        if too_long && !self.is_committed() {
            return Err(NotOpened::Broken);
        }
        if too_long {
            self.break_off();
        }
        Ok(())
    }

    /// Passes an event on: in one piece with the one before it if both came with the same bytes, so that one write sends them. In
    /// the Responses API each is looked at once more.
    fn pass(&mut self, event: BytesMut, waiting: usize) {
        if self.seen.next.is_none() && self.ready.len() > waiting {
            self.ready.join(event);
        } else {
            self.ready.push(event);
        }
    }

    /// Wakes up when the upstream or we have been silent for too long.
    fn listen(&mut self) {
        let until = (self.heard + self.watch.idle).min(self.told + self.watch.heartbeat);
        let until = self.over.map_or(until, |over| over.since + LINGER);
        self.silence.as_mut().reset(until);
    }

    /// It has been silent for a while: too long, or long enough for a comment.
    fn silent(&mut self) {
        let now = Instant::now();
        if self.over.is_some() || now >= self.heard + self.watch.idle {
            return self.break_off();
        }
        if now >= self.told + self.watch.heartbeat {
            self.ready.push(KEEP_ALIVE.as_bytes().into());
            self.told = now;
        }
        self.listen();
    }

    /// Nothing more comes; what breaks after the last event has lost nothing.
    fn break_off(&mut self) {
        if self.seen.is_over() {
            self.phase = Phase::Ended(How::Whole);
        } else {
            self.interrupt();
        }
    }

    /// Ends the stream with an error event of our own.
    fn interrupt(&mut self) {
        let operation =
            if self.seen.next.is_some() { Operation::Responses } else { Operation::Chat };
        let error = json!({"error": {
            "message": "the upstream broke off in the middle of its answer",
            "type": CUT_OFF.error_type(), "param": null, "code": CUT_OFF.as_str(),
        }});
        let sequence = self.seen.next.unwrap_or_default();
        self.ready.push(error_event(operation, sequence, &error).into());
        self.phase = Phase::Ended(How::Interrupted);
    }

    /// The upstream has no more bytes: whole only if it said why it ended.
    fn close(&mut self) {
        let rest = self.splitter.rest();
        if self.over.is_some() {
            if !rest.is_empty() {
                self.ready.push(rest.into());
            }
            self.phase = Phase::Ended(How::Whole);
            return;
        }
        if !rest.trim_ascii().is_empty() {
            // A last event without its empty line.
            match self.seen.event(&rest, self.watch.withhold_usage) {
                Verdict::Pass => {
                    let mut event = BytesMut::from(rest);
                    event.extend_from_slice(b"\n\n");
                    self.ready.push(event);
                }
                Verdict::Withhold => {}
                Verdict::Error(_) | Verdict::Foreign | Verdict::Malformed | Verdict::Cut => {
                    return self.interrupt();
                }
            }
        } else if !rest.is_empty() {
            // The second half of a line end whose first half ended the last event.
            self.ready.push(rest.into());
        }
        if self.seen.is_whole() {
            self.phase = Phase::Ended(How::Whole);
        } else {
            self.interrupt();
        }
    }

    /// The bytes that go on next. In the Responses API each event is looked at once more.
    fn piece(&mut self) -> Option<Bytes> {
        let (piece, events) = self.ready.take(self.seen.next.is_some())?;
        // It has gone on as soon as it was heard, or is a comment of ours.
        self.told = self.told.max(self.heard);
        if let Some(over) = &mut self.over {
            over.left = over.left.saturating_sub(events);
        }
        Some(piece)
    }

    /// Tells how it went, once.
    fn report(&mut self, how: How) {
        if self.on_end.is_empty() {
            return;
        }
        let seen = std::mem::take(&mut self.seen);
        let (tier, hosted) = (seen.tier.unwrap_or_default(), seen.hosted());
        let end = StreamEnd {
            usage: seen.usage.map(|usage| Usage { tier, hosted, ..usage }),
            tier,
            hosted,
            content_bytes: seen.content_bytes,
            response_id: seen.response_id,
            model: seen.model,
            finish_reason: seen.finish_reason,
            how,
        };
        for then in self.on_end.drain(..) {
            then(&end);
        }
    }
}

/// An error of the request's own is no fault of the deployment.
fn how_of(reported: &Reported) -> How {
    match reported.status {
        Some(408 | 429) | None => How::Interrupted,
        Some(status) if (400..500).contains(&status) => How::Rejected,
        Some(_) => How::Interrupted,
    }
}

impl Stream for Relay {
    type Item = Bytes;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let relay = self.get_mut();
        loop {
            if relay.ready.is_empty() {
                relay.preamble = None;
            }
            let over = relay.phase != Phase::Open;
            if relay.ready.is_full() || over && !relay.ready.is_empty() {
                return Poll::Ready(relay.piece());
            }
            if let Phase::Ended(how) = relay.phase {
                relay.report(how);
                return Poll::Ready(None);
            }
            match relay.body.as_mut().poll_next(context) {
                Poll::Ready(Some(Ok(bytes))) => {
                    relay.heard = Instant::now();
                    relay.splitter.push(bytes);
                    // After content faults end the stream inside `take_in`.
                    if relay.take_in().is_err() {
                        relay.interrupt();
                    }
                }
                Poll::Ready(Some(Err(_))) => relay.break_off(),
                Poll::Ready(None) => relay.close(),
                Poll::Pending if !relay.ready.is_empty() => {
                    // The end is not waited for: it may come late.
                    if relay.over.is_none() && relay.ready.waits(context) {
                        return Poll::Pending;
                    }
                    return Poll::Ready(relay.piece());
                }
                Poll::Pending => {
                    std::task::ready!(relay.silence.as_mut().poll(context));
                    relay.silent();
                }
            }
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let taken = self.over.is_some_and(|over| over.left == 0);
        let how = match self.phase {
            Phase::Open if taken => How::Whole,
            Phase::Ended(how) if taken || self.ready.is_empty() => how,
            Phase::Ended(_) | Phase::Open => How::HungUp,
        };
        self.report(how);
    }
}
