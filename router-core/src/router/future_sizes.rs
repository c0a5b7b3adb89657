//! Pins the sizes of the futures of one request: from the call over HTTP out to what is boxed for each request.

use std::sync::{Arc, OnceLock};

use crate::capacity::Entry;
use crate::deployment::Deployment;
use crate::fallback::future_sizes::check;
use crate::fallback::future_sizes::size;
use crate::upstream::Attempt;
use crate::upstream::HttpUpstream;
use crate::upstream::Upstream;
use crate::waiting::Times;
use crate::waiting::Waiting;

use super::call::{ChatCall, StoredCall};
use super::early_head::EarlyHead;
use super::model_router::{Inner, ModelRouter};

/// Lower the figures when you have made a future smaller.
#[test]
fn no_future_of_a_request_has_grown() {
    type Hold = (&'static Arc<Waiting>, &'static Arc<Deployment>, &'static Entry, Times);
    type Answer = (Arc<Inner<HttpUpstream>>, ChatCall, Arc<OnceLock<EarlyHead>>);
    type Router = &'static ModelRouter<HttpUpstream>;
    check(&[
        (
            "Waiting::hold",
            size(|(waiting, place, entry, times): Hold| waiting.hold(place, entry, times)),
            424,
        ),
        (
            "HttpUpstream::send",
            size(|(upstream, attempt): (&'static HttpUpstream, Attempt)| upstream.send(attempt)),
            1752,
        ),
        ("Inner::answer", size(|(inner, call, head): Answer| inner.answer(call, head)), 10_992),
        ("ModelRouter::chat", size(|(router, call): (Router, ChatCall)| router.chat(call)), 752),
        (
            "ModelRouter::stored",
            size(|(router, call): (Router, StoredCall)| router.stored(call)),
            4240,
        ),
    ]);
}
