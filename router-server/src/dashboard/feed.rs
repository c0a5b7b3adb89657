//! One browser that watches: the whole state first, then one event each second, as `text/event-stream`.
//!
//! A feed that does not keep up is dropped by the hub, which never waits: the page connects again and starts from the whole.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use serde::Serialize;
use tokio::sync::mpsc;

/// The events that may wait for a browser: so many seconds may pass without it reading.
const BACKLOG: usize = 8;

/// The events of one browser.
#[derive(Debug)]
pub(crate) struct Feed {
    first: Option<Bytes>,
    rest: mpsc::Receiver<Bytes>,
}

impl Feed {
    /// A feed, and where to send its events.
    pub(super) fn new() -> (Self, mpsc::Sender<Bytes>) {
        let (sender, rest) = mpsc::channel(BACKLOG);
        (Self { first: None, rest }, sender)
    }

    /// The same, beginning with this event.
    pub(super) fn after(self, first: Bytes) -> Self {
        Self { first: Some(first), ..self }
    }
}

impl Stream for Feed {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        self.rest.poll_recv(context).map(|event| event.map(Ok))
    }
}

/// An event of this name with a value as JSON.
pub(super) fn event(name: &str, value: &impl Serialize) -> Bytes {
    // Values of our own types: numbers, words and lists of them.
    let json = serde_json::to_string(value).unwrap_or_default();
    Bytes::from(format!("event: {name}\ndata: {json}\n\n"))
}
