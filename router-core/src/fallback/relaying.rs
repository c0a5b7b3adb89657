//! Hands an answer that is larger than may be held to the caller as it arrives, and learns from its end.
//!
//! Which answers are relayed is not decided here (`sending.rs`).

use bytes::Bytes;
use tokio::time::Instant;

use crate::capacity::Timing;
use crate::state::Event;
use crate::upstream::Reply;
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
            active.served((Timing { first, total: now - began }, now), end.usage, false);
        }
        How::Interrupted => active.learn(Event::Failed),
        How::HungUp | How::Rejected => {}
    });
    let body = Delivered::Passing(Box::new(passing));
    let delivery = Delivery { status: reply.status, headers: reply.headers, body };
    Sent::Answer(Ended::Served, Box::new(delivery))
}
