//! The progress of a stream: what to do with each event, and whether the answer is complete.
//!
//! A stream is complete when every choice that began has given its finish reason; `[DONE]` alone is
//! not enough.

use crate::chat::HostedCalls;
use crate::chat::Reported;
use crate::chat::Usage;
use crate::chat::alike::Alike;
use crate::chat::stream::Chunk;
use crate::chat::stream::Event;
use crate::model::ServiceTier;

/// The state of the stream so far.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) usage: Option<Usage>,
    pub(super) content_bytes: usize,
    pub(super) model: Option<Box<str>>,
    pub(super) finish_reason: Option<Box<str>>,
    content: bool,
    /// The choices that began and those that ended, as bits by their index.
    choices: u128,
    finished: u128,
    done: bool,
    /// True once the last event of a stream of the Responses API has come.
    last: bool,
    /// The place of the next event in a stream of the Responses API; `None` in a stream of chat.
    pub(super) next: Option<u64>,
    pub(super) response_id: Option<Box<str>>,
    /// The service tier named last; `None` while none is: the first events may not know it yet.
    pub(super) tier: Option<ServiceTier>,
    /// The hosted tools called, by items that are done, and by the whole answer at the end.
    hosted_items: HostedCalls,
    hosted: HostedCalls,
    /// The last chunk, if it said nothing but text: one that is like it changes nothing but the count.
    alike: Alike,
}

/// The treatment of an event.
pub(super) enum Verdict {
    Pass,
    Withhold,
    /// Passed on, and the last: the upstream reports an error.
    Error(Reported),
    /// No event of ours: passed on, and nothing is read from it.
    Foreign,
    /// An event that begins as ours and cannot be read: no client could.
    Malformed,
    /// The last event, though the answer has not come to its end.
    Cut,
}

impl Seen {
    pub(super) fn event(&mut self, event: &[u8], withhold_usage: bool) -> Verdict {
        if let Some(bytes) = self.alike.text_bytes(event) {
            self.content_bytes += bytes;
            return Verdict::Pass;
        }
        let read = Event::read(event);
        match &read {
            Event::Chunk(chunk) => self.alike.learn(event, chunk),
            Event::Nothing | Event::Error(_) | Event::Done | Event::Foreign | Event::Malformed => {
                self.alike.forget();
            }
        }
        match read {
            Event::Nothing => Verdict::Pass,
            Event::Done if !self.is_whole() => Verdict::Cut,
            Event::Done => {
                self.done = true;
                Verdict::Pass
            }
            Event::Foreign => Verdict::Foreign,
            Event::Malformed => Verdict::Malformed,
            Event::Error(reported) => {
                self.uses(reported.usage);
                Verdict::Error(reported)
            }
            Event::Chunk(chunk) => self.chunk(chunk, withhold_usage),
        }
    }

    fn chunk(&mut self, chunk: Chunk, withhold_usage: bool) -> Verdict {
        self.last |= chunk.last;
        self.uses(chunk.usage);
        self.content |= chunk.content;
        self.content_bytes += chunk.content_bytes;
        self.choices |= chunk.choices;
        self.finished |= chunk.finished;
        self.model = self.model.take().or(chunk.model);
        self.next = chunk.sequence.map(|at| at.saturating_add(1)).or(self.next);
        self.response_id = self.response_id.take().or(chunk.response_id);
        self.finish_reason = chunk.finish_reason.or_else(|| self.finish_reason.take());
        self.tier = chunk.tier.or(self.tier);
        self.hosted_items = self.hosted_items.and(chunk.hosted_item);
        self.hosted = if chunk.hosted.is_empty() { self.hosted } else { chunk.hosted };
        if chunk.reports_usage && withhold_usage { Verdict::Withhold } else { Verdict::Pass }
    }

    /// The hosted tools that the answer called so far.
    pub(super) fn hosted(&self) -> HostedCalls {
        if self.hosted.is_empty() { self.hosted_items } else { self.hosted }
    }

    /// True once there is nothing left that another deployment could do better: content, or an end without any.
    pub(super) fn committed(&self) -> bool {
        self.content || self.finish_reason.is_some()
    }

    /// True once the answer has said how it ended, in every choice that began.
    pub(super) fn is_whole(&self) -> bool {
        self.finish_reason.is_some() && self.choices == self.finished
    }

    /// True once nothing more comes: after `[DONE]`, or after the last event of the Responses API.
    pub(super) fn is_over(&self) -> bool {
        self.is_whole() && (self.done || self.last)
    }

    /// Zeros after a usage are no usage: some services write them with a last chunk.
    fn uses(&mut self, usage: Option<Usage>) {
        let nothing = |usage: &Usage| usage.prompt.0 == 0 && usage.completion.0 == 0;
        let zeros = self.usage.is_some() && usage.as_ref().is_some_and(nothing);
        self.usage = usage.filter(|_| !zeros).or(self.usage);
    }
}
