//! One step of a script: an answer given instead of the real one, or changes to the real one.
//!
//! Steps wait in a queue for each deployment; a request takes the oldest. What a canned answer
//! says is said exactly: headers are strings that nobody checks, so that tests can feed a parser
//! anything. Canned answers touch neither bucket nor quota; changed ordinary ones do.

use crate::wire::error::Refusal;
use crate::wire::error::event;
use crate::wire::filter::Filter;
use crate::wire::sse::Break;
use crate::wire::sse::Place;
use crate::wire::sse::StreamEnd;
use crate::wire::sse::StreamQuirks;
use crate::wire::throttled;
use bytes::Bytes;
use std::time::Duration;

/// Action of a step.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// The deployment answers by itself.
    Ordinary,
    /// This answer, whatever was asked.
    Canned {
        /// The status; 500 where it is none.
        status: u16,
        /// The body.
        body: Bytes,
    },
    /// The connection is reset before a byte of an answer.
    Reset,
    /// No answer, ever.
    Hang,
}

/// Deviations of an answer.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Changes {
    /// Headers set, replacing those of the same name.
    pub headers: Vec<(String, String)>,
    /// Headers left out.
    pub without_headers: Vec<String>,
    /// The `model` that the answer names.
    pub model: Option<String>,
    /// Tokens of visible text.
    pub output_tokens: Option<u64>,
    /// The text itself.
    pub text: Option<String>,
    /// Added to the time of the first token.
    pub slow_first_token: Duration,
    /// Another way of content filtering.
    pub filter: Option<Filter>,
    /// The content filter ends the answer.
    pub filtered: bool,
    /// Deviations of the stream, if the answer is one.
    pub stream: StreamQuirks,
}

/// Scripted behavior for the next request, or the next few, to a deployment.
///
/// ```
/// use azure_emulator::Step;
/// use std::time::Duration;
///
/// let twice_full = Step::throttled_ms(400).times(2);
/// let odd_header = Step::throttled([("retry-after-ms", "0.4")]);
/// let cut = Step::normal().slow_first_token(Duration::from_millis(50)).cut_after(3);
/// # let _ = (twice_full, odd_header, cut);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    reply: Reply,
    left: Option<u64>,
    delay: Duration,
    changes: Changes,
}

impl Step {
    fn new(reply: Reply) -> Self {
        Self { reply, left: Some(1), delay: Duration::ZERO, changes: Changes::default() }
    }

    /// The deployment answers by itself; the methods below change how.
    pub fn normal() -> Self {
        Self::new(Reply::Ordinary)
    }

    /// Exactly this answer. A `content-type` of JSON is added unless one is given.
    pub fn answer<'a>(
        status: u16,
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
        body: impl Into<Bytes>,
    ) -> Self {
        let canned = Self::new(Reply::Canned { status, body: body.into() });
        headers.into_iter().fold(canned, |step, (name, value)| step.header(name, value))
    }

    fn refusal(refusal: &Refusal) -> Self {
        Self::answer(refusal.status.as_u16(), [], refusal.body.to_string())
    }

    /// 429 of a full provisioned deployment, with `retry-after-ms` and the `retry-after` it
    /// rounds up to.
    pub fn throttled_ms(wait_ms: u64) -> Self {
        let seconds = wait_ms.div_ceil(1_000).to_string();
        Self::throttled([
            ("retry-after-ms", wait_ms.to_string().as_str()),
            ("retry-after", &seconds),
        ])
    }

    /// 429 of a full provisioned deployment with these headers and no other hint.
    pub fn throttled<'a>(headers: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let full = Self::refusal(&throttled::provisioned_full());
        headers.into_iter().fold(full, |step, (name, value)| step.header(name, value))
    }

    /// 429 of a pay-as-you-go deployment, tokens used up; the wait is in the message alone.
    pub fn token_rate(seconds: u64) -> Self {
        let wait = Duration::from_secs(seconds);
        let limit = crate::quota::Limit::Tokens;
        Self::refusal(&throttled::over_quota(limit, "ChatCompletions_Create", wait))
    }

    /// 429 of a pay-as-you-go deployment, calls used up; the wait is in the message alone.
    pub fn call_rate(seconds: u64) -> Self {
        let wait = Duration::from_secs(seconds);
        let limit = crate::quota::Limit::Requests;
        Self::refusal(&throttled::over_quota(limit, "ChatCompletions_Create", wait))
    }

    /// 429: the pool of model and region is busy.
    pub fn system_capacity() -> Self {
        Self::refusal(&throttled::system_capacity())
    }

    /// 429: only large requests are refused.
    pub fn peak_load(seconds: u64) -> Self {
        Self::refusal(&throttled::peak_load(seconds))
    }

    /// 401, wrong key.
    pub fn unauthorized() -> Self {
        Self::refusal(&Refusal::unauthorized())
    }

    /// 401, right token without the role.
    pub fn missing_role() -> Self {
        Self::refusal(&Refusal::missing_role())
    }

    /// 403, network rules.
    pub fn forbidden() -> Self {
        Self::refusal(&Refusal::forbidden())
    }

    /// 404 `DeploymentNotFound`.
    pub fn deployment_not_found() -> Self {
        Self::refusal(&Refusal::deployment_not_found())
    }

    /// 408.
    pub fn timeout() -> Self {
        Self::refusal(&Refusal::timeout())
    }

    /// 410, the model is retired.
    pub fn gone() -> Self {
        Self::refusal(&Refusal::gone())
    }

    /// 500.
    pub fn server_error() -> Self {
        Self::refusal(&Refusal::server_error())
    }

    /// 503.
    pub fn unavailable() -> Self {
        Self::refusal(&Refusal::unavailable())
    }

    /// 529.
    pub fn overloaded() -> Self {
        Self::refusal(&Refusal::overloaded())
    }

    /// 400, the prompt tripped the content filter.
    pub fn content_filter() -> Self {
        Self::refusal(&Refusal::content_filter())
    }

    /// 400, the prompt is longer than the window.
    pub fn context_length() -> Self {
        Self::refusal(&Refusal::context_length(128_000, 131_072))
    }

    /// 400, the model does not take `param`.
    pub fn unsupported_parameter(param: &str) -> Self {
        Self::refusal(&Refusal::unsupported_parameter(param, None))
    }

    /// The connection is reset before any answer.
    pub fn reset() -> Self {
        Self::new(Reply::Reset)
    }

    /// The request is never answered.
    pub fn hang() -> Self {
        Self::new(Reply::Hang)
    }

    /// 200 whose completion was cut by the content filter.
    pub fn filtered_answer() -> Self {
        let mut step = Self::normal();
        step.changes.filtered = true;
        step
    }

    /// Serves this many requests instead of one.
    #[must_use]
    pub const fn times(mut self, count: u64) -> Self {
        self.left = Some(count);
        self
    }

    /// Serves every request until the script is cleared.
    #[must_use]
    pub const fn forever(mut self) -> Self {
        self.left = None;
        self
    }

    /// Waits before anything else happens.
    #[must_use]
    pub const fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Lets the first token come so much later.
    #[must_use]
    pub const fn slow_first_token(mut self, by: Duration) -> Self {
        self.changes.slow_first_token = by;
        self
    }

    /// Sets a header of the answer, value as written.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.changes.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Leaves a header of the answer out.
    #[must_use]
    pub fn without_header(mut self, name: &str) -> Self {
        self.changes.without_headers.push(name.to_owned());
        self
    }

    /// Behavior of API Management: an event stream without its content type.
    #[must_use]
    pub fn no_content_type(self) -> Self {
        self.without_header("content-type")
    }

    /// Names another model in the answer.
    #[must_use]
    pub fn model(mut self, model: &str) -> Self {
        self.changes.model = Some(model.to_owned());
        self
    }

    /// Says so many tokens.
    #[must_use]
    pub const fn output_tokens(mut self, count: u64) -> Self {
        self.changes.output_tokens = Some(count);
        self
    }

    /// Says this.
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        self.changes.text = Some(text.to_owned());
        self
    }

    /// Drops the connection after so many events with content.
    #[must_use]
    pub fn cut_after(self, events: usize) -> Self {
        self.break_at(Place::Content(events), Break::Stop(StreamEnd::Dropped))
    }

    /// Drops the connection after the headers.
    #[must_use]
    pub fn cut_at_headers(self) -> Self {
        self.break_at(Place::Headers, Break::Stop(StreamEnd::Dropped))
    }

    /// Ends the stream as if all were well after so many events with content: no finish reason,
    /// no `[DONE]`.
    #[must_use]
    pub fn end_after(self, events: usize) -> Self {
        self.break_at(Place::Content(events), Break::Stop(StreamEnd::Clean))
    }

    /// Falls silent after so many events with content, the connection staying open.
    #[must_use]
    pub fn stall_after(self, events: usize) -> Self {
        self.break_at(Place::Content(events), Break::Stop(StreamEnd::Silent))
    }

    /// Sends an error event after so many events with content, and ends.
    #[must_use]
    pub fn error_event_after(self, events: usize) -> Self {
        let error = event("That model is currently overloaded with other requests.");
        self.break_at(Place::Content(events), Break::Error(error))
    }

    /// Sends a chunk that is no JSON after so many events with content, and goes on.
    #[must_use]
    pub fn malformed_after(self, events: usize) -> Self {
        self.break_at(Place::Content(events), Break::Malformed)
    }

    /// Pauses after so many events with content, and goes on.
    #[must_use]
    pub fn pause_after(self, events: usize, pause: Duration) -> Self {
        self.break_at(Place::Content(events), Break::Pause(pause))
    }

    /// Lets anything go wrong anywhere in the stream.
    #[must_use]
    pub fn break_at(mut self, place: Place, what: Break) -> Self {
        self.changes.stream.breaks.push((place, what));
        self
    }

    /// Ends lines of the stream with CR LF.
    #[must_use]
    pub const fn crlf(mut self) -> Self {
        self.changes.stream.crlf = true;
        self
    }

    /// Puts comments between the events.
    #[must_use]
    pub const fn comments(mut self) -> Self {
        self.changes.stream.comments = true;
        self
    }

    /// Writes the stream in pieces of these sizes in bytes, over and over.
    #[must_use]
    pub fn split(mut self, sizes: impl IntoIterator<Item = usize>) -> Self {
        self.changes.stream.write_sizes = sizes.into_iter().collect();
        self
    }

    /// Filters content asynchronously: chunks without `delta`, one of them after the finish.
    #[must_use]
    pub const fn async_filter(mut self) -> Self {
        self.changes.filter = Some(Filter::Asynchronous);
        self
    }

    /// Action.
    pub const fn reply(&self) -> &Reply {
        &self.reply
    }

    /// Deviations of its answer.
    pub const fn changes(&self) -> &Changes {
        &self.changes
    }

    /// Delay before the action.
    pub const fn waits(&self) -> Duration {
        self.delay
    }

    /// Uses it up once; true when requests are left for it to serve.
    pub(crate) const fn spend(&mut self) -> bool {
        match &mut self.left {
            None => true,
            Some(left) => {
                *left = left.saturating_sub(1);
                *left > 0
            }
        }
    }
}
