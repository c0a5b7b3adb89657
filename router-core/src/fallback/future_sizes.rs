//! Pins the sizes of the futures inside one attempt, innermost first. Each is part of the next one, so a large value that is held
//! across an await shows here at the function that holds it.
//!
//! Only types are measured: the closures are never called.

use std::sync::Arc;

use tokio::time::Instant;

use crate::capacity::Entry;
use crate::chat::Adapted;
use crate::deployment::Deployment;
use crate::memory::Held;
use crate::memory::Share;
use crate::upstream::Attempt;
use crate::upstream::HttpUpstream;
use crate::upstream::ReplyBody;
use crate::waiting::ReservedCapacity;
use crate::waiting::Times;
use crate::waiting::Waiting;

use super::active_attempt::ActiveAttempt;
use super::admit::admit;
use super::attempt_log::AttemptLog;
use super::history::Walked;
use super::relay::Relay;
use super::send_attempt::Sending;
use super::step::Note;
use super::walk::{Dispatch, Fallback};
use super::watch::Watch;

/// The size of the future that a function makes of its arguments.
pub(crate) fn size<A, F: Future>(_: impl FnOnce(A) -> F) -> usize {
    size_of::<F>()
}

/// Fails on a future that is larger than recorded.
#[track_caller]
pub(crate) fn check(sizes: &[(&str, usize, usize)]) {
    let grown: Vec<_> = sizes.iter().filter(|(_, size, recorded)| size > recorded).collect();
    assert!(grown.is_empty(), "(future, bytes, recorded bytes): {grown:?} of {sizes:?}");
}

type Router = &'static Fallback<HttpUpstream>;
type Dispatched = &'static Dispatch<'static, 'static>;
type Log = &'static mut AttemptLog<'static>;
type Place = &'static Arc<Deployment>;
type Open = (ReplyBody, Watch, Held);
type Whole = (Router, ReplyBody, Option<&'static Arc<Share>>);
type Send = (&'static Sending<'static, HttpUpstream>, Adapted, Attempt, ActiveAttempt);
type Visit = (Router, ReservedCapacity, Dispatched, Log);
type Admit = (&'static Arc<Waiting>, Place, &'static Entry, Times, &'static mut Vec<Note>);
type Stay = (Router, Place, Dispatched, Instant, Log);
type Walk = (Router, Dispatch<'static, 'static>, &'static mut Walked);

/// Lower the figures when you have made a future smaller.
#[test]
fn no_future_of_an_attempt_has_grown() {
    let open = size(|(body, watch, held): Open| Relay::open(body, watch, held));
    let whole = size(|(router, body, share): Whole| router.whole(body, share));
    let send = size(|(sending, adapted, to, active): Send| sending.send(adapted, to, active));
    let visit = size(|(router, reserved, sent, log): Visit| router.visit(reserved, sent, log));
    let attempt = size(|(router, reserved, sent, log): Visit| router.attempt(reserved, sent, log));
    let admitted =
        size(|(waiting, at, entry, times, notes): Admit| admit(waiting, at, entry, times, notes));
    let stay = size(|(router, at, sent, until, log): Stay| router.stay(at, sent, until, log));
    let walk = size(|(router, sent, walked): Walk| router.walk(sent, walked));
    check(&[
        ("Relay::open", open, 848),
        ("Fallback::whole", whole, 360),
        ("Sending::send", send, 3696),
        ("Fallback::visit", visit, 5296),
        ("Fallback::attempt", attempt, 5824),
        ("admit", admitted, 568),
        ("Fallback::stay", stay, 6080),
        ("Fallback::walk", walk, 7664),
    ]);
}
