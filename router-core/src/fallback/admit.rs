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
        return probe(waiting, deployment, entry, Spill::Wait, notes);
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
            if deployment.is_held_for() {
                return probe(waiting, deployment, entry, Spill::Held, notes);
            }
            notes.push(spilled(Spill::Held));
            None
        }
    }
}

/// Enters a deployment that is believed full, if it is time to find out.
fn probe(
    waiting: &Arc<Waiting>,
    deployment: &Arc<Deployment>,
    entry: &Entry,
    cause: Spill,
    notes: &mut Vec<Note>,
) -> Option<ReservedCapacity> {
    let deployment = Arc::clone(deployment);
    match waiting.reserve(&deployment, entry, true, Instant::now()) {
        Ok(reserved) => return Some(reserved),
        // It is tried again when all others have been.
        Err(NoRoom::Recovering) => notes.push(Note::Recovering { deployment }),
        Err(NoRoom::Full(_) | NoRoom::Busy) => notes.push(Note::Spilled { deployment, cause }),
    }
    None
}
