//! Reads answers that are not streamed, within their common memory budget, and relays the rest as
//! it arrives.
//!
//! An answer that is held completely can still fall back if it breaks off. A larger one goes to the
//! caller as it arrives, at the caller's pace, and needs no memory beyond what had been read
//! before. If it then breaks off, so does the caller's connection.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tokio::time::{Instant, Sleep};

use crate::chat::Usage;
use crate::memory::Budget;
use crate::memory::Held;
use crate::memory::MemoryShort;
use crate::memory::Share;
use crate::memory::default_budget;
use crate::upstream::Reading;
use crate::upstream::ReplyBody;
use crate::upstream::Unreachable;
use crate::upstream::Upstream;

use super::limits::Limits;
use super::relay::{How, StreamEnd};
use super::walk::Fallback;

/// The bytes kept of an answer's end, which contains its usage.
const TAIL: usize = 4 << 10;

/// The part of an answer that was read. The bytes hold their memory until they are dropped.
#[derive(Debug)]
pub(super) enum Part {
    /// All of it.
    Whole(Bytes),
    /// The most that one answer may have; there is more.
    TooLong(Vec<Bytes>),
    /// The most that fits into the memory; there is more.
    NoMemory(Vec<Bytes>),
}

/// Reads an answer within its bounds, as far as the budget of `account` goes.
pub(super) async fn read_part(
    body: &mut ReplyBody,
    bounds: Reading,
    account: Held,
) -> Result<Part, Unreachable> {
    let (mut pieces, mut length): (Vec<Bytes>, _) = (Vec::new(), 0);
    loop {
        let by = bounds.quiet_until.max(Instant::now() + bounds.idle);
        let next = tokio::time::timeout_at(by, body.next()).await;
        let Some(piece) = next.map_err(|_| Unreachable::Timeout)? else {
            return Ok(Part::Whole(account.keep(joined(pieces, length))));
        };
        let piece = piece?;
        length += piece.len();
        let room = account.grow(piece.len());
        // Bytes beyond the budget have been received anyway: they are relayed first.
        pieces.push(piece);
        if room.is_err() {
            return Ok(Part::NoMemory(accounted(pieces, &account)));
        }
        if length > bounds.most {
            return Ok(Part::TooLong(accounted(pieces, &account)));
        }
    }
}

/// All pieces as one.
fn joined(pieces: Vec<Bytes>, length: usize) -> Bytes {
    match <[Bytes; 1]>::try_from(pieces) {
        Ok([whole]) => whole,
        Err(pieces) => {
            let mut whole = Vec::with_capacity(length);
            for piece in &pieces {
                whole.extend_from_slice(piece);
            }
            whole.into()
        }
    }
}

/// Each piece with room of its own, so that it is free as soon as the piece has gone on.
fn accounted(pieces: Vec<Bytes>, together: &Held) -> Vec<Bytes> {
    together.release();
    let kept = pieces.into_iter().map(|piece| {
        let held = together.another();
        // One that finds no room now goes on without any.
        if held.grow(piece.len()).is_ok() { held.keep(piece) } else { piece }
    });
    kept.collect()
}

/// The reason why an answer is not there as a whole.
#[derive(Debug, Clone, Copy)]
pub(crate) enum NotWhole {
    /// It broke off, fell silent or is too long.
    Unreachable(Unreachable),
    /// There is no memory for it.
    Memory(MemoryShort),
}

/// The bytes that all answers that are not streamed may hold together.
pub(super) fn answer_memory(limits: &Limits) -> usize {
    limits.response_memory_bytes.unwrap_or_else(|| default_budget() / 2)
}

impl<U: Upstream> Fallback<U> {
    /// The memory that all answers that are not streamed share.
    pub(crate) fn response_memory(&self) -> &Arc<Budget> {
        &self.answers
    }

    /// The whole of an answer, within the limits. `share` is what its caller's key holds, if it may hold only a share.
    ///
    /// # Errors
    /// It broke off, fell silent, is too long, or there is no memory for it.
    pub(crate) async fn whole(
        &self,
        mut body: ReplyBody,
        share: Option<&Arc<Share>>,
    ) -> Result<Bytes, NotWhole> {
        let Limits { max_answer_bytes: most, idle_timeout: idle, .. } = self.limits;
        let bounds = Reading { most, idle, quiet_until: Instant::now() };
        match read_part(&mut body, bounds, self.answers.holder_of(share)).await {
            Ok(Part::Whole(bytes)) => Ok(bytes),
            Ok(Part::TooLong(_)) => Err(NotWhole::Unreachable(Unreachable::Broken)),
            Ok(Part::NoMemory(..)) => Err(NotWhole::Memory(MemoryShort)),
            Err(fault) => Err(NotWhole::Unreachable(fault)),
        }
    }
}

type OnEnd = Box<dyn FnOnce(&StreamEnd) + Send>;

/// An answer that is relayed as it arrives.
pub(crate) struct Passing {
    /// The bytes read before; the first are last.
    before: Vec<Bytes>,
    body: ReplyBody,
    id: Option<Box<str>>,
    idle: Duration,
    silence: Pin<Box<Sleep>>,
    tail: Vec<u8>,
    ended: Option<How>,
    on_end: Vec<OnEnd>,
}

impl std::fmt::Debug for Passing {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Passing").field("ended", &self.ended).finish_non_exhaustive()
    }
}

impl Passing {
    pub(super) fn new(read: Vec<Bytes>, body: ReplyBody, idle: Duration) -> Self {
        let id = read.first().and_then(|bytes| response_id(bytes));
        let before = read.into_iter().rev().collect();
        let silence = Box::pin(tokio::time::sleep(idle));
        let (tail, on_end) = (Vec::new(), Vec::with_capacity(2));
        Self { before, body, id, idle, silence, tail, ended: None, on_end }
    }

    /// Has `then` called once: at the answer's end, or when it is dropped before.
    pub(crate) fn on_end(&mut self, then: impl FnOnce(&StreamEnd) + Send + 'static) {
        self.on_end.push(Box::new(then));
    }

    /// The id of the stored response that it is, as far as that was read.
    pub(crate) fn response_id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    fn remember(&mut self, bytes: &Bytes) {
        let from = bytes.len().saturating_sub(TAIL);
        self.tail.extend_from_slice(bytes.get(from..).unwrap_or_default());
        let old = self.tail.len().saturating_sub(TAIL);
        self.tail.drain(..old);
    }

    fn report(&mut self, how: How) {
        if self.on_end.is_empty() {
            return;
        }
        let usage = Usage::at_end_of(&self.tail);
        let end = StreamEnd {
            usage,
            tier: usage.map(|usage| usage.tier).unwrap_or_default(),
            hosted: usage.map(|usage| usage.hosted).unwrap_or_default(),
            content_bytes: 0,
            response_id: self.id.take(),
            model: None,
            finish_reason: None,
            how,
        };
        for then in self.on_end.drain(..) {
            then(&end);
        }
    }
}

/// The id of a response of the Responses API, which stands near its beginning.
fn response_id(bytes: &[u8]) -> Option<Box<str>> {
    let start = bytes.get(..TAIL).unwrap_or(bytes);
    let at = memchr::memmem::find(start, b"\"resp_")? + 1;
    let rest = start.get(at..)?;
    let id = rest.get(..memchr::memchr(b'"', rest)?)?;
    std::str::from_utf8(id).ok().map(Box::from)
}

impl Stream for Passing {
    type Item = Result<Bytes, Unreachable>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let passing = self.get_mut();
        if let Some(bytes) = passing.before.pop() {
            passing.remember(&bytes);
            return Poll::Ready(Some(Ok(bytes)));
        }
        let broken = match passing.body.as_mut().poll_next(context) {
            Poll::Ready(Some(Ok(bytes))) => {
                passing.silence.as_mut().reset(Instant::now() + passing.idle);
                passing.remember(&bytes);
                return Poll::Ready(Some(Ok(bytes)));
            }
            Poll::Ready(None) => {
                passing.ended = Some(How::Whole);
                passing.report(How::Whole);
                return Poll::Ready(None);
            }
            Poll::Ready(Some(Err(fault))) => fault,
            Poll::Pending => {
                std::task::ready!(passing.silence.as_mut().poll(context));
                Unreachable::Timeout
            }
        };
        passing.ended = Some(How::Interrupted);
        passing.report(How::Interrupted);
        Poll::Ready(Some(Err(broken)))
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        let how = self.ended.unwrap_or(How::HungUp);
        self.report(how);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures_util::stream;

    use super::*;

    fn body(chunks: Vec<Result<Bytes, Unreachable>>) -> ReplyBody {
        Box::pin(stream::iter(chunks))
    }

    fn piece(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    fn answer(pieces: &[&'static str]) -> ReplyBody {
        body(pieces.iter().map(|text| Ok(piece(text))).collect())
    }

    const IDLE: Duration = Duration::from_secs(1);

    fn within(most: usize) -> Reading {
        Reading { most, idle: IDLE, quiet_until: Instant::now() }
    }

    #[tokio::test]
    async fn an_answer_is_held_as_far_as_there_is_memory() {
        let budget = Arc::new(Budget::new(64));
        let short = Arc::new(Budget::new(6));
        let part = read_part(&mut answer(&["12345", "678"]), within(100), short.holder()).await;
        let Ok(Part::NoMemory(read)) = part else { panic!("{part:?}") };
        assert_eq!((read.concat(), short.held()), (b"12345678".to_vec(), 5));
        drop(read);
        assert_eq!(short.held(), 0);
        let whole = read_part(&mut answer(&["12345", "678"]), within(100), budget.holder()).await;
        let Ok(Part::Whole(read)) = whole else { panic!("{whole:?}") };
        assert_eq!((&read[..], budget.held()), (&b"12345678"[..], 8));
        drop(read);
        let whole = read_part(&mut answer(&["12345"]), within(5), budget.holder()).await;
        assert!(matches!(&whole, Ok(Part::Whole(bytes)) if bytes == "12345"), "{whole:?}");
        let long = read_part(&mut answer(&["12345", "6"]), within(4), budget.holder()).await;
        assert!(matches!(&long, Ok(Part::TooLong(read)) if read.concat() == b"12345"));
        drop((whole, long));
        assert_eq!(budget.held(), 0);
    }

    #[tokio::test]
    async fn a_relayed_answer_reports_its_usage_and_how_it_ended() {
        let told = Arc::new(Mutex::new(None));
        let relayed = |rest: Vec<Result<Bytes, Unreachable>>| {
            let before = vec![Bytes::from_static(b"{\"id\":\"resp_1\",\"data\":[")];
            let mut passing = Passing::new(before, body(rest), IDLE);
            let told = Arc::clone(&told);
            passing.on_end(move |end| *told.lock().unwrap() = Some(end.clone()));
            passing
        };
        let end = piece("],\"usage\":{\"prompt_tokens\":7,\"total_tokens\":7}}");
        let passing = relayed(vec![Ok(piece("1")), Ok(end)]);
        assert_eq!(passing.response_id(), Some("resp_1"));
        let all: Vec<_> = passing.map(Result::unwrap).collect().await;
        assert_eq!(all.len(), 3);
        let end = told.lock().unwrap().take().unwrap();
        assert_eq!((end.how, end.usage.map(|usage| usage.prompt.0)), (How::Whole, Some(7)));
        let all: Vec<_> = relayed(vec![Err(Unreachable::Broken)]).collect().await;
        assert_eq!(all.last(), Some(&Err(Unreachable::Broken)));
        assert_eq!(told.lock().unwrap().take().unwrap().how, How::Interrupted);
        drop(relayed(vec![]));
        assert_eq!(told.lock().unwrap().take().unwrap().how, How::HungUp);
    }
}
