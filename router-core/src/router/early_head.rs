//! Keeps a slow stream alive: comments go to the caller until the answer begins.
//!
//! Before the hold time has passed nothing is sent, so a failure can still set the status. After it
//! the status 200 has been sent, and a failure becomes an error event.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;
use http::{HeaderMap, StatusCode};
use tokio::time::{Instant, sleep_until};

use crate::chat::Operation;
use crate::chat::error_event;
use crate::error::RouteError;
use crate::fallback::relay::KEEP_ALIVE;
use crate::response::Body;
use crate::response::BrokenOff;
use crate::response::ByteStream;
use crate::response::Response;
use crate::response::as_event_stream;

use super::disclosure::Disclosure;

/// The head that the caller of a slow stream gets before there is an answer, and the right to see why there is none.
#[derive(Debug, Clone)]
pub(super) struct EarlyHead {
    pub(super) headers: HeaderMap,
    pub(super) disclosure: Disclosure,
}

type Pieces = stream::BoxStream<'static, Result<Bytes, BrokenOff>>;

/// A request that is still being answered.
pub(super) type Work = Pin<Box<dyn Future<Output = Result<Response, RouteError>> + Send>>;

/// The times at which the caller of a stream receives its parts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    pub(super) operation: Operation,
    /// The head goes out at this moment, if there is no answer by then.
    pub(super) early: Instant,
    /// The time between two comments.
    pub(super) heartbeat: Duration,
}

/// The answer, or the early head of a stream that has none in time. A request without an early head needs no timer.
pub(super) async fn answer_or_early_head(
    mut work: Work,
    head: &OnceLock<EarlyHead>,
    pace: Pace,
) -> Result<Response, RouteError> {
    let mut timer = None;
    let answer = poll_fn(|context| {
        if let Poll::Ready(answer) = work.as_mut().poll(context) {
            return Poll::Ready(Some(answer));
        }
        if head.get().is_none() {
            return Poll::Pending;
        }
        let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(pace.early)));
        timer.as_mut().poll(context).map(|()| None)
    });
    match (answer.await, head.get()) {
        (Some(answer), _) => answer,
        (None, Some(head)) => Ok(late(head.clone(), work, pace)),
        (None, None) => work.await,
    }
}

/// A stream whose answer is still awaited: comments keep the connection alive; what comes of it follows.
fn late(head: EarlyHead, work: Work, pace: Pace) -> Response {
    let Pace { operation, heartbeat, .. } = pace;
    let EarlyHead { mut headers, disclosure } = head;
    as_event_stream(&mut headers);
    let waiting = stream::unfold((Some(work), true), move |(work, at_once)| async move {
        let mut work = work?;
        if at_once {
            return Some((Piece::Bytes(KEEP_ALIVE), (Some(work), false)));
        }
        tokio::select! {
            biased;
            answer = &mut work => Some((Piece::Answer(Box::new(answer)), (None, false))),
            () = tokio::time::sleep(heartbeat) => {
                Some((Piece::Bytes(KEEP_ALIVE), (Some(work), false)))
            }
        }
    });
    let body = waiting.flat_map(move |piece| piece.into_stream(operation, &disclosure));
    Response { status: StatusCode::OK, headers, body: Body::Stream(ByteStream::of_results(body)) }
}

enum Piece {
    Bytes(&'static str),
    Answer(Box<Result<Response, RouteError>>),
}

impl Piece {
    fn into_stream(self, operation: Operation, disclosure: &Disclosure) -> Pieces {
        match self {
            Self::Bytes(text) => once(Bytes::from_static(text.as_bytes())),
            Self::Answer(answer) => match *answer {
                Ok(Response { body: Body::Stream(stream), .. }) => stream.boxed(),
                // The status has gone out as 200: what was refused can only be told as an event.
                Ok(Response { body: Body::Full(body), .. }) => once(refusal(operation, &body)),
                Err(error) => {
                    let causes = disclosure.exposed_causes();
                    let body = causes.map_or_else(
                        || error.body(),
                        |causes| error.body_saying(&format!("{error}: {causes}")),
                    );
                    once(error_event(operation, 0, &body))
                }
            },
        }
    }
}

fn once(bytes: Bytes) -> Pieces {
    stream::iter([Ok(bytes)]).boxed()
}

/// The upstream's refusal as an event: as received if the operation's clients can read it so.
fn refusal(operation: Operation, body: &[u8]) -> Bytes {
    let read = serde_json::from_slice(body).ok().filter(|_| operation == Operation::Responses);
    read.map_or_else(
        || {
            let body = String::from_utf8_lossy(body).replace(['\r', '\n'], " ");
            format!("data: {body}\n\n").into()
        },
        |body| error_event(operation, 0, &body),
    )
}
