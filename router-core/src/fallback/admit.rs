//! Admits a request to a deployment: at once, after a wait, or not at all.
//!
//! A provisioned deployment is paid whether it is used or not, so a short wait for it is cheaper
//! than another deployment, and a long one is not worth the caller's time. The twin predicts the
//! wait: what drains, and what running calls will return.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::capacity::Entry;
use crate::deployment::Deployment;
use crate::state::NoRoom;
use crate::waiting::Held;
use crate::waiting::ReservedCapacity;
use crate::waiting::Times;
use crate::waiting::Waiting;

use super::attempt_log::held_until_now;
use super::step::{Note, Spill};

/// Room for an attempt; `None` where the request goes on to another deployment. It is held within
/// `times`.
pub(super) async fn admit(
    waiting: &Arc<Waiting>,
    deployment: &Arc<Deployment>,
    entry: &Entry,
    times: Times,
    notes: &mut Vec<Note>,
) -> Option<ReservedCapacity> {
    let began = Instant::now();
    let spilled = |cause| Note::Spilled { deployment: Arc::clone(deployment), cause };
    let wait = match waiting.enter(deployment, entry, times, began) {
        Ok(reserved) => return Some(reserved),
        Err(NoRoom::Full(wait)) => wait,
        Err(NoRoom::Busy) => {
            notes.push(spilled(Spill::Busy));
            return None;
        }
        Err(NoRoom::Recovering) => {
            notes.push(Note::Recovering { deployment: Arc::clone(deployment) });
            return None;
        }
    };
    let Times { since, until } = times;
    if until.saturating_duration_since(began) < wait.max(Duration::from_nanos(1)) {
        // It goes elsewhere anyway: the one that may find out whether the twin is right.
        let reserved = waiting.reserve(deployment, entry, true, began).ok();
        if reserved.is_none() {
            notes.push(spilled(Spill::Wait));
        }
        return reserved;
    }
    // Noted before the wait: a caller who leaves meanwhile was held too.
    let (holder, took, entered) = (Arc::clone(deployment), Duration::ZERO, false);
    notes.push(Note::Held { deployment: holder, since: began, took, entered });
    let held = waiting.hold(deployment, entry, Times { since, until }).await;
    held_until_now(notes, began, matches!(held, Held::Entered(_)));
    match held {
        Held::Entered(reserved) => Some(reserved),
        Held::Over | Held::Shed => {
            // The gaps between requests after a 429 of pay-as-you-go only pace them: nobody is
            // refused for a gap, while a wait that the deployment asked for still holds.
            let paced = deployment.is_held_for();
            let probe = || waiting.reserve(deployment, entry, true, Instant::now()).ok();
            let reserved = paced.then(probe).flatten();
            if reserved.is_none() {
                notes.push(spilled(Spill::Held));
            }
            reserved
        }
    }
}
