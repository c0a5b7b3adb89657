//! The body of an answer on its way into a connection: in pieces that the connection takes one by
//! one, each of which holds the request's slots until it is written.
//!
//! Over HTTP/1 one answer is sent at a time and the socket bounds it. Over HTTP/2 a piece is at
//! most one frame, and the end of a longer answer is kept until everything before it is written, so
//! that a stream whose reader stops can be reset alone.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::Version;
use http_body::{Frame, SizeHint};

use crate::connection::Answer;
use crate::handlers::intake::Occupied;

/// The longest piece over HTTP/1, and over HTTP/2, where it is the longest frame that every peer takes.
const PIECE: usize = 256 << 10;
const PIECE_HTTP2: usize = 16 << 10;

/// An answer's body.
#[derive(Debug)]
pub(crate) struct Outgoing {
    body: Body,
    answer: Arc<Answer>,
    http2: bool,
    /// The rest of a frame that is longer than a piece.
    rest: Bytes,
    pieces: usize,
    ended: bool,
}

/// Sends an answer piece by piece, and keeps its slots until the last is written.
pub(crate) fn follow(
    mut response: Response,
    version: Version,
    answer: Arc<Answer>,
) -> http::Response<Outgoing> {
    answer.occupies(response.extensions_mut().remove::<Occupied>());
    answer.reader_is_next(true);
    response.map(|body| Outgoing {
        body,
        answer,
        http2: version == Version::HTTP_2,
        rest: Bytes::new(),
        pieces: 0,
        ended: false,
    })
}

impl Outgoing {
    /// The next piece of the rest.
    fn piece(&mut self) -> Bytes {
        let longest = if self.http2 { PIECE_HTTP2 } else { PIECE };
        let piece = self.rest.split_to(longest.min(self.rest.len()));
        self.pieces += 1;
        self.answer.hand_over(piece)
    }

    /// True if the end has to wait for bytes that were handed over before.
    fn holds_back(&self) -> bool {
        self.http2 && self.pieces > 1 && !self.answer.all_written()
    }
}

impl http_body::Body for Outgoing {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let outgoing = self.get_mut();
        loop {
            if !outgoing.rest.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(outgoing.piece()))));
            }
            if outgoing.ended {
                if outgoing.holds_back() {
                    ready!(outgoing.answer.poll_written(context));
                }
                return Poll::Ready(None);
            }
            match Pin::new(&mut outgoing.body).poll_frame(context) {
                Poll::Pending => {
                    outgoing.answer.reader_is_next(false);
                    return Poll::Pending;
                }
                Poll::Ready(None) => outgoing.ended = true,
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => {
                        outgoing.rest = data;
                        outgoing.ended = outgoing.body.is_end_stream();
                    }
                    Err(other) => return Poll::Ready(Some(Ok(other))),
                },
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && (self.ended || self.body.is_end_stream()) && !self.holds_back()
    }

    fn size_hint(&self) -> SizeHint {
        let more = u64::try_from(self.rest.len()).unwrap_or(u64::MAX);
        let body = self.body.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(body.lower().saturating_add(more));
        if let Some(upper) = body.upper() {
            hint.set_upper(upper.saturating_add(more));
        }
        hint
    }
}
