//! The feed of one open page as `text/event-stream`: the present state at once, then once a second.
//!
//! The hub never waits: it drops a feed that does not keep up, and the page connects again.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;
use serde::Serialize;
use tokio::sync::mpsc;

/// Events that may wait for a page, and so the seconds that it may go without reading.
const BACKLOG: usize = 8;

/// The events of one page.
#[derive(Debug)]
pub(crate) struct Feed {
    first: Option<Bytes>,
    rest: mpsc::Receiver<Bytes>,
}

impl Feed {
    /// A feed and the sender of its events.
    pub(super) fn new() -> (Self, mpsc::Sender<Bytes>) {
        let (sender, rest) = mpsc::channel(BACKLOG);
        (Self { first: None, rest }, sender)
    }

    /// The same feed with an event in front.
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

/// An event with a value as JSON.
pub(super) fn event(name: &str, value: &impl Serialize) -> Bytes {
    // Serializing our own types cannot fail.
    let json = serde_json::to_string(value).unwrap_or_default();
    Bytes::from(format!("event: {name}\ndata: {json}\n\n"))
}
