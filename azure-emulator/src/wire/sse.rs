//! Events of a stream, the bytes they become, and when each of them leaves.
//!
//! A stream is laid out in full before its first byte is sent: a list of [`Piece`]s with their
//! offsets in time, and how it ends. Faults are changes to that list ([`StreamQuirks::apply`]), so
//! they are pure and testable; sending is only walking the list.

use crate::dice::scaled;
use bytes::Bytes;
use serde_json::Value;
use std::time::Duration;

/// Purpose of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Before any content.
    Opening,
    /// Carries content.
    Content,
    /// Filter results about content that was sent before.
    Note,
    /// Says why the answer ended.
    Finish,
    /// After that: usage, late filter results, `[DONE]`.
    Closing,
}

/// One server-sent event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Purpose of the event.
    pub role: Role,
    /// The `event:` field, which the Responses API uses.
    pub name: Option<&'static str>,
    /// The `data:` field.
    pub data: String,
    /// Tokens written once it is out, hidden ones included.
    pub tokens: u64,
}

impl Event {
    /// An event with JSON and no name.
    pub fn json(role: Role, tokens: u64, data: &Value) -> Self {
        Self { role, name: None, data: data.to_string(), tokens }
    }

    /// The end mark of chat streams.
    pub fn done(tokens: u64) -> Self {
        Self { role: Role::Closing, name: None, data: "[DONE]".to_owned(), tokens }
    }
}

/// Some bytes and when they leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Since the request was admitted.
    pub after: Duration,
    /// Bytes to send.
    pub bytes: Bytes,
    /// Tokens written by then.
    pub tokens: u64,
}

/// End of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StreamEnd {
    /// The end that HTTP prescribes.
    #[default]
    Clean,
    /// The connection is dropped in the middle of the body.
    Dropped,
    /// Nothing more comes, and the connection stays open.
    Silent,
}

/// A stream, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Events and their times.
    pub pieces: Vec<Piece>,
    /// And then.
    pub end: StreamEnd,
    /// Time between writes of one moment; split writes need it, to be seen apart by the reader.
    pub gap: Duration,
}

/// Position of a fault in a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// After the headers, before any event.
    Headers,
    /// After so many events with content; 0 is after the opening events.
    Content(usize),
}

/// Fault of a stream.
#[derive(Debug, Clone, PartialEq)]
pub enum Break {
    /// The stream stops, in this way: no finish, no `[DONE]`.
    Stop(StreamEnd),
    /// An event with this body instead of a chunk, and then a clean end.
    Error(Value),
    /// A chunk that is no JSON; then the stream goes on.
    Malformed,
    /// Nothing for so long; then the stream goes on.
    Pause(Duration),
}

/// Deviations of a stream.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StreamQuirks {
    /// Fault and its position.
    pub breaks: Vec<(Place, Break)>,
    /// Lines end with CR LF.
    pub crlf: bool,
    /// Comment lines between the events.
    pub comments: bool,
    /// Sizes in bytes of the writes, over and over; empty for one write an event.
    pub write_sizes: Vec<usize>,
}

/// Speed of a stream.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// Until the first visible token could leave, had no hidden ones been written.
    pub first_token: Duration,
    /// Tokens a second after that; 0 for all of them at once.
    pub tokens_per_second: f64,
}

impl Pace {
    /// The time at which `tokens` have been written.
    pub fn after(&self, tokens: u64) -> Duration {
        if self.tokens_per_second <= 0.0 {
            return self.first_token;
        }
        #[expect(clippy::cast_precision_loss, reason = "token counts are far below 2^52")]
        let seconds = tokens.saturating_sub(1) as f64 / self.tokens_per_second;
        self.first_token.saturating_add(Duration::try_from_secs_f64(seconds).unwrap_or_default())
    }

    /// Tokens written after this time.
    pub fn written(&self, after: Duration) -> u64 {
        let Some(writing) = after.checked_sub(self.first_token) else { return 0 };
        scaled(1, writing.as_secs_f64() * self.tokens_per_second).saturating_add(1)
    }
}

impl StreamQuirks {
    /// Lays a stream out: events become bytes, in time, with everything that goes wrong.
    pub fn apply(&self, events: &[Event], pace: &Pace) -> Layout {
        let mut layout = Layout { pieces: Vec::new(), end: StreamEnd::Clean, gap: Duration::ZERO };
        let mut late = Duration::ZERO;
        let (mut content, mut begun, mut after_content) = (0_usize, false, false);
        for (index, event) in events.iter().enumerate() {
            let begins = !begun && matches!(event.role, Role::Content | Role::Finish);
            let places = [
                (index == 0).then_some(Place::Headers),
                begins.then_some(Place::Content(0)),
                after_content.then_some(Place::Content(content)),
            ];
            for place in places.into_iter().flatten() {
                if self.break_at(place, &mut layout, &mut late, event.tokens) {
                    return self.cut_up(layout);
                }
            }
            let after = pace.after(event.tokens).saturating_add(late);
            let mut push = |bytes| layout.pieces.push(Piece { after, bytes, tokens: event.tokens });
            if self.comments {
                push(self.lines(": keep-alive\n\n"));
            }
            push(self.event(event));
            begun |= begins;
            after_content = event.role == Role::Content;
            content += usize::from(after_content);
        }
        self.cut_up(layout)
    }

    /// Lets happen what goes wrong at `place`; true when the stream is over.
    fn break_at(
        &self,
        place: Place,
        layout: &mut Layout,
        late: &mut Duration,
        tokens: u64,
    ) -> bool {
        let after = layout.pieces.last().map_or(Duration::ZERO, |piece| piece.after);
        let mut push = |text: &str| {
            layout.pieces.push(Piece { after, bytes: self.lines(text), tokens });
        };
        for (_, what) in self.breaks.iter().filter(|(at, _)| *at == place) {
            match what {
                Break::Stop(end) => {
                    layout.end = *end;
                    return true;
                }
                Break::Error(body) => {
                    push(&format!("data: {body}\n\n"));
                    return true;
                }
                Break::Malformed => push("data: {\"id\":\"chatcmpl-broken\",\"choices\":[{\n\n"),
                Break::Pause(pause) => *late = late.saturating_add(*pause),
            }
        }
        false
    }

    fn event(&self, event: &Event) -> Bytes {
        let name = event.name.map_or_else(String::new, |name| format!("event: {name}\n"));
        self.lines(&format!("{name}data: {}\n\n", event.data))
    }

    fn lines(&self, text: &str) -> Bytes {
        if self.crlf { text.replace('\n', "\r\n").into() } else { text.to_owned().into() }
    }

    /// Splits every piece into writes of the sizes asked for. Sizes run on over the events.
    fn cut_up(&self, layout: Layout) -> Layout {
        let usable = self.write_sizes.iter().any(|size| *size > 0);
        if !usable {
            return layout;
        }
        let mut sizes = self.write_sizes.iter().copied().filter(|size| *size > 0).cycle();
        let mut pieces = Vec::new();
        for piece in layout.pieces {
            let mut rest = piece.bytes;
            while !rest.is_empty() {
                let size = sizes.next().unwrap_or(rest.len()).min(rest.len());
                let bytes = rest.split_to(size);
                pieces.push(Piece { after: piece.after, bytes, tokens: piece.tokens });
            }
        }
        Layout { pieces, end: layout.end, gap: Duration::from_millis(1) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const PACE: Pace = Pace { first_token: Duration::from_millis(100), tokens_per_second: 10.0 };

    fn events() -> Vec<Event> {
        let event = |role, tokens, data: &str| Event::json(role, tokens, &json!(data));
        vec![
            event(Role::Opening, 0, "open"),
            event(Role::Content, 1, "하나"),
            event(Role::Content, 2, "two"),
            event(Role::Finish, 2, "finish"),
            Event::done(2),
        ]
    }

    fn text(quirks: &StreamQuirks) -> (String, StreamEnd) {
        let layout = quirks.apply(&events(), &PACE);
        let bytes: Vec<u8> = layout.pieces.iter().flat_map(|piece| piece.bytes.clone()).collect();
        (String::from_utf8(bytes).unwrap(), layout.end)
    }

    fn broken(place: Place, what: Break) -> (String, StreamEnd) {
        text(&StreamQuirks { breaks: vec![(place, what)], ..StreamQuirks::default() })
    }

    const WHOLE: &str = "data: \"open\"\n\ndata: \"하나\"\n\ndata: \"two\"\n\ndata: \"finish\"\n\n\
                         data: [DONE]\n\n";

    #[test]
    fn a_pace_read_both_ways() {
        assert_eq!(PACE.after(11), Duration::from_millis(1_100));
        assert_eq!(PACE.written(PACE.after(11)), 11);
        assert_eq!(PACE.written(Duration::from_millis(99)), 0);
    }

    #[test]
    fn nothing_wrong() {
        assert_eq!(text(&StreamQuirks::default()), (WHOLE.to_owned(), StreamEnd::Clean));
    }

    #[test]
    fn stops_where_told() {
        let stop = |place| broken(place, Break::Stop(StreamEnd::Dropped)).0;
        assert_eq!(stop(Place::Headers), "");
        assert_eq!(stop(Place::Content(0)), "data: \"open\"\n\n");
        assert_eq!(stop(Place::Content(1)), "data: \"open\"\n\ndata: \"하나\"\n\n");
        assert!(stop(Place::Content(2)).ends_with("data: \"two\"\n\n"));
        assert_eq!(stop(Place::Content(3)), WHOLE, "there are only two");
        assert_eq!(
            broken(Place::Content(1), Break::Stop(StreamEnd::Dropped)).1,
            StreamEnd::Dropped
        );
    }

    #[test]
    fn errors_end_it_and_malformed_chunks_do_not() {
        let (error, end) = broken(Place::Content(1), Break::Error(json!({"error": 1})));
        assert!(error.ends_with("\"하나\"\n\ndata: {\"error\":1}\n\n"));
        assert_eq!(end, StreamEnd::Clean);
        let (malformed, _) = broken(Place::Content(0), Break::Malformed);
        assert!(malformed.contains("chatcmpl-broken") && malformed.ends_with("[DONE]\n\n"));
    }

    #[test]
    fn pauses_delay_the_rest_only() {
        let breaks = vec![(Place::Content(1), Break::Pause(Duration::from_secs(9)))];
        let layout = StreamQuirks { breaks, ..StreamQuirks::default() }.apply(&events(), &PACE);
        let after: Vec<u64> =
            layout.pieces.iter().map(|piece| piece.after.as_millis().try_into().unwrap()).collect();
        assert_eq!(after, [100, 100, 9_200, 9_200, 9_200]);
    }

    #[test]
    fn crlf_and_comments() {
        let (crlf, _) = text(&StreamQuirks { crlf: true, ..StreamQuirks::default() });
        assert_eq!(crlf, WHOLE.replace('\n', "\r\n"));
        let (comments, _) = text(&StreamQuirks { comments: true, ..StreamQuirks::default() });
        assert_eq!(comments.replace(": keep-alive\n\n", ""), WHOLE);
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_bytes(sizes in proptest::collection::vec(0_usize..20, 0..6)) {
            let quirks = StreamQuirks { write_sizes: sizes.clone(), ..StreamQuirks::default() };
            let layout = quirks.apply(&events(), &PACE);
            let bytes: Vec<u8> = layout.pieces.iter().flat_map(|piece| piece.bytes.clone()).collect();
            prop_assert_eq!(bytes, WHOLE.as_bytes());
            if let Some(largest) = sizes.iter().max().filter(|size| **size > 0) {
                prop_assert!(layout.pieces.iter().all(|piece| piece.bytes.len() <= *largest));
            }
        }
    }
}
