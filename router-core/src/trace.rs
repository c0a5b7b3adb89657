//! W3C trace context: the trace of a request, and the header that each attempt sends to its
//! upstream.
//!
//! A program that exports spans starts a [`RequestSpan`] for a request and passes it with the call.
//! Each attempt then has its own id, so that the upstream's spans become children of that attempt.
//! Without a span, the caller's context passes unchanged. Spans are not stored here: the request
//! record holds the ids, and an observer creates the spans.
//!
//! **Source:** W3C, "Trace Context Level 2", sections 3.2 (`traceparent`), 3.3 (`tracestate`) and 4 (mutation).

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use http::{HeaderMap, HeaderName, HeaderValue};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest `tracestate` that is forwarded whole by everybody.
const LONGEST_STATE: usize = 512;

/// The longest `traceparent` or `x-request-id` that is forwarded.
const LONGEST_ID: usize = 256;

/// The bits of the flags that have a meaning: sampled, and random.
const KNOWN_FLAGS: u8 = 0b11;
const SAMPLED: u8 = 0b01;
const RANDOM: u8 = 0b10;

/// The id of a trace: never zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId(u128);

/// The id of a span: never zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId(u64);

impl TraceId {
    fn drawn() -> Self {
        let (high, low) = (u128::from(drawn()), u128::from(drawn()));
        Self((high << 64 | low).max(1))
    }

    /// Its bytes, as protocols send them.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// True for this share, 0 to 1, of all traces: the same ones wherever the same share is asked for.
    ///
    /// **Source:** OpenTelemetry, "`TraceIdRatioBased`"; which bits is left open there, and these are the ones that its SDKs use.
    pub fn is_among(self, share: f64) -> bool {
        let low = (self.0 & u128::from(u64::MAX)) >> 11;
        // 53 bits are a float's own: nothing is rounded.
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
        let place = low as f64 / (1_u64 << 53) as f64;
        place < share
    }
}

impl SpanId {
    /// An id that no other span of a trace has.
    pub fn drawn() -> Self {
        Self(drawn().max(1))
    }

    /// Its bytes, as protocols send them.
    pub fn to_bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:032x}", self.0)
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:016x}", self.0)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// 64 unpredictable bits: a keyed hash of a number that is used once.
fn drawn() -> u64 {
    static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    static NEXT: AtomicU64 = AtomicU64::new(0);
    KEY.hash_one(NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The place of one request in a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestSpan {
    trace: TraceId,
    id: SpanId,
    parent: Option<SpanId>,
    flags: u8,
    state: Vec<HeaderValue>,
}

impl RequestSpan {
    /// The span of a request with these headers: below the caller's if they name one, kept or not as the caller keeps its
    /// own; else the first of a new trace, kept where `sampled` says so.
    ///
    /// ```
    /// use http::HeaderMap;
    /// use router_core::trace::RequestSpan;
    ///
    /// let mut headers = HeaderMap::new();
    /// headers.insert("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse()?);
    /// let span = RequestSpan::begin(&headers, |_| false);
    /// assert_eq!(span.trace().to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
    /// assert_eq!(span.parent().unwrap().to_string(), "00f067aa0ba902b7");
    /// assert!(span.is_sampled());
    /// # Ok::<(), http::header::InvalidHeaderValue>(())
    /// ```
    pub fn begin(headers: &HeaderMap, sampled: impl FnOnce(TraceId) -> bool) -> Self {
        let id = SpanId::drawn();
        let Some((trace, parent, flags)) = parent(headers) else {
            let trace = TraceId::drawn();
            let flags = RANDOM | if sampled(trace) { SAMPLED } else { 0 };
            return Self { trace, id, parent: None, flags, state: Vec::new() };
        };
        let state = state(headers);
        Self { trace, id, parent: Some(parent), flags, state }
    }

    /// The trace.
    pub fn trace(&self) -> TraceId {
        self.trace
    }

    /// The span itself.
    pub fn id(&self) -> SpanId {
        self.id
    }

    /// The caller's span; `None` if the trace begins here.
    pub fn parent(&self) -> Option<SpanId> {
        self.parent
    }

    /// True if the trace is kept.
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The trace header of an attempt, which makes the upstream's spans children of the attempt.
    fn headers(&self, attempt: SpanId) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        let text = format!("00-{}-{attempt}-{:02x}", self.trace, self.flags);
        // Digits and dashes: it always is one.
        let own = HeaderValue::try_from(text).ok().map(|value| (TRACEPARENT, value));
        own.into_iter().chain(self.state.iter().map(|value| (TRACESTATE, value.clone())))
    }
}

/// The caller's `tracestate`. One that is longer than all must take is better left out than cut: an upstream would refuse
/// the whole request for it.
fn state(headers: &HeaderMap) -> Vec<HeaderValue> {
    let state: Vec<_> = headers.get_all(TRACESTATE).iter().cloned().collect();
    let length: usize = state.iter().map(HeaderValue::len).sum();
    if length <= LONGEST_STATE { state } else { Vec::new() }
}

/// Parses `traceparent`; `None` if it is missing or invalid, which count alike.
fn parent(headers: &HeaderMap) -> Option<(TraceId, SpanId, u8)> {
    let mut all = headers.get_all(TRACEPARENT).iter();
    let (Some(only), None) = (all.next(), all.next()) else { return None };
    let text = only.to_str().ok()?.trim();
    let mut parts = text.split('-');
    let version = u8::try_from(hex(parts.next()?, 2)?).ok()?;
    let trace = hex(parts.next()?, 32).filter(|trace| *trace != 0)?;
    let span = u64::try_from(hex(parts.next()?, 16)?).ok().filter(|span| *span != 0)?;
    let flags = u8::try_from(hex(parts.next()?, 2)?).ok()?;
    // Later versions may add parts; this one has no more.
    let fits = version != 0xff && (version != 0 || parts.next().is_none());
    fits.then_some((TraceId(trace), SpanId(span), flags & KNOWN_FLAGS))
}

/// Lower-case hexadecimal digits.
fn hex(text: &str, digits: usize) -> Option<u128> {
    let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let fits = text.len() == digits && text.bytes().all(digit);
    fits.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

/// Trace headers of a request's attempts.
#[derive(Debug, Clone)]
pub struct Propagation {
    span: Option<RequestSpan>,
    /// Headers that are the same for every attempt.
    passed: Vec<(HeaderName, HeaderValue)>,
}

impl Propagation {
    /// Headers of a request; without a span they pass as received.
    pub fn new(headers: &HeaderMap, span: Option<RequestSpan>) -> Self {
        let passed = |name: HeaderName| {
            let value = headers.get(&name).filter(|value| value.len() <= LONGEST_ID)?;
            Some((name, value.clone()))
        };
        let mut passing: Vec<_> = passed(REQUEST_ID).into_iter().collect();
        if span.is_none() {
            passing.extend(passed(TRACEPARENT));
            passing.extend(state(headers).into_iter().map(|value| (TRACESTATE, value)));
        }
        Self { passed: passing, span }
    }

    /// A new attempt: its span's id where spans are kept, and the headers that go with it.
    pub fn attempt(&self) -> (Option<SpanId>, Vec<(HeaderName, HeaderValue)>) {
        let Some(span) = &self.span else { return (None, self.passed.clone()) };
        let id = SpanId::drawn();
        (Some(id), span.headers(id).chain(self.passed.iter().cloned()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALLER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[track_caller]
    fn check(traceparent: &str, valid: bool, sampled: bool) {
        let span = RequestSpan::begin(&headers(&[("traceparent", traceparent)]), |_| false);
        assert_eq!((span.parent().is_some(), span.is_sampled()), (valid, sampled), "{traceparent}");
    }

    #[test]
    fn a_caller_is_believed_where_its_header_is_valid_and_only_there() {
        check(CALLER, true, true);
        check("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", true, false);
        check("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff", true, true);
        check("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more", true, true);
        check("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more", false, false);
        check("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false, false);
        check("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", false, false);
        check("00-00000000000000000000000000000000-00f067aa0ba902b7-01", false, false);
        check("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", false, false);
        check("00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01", false, false);
        check("00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false, false);
        check("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7", false, false);
        check("", false, false);
        let twice = headers(&[("traceparent", CALLER), ("traceparent", CALLER)]);
        assert_eq!(RequestSpan::begin(&twice, |_| false).parent(), None);
    }

    #[test]
    fn each_attempt_goes_out_under_an_id_of_its_own_with_the_callers_state() {
        let sent = headers(&[
            ("traceparent", CALLER),
            ("tracestate", "congo=t61rcWkgMzE"),
            ("tracestate", "rojo=1"),
            ("x-request-id", "abc"),
        ]);
        let span = RequestSpan::begin(&sent, |_| false);
        let propagation = Propagation::new(&sent, Some(span.clone()));
        let (one, lines) = propagation.attempt();
        let (other, _) = propagation.attempt();
        let (one, other) = (one.unwrap(), other.unwrap());
        assert!(one != other && one != span.id() && other != span.id());
        let lines: Vec<_> =
            lines.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        let own = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{one}-01");
        let expected = [
            ("traceparent", own.as_str()),
            ("tracestate", "congo=t61rcWkgMzE"),
            ("tracestate", "rojo=1"),
            ("x-request-id", "abc"),
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn without_a_span_the_callers_headers_pass_as_they_came() {
        let sent =
            headers(&[("traceparent", "anything"), ("tracestate", "a=1"), ("cookie", "secret")]);
        let (id, lines) = Propagation::new(&sent, None).attempt();
        let names: Vec<_> = lines.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!((id, names), (None, vec!["traceparent", "tracestate"]));
    }

    #[test]
    fn a_trace_that_begins_here_has_no_state_of_a_broken_one() {
        let sent = headers(&[("traceparent", "broken"), ("tracestate", "a=1")]);
        for kept in [true, false] {
            let span = RequestSpan::begin(&sent, |_| kept);
            assert_eq!((span.parent(), span.is_sampled()), (None, kept));
            let (id, lines) = Propagation::new(&sent, Some(span.clone())).attempt();
            let flags = if kept { "03" } else { "02" };
            let own = format!("00-{}-{}-{flags}", span.trace(), id.unwrap());
            assert_eq!(lines, [(TRACEPARENT, own.parse().unwrap())]);
        }
    }

    #[test]
    fn a_share_of_traces_is_that_share_and_the_same_one_everywhere() {
        let ids: Vec<_> = (0..20_000).map(|_| TraceId::drawn()).collect();
        let among = |share| ids.iter().filter(|id| id.is_among(share)).count();
        assert_eq!((among(0.0), among(1.0)), (0, 20_000));
        assert!((1_700..2_300).contains(&among(0.1)), "{}", among(0.1));
        let (tenth, half) = (TraceId(u128::from(u64::MAX / 11)), TraceId(u128::from(u64::MAX / 3)));
        assert!(tenth.is_among(0.1) && !half.is_among(0.1) && half.is_among(0.5));
    }
}
