//! Relays an answer to the caller as it arrives, and learns from its end: an answer larger than may
//! be held, or media as raw bytes.
//!
//! Not done here: which answers are relayed (`send_attempt.rs`).

use bytes::Bytes;
use futures_util::StreamExt;
use tokio::time::Instant;

use crate::capacity::Timing;
use crate::state::Event;
use crate::upstream::Reply;
use crate::upstream::Unreachable;
use crate::upstream::Upstream;

use super::active_attempt::ActiveAttempt;
use super::passing::Passing;
use super::relay::How;
use super::send_attempt::{Delivered, Delivery, Sending, Sent};
use super::step::Ended;

/// The rest of an answer goes to the caller as it arrives, after what was read of it.
pub(super) fn relayed_on<U: Upstream>(
    sending: &Sending<'_, U>,
    read: Vec<Bytes>,
    reply: Reply,
    mut active: ActiveAttempt,
) -> Sent {
    let (began, first) = (sending.began, sending.began.elapsed());
    let mut passing = Passing::new(read, reply.body, sending.limits.idle_timeout);
    passing.on_end(move |end| match end.how {
        How::Whole => {
            let now = Instant::now();
            active.served(Timing { first, total: now - began }, now, end.usage, false);
        }
        How::Interrupted => active.learn(Event::Failed),
        How::HungUp | How::Rejected => {}
    });
    let body = Delivered::Passing(Box::new(passing));
    let delivery = Delivery { status: reply.status, headers: reply.headers, body };
    Sent::Answer(Ended::Served, Box::new(delivery))
}

/// Raw bytes go to the caller from the first on. Until that one is there nothing has been promised, and another deployment
/// may answer.
pub(super) async fn relayed_media<U: Upstream>(
    sending: &Sending<'_, U>,
    mut reply: Reply,
    mut active: ActiveAttempt,
) -> Sent {
    let first = async {
        loop {
            match reply.body.next().await {
                Some(Ok(bytes)) if bytes.is_empty() => {}
                first => break first.unwrap_or(Err(Unreachable::Broken)),
            }
        }
    };
    let first = tokio::time::timeout_at(sending.first_by, first).await;
    match first.unwrap_or(Err(Unreachable::Timeout)) {
        Ok(first) => relayed_on(sending, vec![first], reply, active),
        Err(fault) => sending.unreached(&mut active, fault),
    }
}
