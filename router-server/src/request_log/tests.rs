//! Files of the request log, their rotation and their loss.

use std::io;
use std::sync::{Arc, Mutex};

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
    let headers = [
        ("x-router-task", "chat"),
        ("x-router-score", "0.125"),
        ("x-router-model", "gpt-4o"),
        ("x-router-attempts", "1"),
        ("x-router-cost-usd", "0.0025"),
        ("x-router-residency", "global \"quoted\""),
    ];
    let headers = headers
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
    for (status, headers) in [(Some(200), headers.to_vec()), (None, Vec::new())] {
        let begun = Begun {
            method: &Method::POST,
            path: "/v1/chat/completions",
            request_id: "r-1",
            received: Instant::now() + std::time::Duration::from_secs(9),
        };
        let written = Written::default();
        let to = written.clone();
        let lines = tracing_subscriber::fmt().json().flatten_event(true).with_current_span(false);
        let lines = lines.with_writer(move || to.clone()).finish();
        let own = tracing::subscriber::with_default(lines, || {
            let mut line = Line::new(RequestLines::All, &begun);
            let mut told = line.0.take().unwrap();
            (told.status, told.complete) = (status, true);
            told.routing = Routing::of(headers.iter().map(|(name, value)| (name, value)));
            told.as_json()
        });
        let lines = written.0.lock().unwrap().clone();
        let parsed = |bytes: &[u8]| {
            let mut line: Value = serde_json::from_slice(bytes).unwrap();
            let time = line.as_object_mut().unwrap().remove("timestamp").unwrap();
            assert_eq!(time.as_str().unwrap().len(), "2026-11-23T10:00:00.000000Z".len());
            line
        };
        assert_eq!(parsed(&own), parsed(&lines));
    }
}
