//! Compares the line as the router writes it with the line as `tracing` does.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use router_core::deployment::Residency;
use router_core::task::Score;
use serde_json::Value;

use super::*;

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Readers of the log cannot tell who wrote a line.
#[test]
fn a_line_is_the_one_that_tracing_writes() {
    let mut known = Routing::default();
    known.task = Some(Task::Chat);
    known.score = Some(Score::try_new(0.125).unwrap());
    known.attempts = Some(1);
    known.fallback = Some("cooling");
    known.adapted = vec!["stop", "stream"];
    known.residency = Some(Residency::anywhere());
    known.cost = Usd::of_dollars(0.0025);
    known.cost_at_least = true;
    known.overhead = Some(Duration::from_micros(321));
    known.error = Some(Kind::StreamInterrupted);
    for (status, routing) in [(Some(200), known), (None, Routing::default())] {
        let begun = Begun {
            method: &Method::POST,
            path: "/v1/chat/completions",
            request_id: "r-1",
            received: Instant::now() + Duration::from_secs(9),
        };
        let written = Written::default();
        let to = written.clone();
        let lines = tracing_subscriber::fmt().json().flatten_event(true).with_current_span(false);
        let lines = lines.with_writer(move || to.clone()).finish();
        let own = tracing::subscriber::with_default(lines, || {
            let mut line = Line::new(RequestLines::All, &begun, &Disclosure::default());
            let mut told = line.0.take().unwrap();
            (told.status, told.complete) = (status, true);
            told.log(&routing);
            told.as_json(&routing)
        });
        let lines = written.0.lock().unwrap().clone();
        let parsed = |bytes: &[u8]| {
            // The drop wrote one more.
            let first = bytes.split(|byte| *byte == b'\n').next().unwrap();
            let mut line: Value = serde_json::from_slice(first).unwrap();
            let time = line.as_object_mut().unwrap().remove("timestamp").unwrap();
            assert_eq!(time.as_str().unwrap().len(), "2026-11-23T10:00:00.000000Z".len());
            line
        };
        assert_eq!(parsed(&own), parsed(&lines));
    }
}
