//! Sends an answer with its timing: a JSON body once it would be complete, a stream piece by piece.

use super::deployed::Lease;
use crate::wire::sse::Layout;
use crate::wire::sse::Piece;
use crate::wire::sse::StreamEnd;
use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use std::io;
use std::time::Duration;
use tokio::time::Instant;

/// Lets what was sent leave before the connection is dropped.
const BREATH: Duration = Duration::from_millis(1);

struct Sender {
    start: Instant,
    pieces: std::vec::IntoIter<Piece>,
    end: StreamEnd,
    /// Given back once the stream has ended as laid out; dropped with the body if not.
    lease: Option<Lease>,
    last: Option<Duration>,
    gap: Duration,
}

/// A body that sends the pieces in time, counted from `start`.
pub(crate) fn body(layout: Layout, start: Instant, lease: Lease) -> Body {
    let sender = Sender {
        start,
        pieces: layout.pieces.into_iter(),
        end: layout.end,
        lease: Some(lease),
        last: None,
        gap: layout.gap,
    };
    Body::from_stream(stream::unfold(sender, |mut sender| async move {
        sender.next().await.map(|sent| (sent, sender))
    }))
}

impl Sender {
    async fn next(&mut self) -> Option<io::Result<Bytes>> {
        let Some(piece) = self.pieces.next() else { return self.finish().await };
        if self.last == Some(piece.after) {
            // Even a bare yield makes the server flush the piece before.
            if self.gap.is_zero() {
                tokio::task::yield_now().await;
            } else {
                tokio::time::sleep(self.gap).await;
            }
        } else {
            tokio::time::sleep_until(self.start + piece.after).await;
        }
        self.last = Some(piece.after);
        if let Some(lease) = &mut self.lease {
            lease.wrote(piece.tokens);
        }
        Some(Ok(piece.bytes))
    }

    async fn finish(&mut self) -> Option<io::Result<Bytes>> {
        match self.end {
            StreamEnd::Clean => {
                if let Some(lease) = self.lease.take() {
                    lease.end();
                }
                None
            }
            StreamEnd::Dropped => {
                tokio::time::sleep(BREATH).await;
                self.lease.take().map(Lease::end)?;
                Some(Err(io::ErrorKind::ConnectionReset.into()))
            }
            StreamEnd::Silent => std::future::pending().await,
        }
    }
}
