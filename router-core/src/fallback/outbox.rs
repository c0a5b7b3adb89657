//! Buffers the events of a stream, so that events that arrive together leave in one write.
//!
//! An upstream connection delivers one piece, and the next only after its own task has run. While events follow each other
//! at once, the stream therefore yields to that task before it writes. A stream whose events arrive one by one does not yield.
//!
//! Not done here: which events are passed on (`relay.rs`).

use std::collections::VecDeque;
use std::task::Context;

use bytes::{Bytes, BytesMut};

/// Bytes of one write.
const TOGETHER: usize = 16 << 10;
/// The caller's connection polls twice before it yields, so one poll after a turn may find nothing.
const EMPTY_POLLS: u8 = 1;
/// Events that leave one by one before the stream yields again to see whether more follow at once.
const ALONE: u8 = 15;

/// The buffered events, in order.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    events: VecDeque<BytesMut>,
    bytes: usize,
    turn: Turn,
    /// True if a turn has brought events since the last write.
    brought: bool,
    /// True if turns brought events before the last write.
    follow: bool,
    /// Writes since the stream last yielded.
    alone: u8,
}

/// The turn of the upstream connection's task since the last write.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Turn {
    #[default]
    None,
    /// A turn without events so far; the number is how many more polls may find nothing.
    Given(u8),
    /// The last turn has brought events.
    Brought,
}

impl Outbox {
    pub(super) fn push(&mut self, event: BytesMut) {
        self.comes(event.len());
        self.events.push_back(event);
    }

    fn comes(&mut self, bytes: usize) {
        self.bytes += bytes;
        if matches!(self.turn, Turn::Given(_)) {
            self.turn = Turn::Brought;
        }
    }

    /// The number of buffered events.
    pub(super) fn len(&self) -> usize {
        self.events.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// True if one write holds no more.
    pub(super) fn is_full(&self) -> bool {
        self.bytes >= TOGETHER
    }

    /// Joins an event with the last one.
    pub(super) fn join(&mut self, event: BytesMut) {
        self.comes(event.len());
        match self.events.back_mut() {
            Some(last) => last.unsplit(event),
            None => self.events.push_back(event),
        }
    }

    /// True if the stream must yield once to the connection's task before it writes; its waker has been called.
    pub(super) fn waits(&mut self, context: &Context<'_>) -> bool {
        let mut empty_polls = EMPTY_POLLS;
        match self.turn {
            Turn::Given(0) => return false,
            Turn::Given(left) => empty_polls = left - 1,
            Turn::Brought => self.brought = true,
            Turn::None if !self.follow && self.alone < ALONE => {
                self.alone += 1;
                return false;
            }
            Turn::None => self.alone = 0,
        }
        self.turn = Turn::Given(empty_polls);
        context.waker().wake_by_ref();
        true
    }

    /// Returns the bytes of the next write and their number of events: one, or all that fit.
    pub(super) fn take(&mut self, one: bool) -> Option<(Bytes, usize)> {
        let first = self.events.pop_front()?;
        if std::mem::take(&mut self.turn) != Turn::None {
            self.follow = std::mem::take(&mut self.brought);
        }
        let mut length = first.len();
        let fits = |event: &&BytesMut| {
            length += event.len();
            length <= TOGETHER
        };
        let more = if one { 0 } else { self.events.iter().take_while(fits).count() };
        if more == 0 {
            self.bytes -= first.len();
            return Some((first.freeze(), 1));
        }
        let mut piece = Vec::with_capacity(TOGETHER.min(self.bytes));
        piece.extend_from_slice(&first);
        for event in self.events.drain(..more) {
            piece.extend_from_slice(&event);
        }
        self.bytes -= piece.len();
        Some((piece.into(), more + 1))
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    fn filled(events: &[&str]) -> Outbox {
        let mut outbox = Outbox::default();
        for event in events {
            outbox.push(event.as_bytes().into());
        }
        outbox
    }

    #[test]
    fn what_waits_goes_on_together_or_one_by_one() {
        let mut outbox = filled(&["one ", "two ", "three"]);
        assert_eq!(outbox.take(true), Some((Bytes::from_static(b"one "), 1)));
        assert_eq!(outbox.take(false), Some((Bytes::from_static(b"two three"), 2)));
        assert_eq!((outbox.take(false), outbox.bytes), (None, 0));
        let long = "x".repeat(TOGETHER - 1);
        let mut outbox = filled(&["a", "b", &long, "c"]);
        assert!(outbox.is_full());
        assert_eq!(outbox.take(false), Some((Bytes::from_static(b"ab"), 2)));
        assert_eq!(
            outbox.take(false).map(|(piece, events)| (piece.len(), events)),
            Some((TOGETHER, 2))
        );
        assert_eq!((outbox.take(false), outbox.bytes), (None, 0));
    }

    #[test]
    fn only_a_stream_whose_events_follow_each_other_waits_for_more() {
        let context = Context::from_waker(Waker::noop());
        let mut outbox = Outbox::default();
        // Sends so many events after the first one, each after the connection has asked twice.
        let mut one = |more: usize| {
            outbox.push("x".as_bytes().into());
            let mut turns = 0;
            while outbox.waits(&context) {
                assert!(outbox.waits(&context), "asked twice in the same turn");
                (0..usize::from(turns < more)).for_each(|_| outbox.push("y".as_bytes().into()));
                turns += 1;
            }
            assert_eq!(outbox.take(false).unwrap().1, 1 + turns.saturating_sub(1));
            turns
        };
        // One by one: every sixteenth is waited with.
        let turns: Vec<usize> = (0..33).map(|_| one(0)).collect();
        assert_eq!(turns.iter().sum::<usize>(), 2);
        assert_eq!((turns[15], turns[31]), (1, 1));
        // Once more have come, all that follow at once are waited for.
        while one(3) == 0 {}
        assert_eq!([one(3), one(1), one(0), one(3)], [4, 2, 1, 0]);
    }
}
