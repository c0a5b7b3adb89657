//! The terms on which a request asks for capacity: what it reserves, how long it waits.

use std::time::Duration;

use crate::capacity::Admission;
use crate::capacity::Reserve;
use crate::capacity::STANDING_WAIT_SHARE;
use crate::capacity::Snapshot;
use crate::capacity::usual_bound_wait;
use crate::chat::Operation;
use crate::deployment::Catalog;
use crate::policy::ModelChoice;
use crate::policy::Target;
use crate::selection::Needs;
use crate::task::Task;

use super::{Ask, Rules};

/// The inputs of the terms other than the request.
#[derive(Clone, Copy)]
pub(super) struct Terms<'d> {
    pub(super) choice: &'d ModelChoice,
    pub(super) needs: &'d Needs,
    pub(super) rules: &'d Rules,
    pub(super) snapshot: &'d Snapshot,
    /// True if every deployment that may serve is provisioned.
    pub(super) bound: bool,
}

/// The terms on which the request asks for capacity.
pub(super) fn admission(ask: Ask<'_, '_>, terms: Terms<'_>) -> Admission {
    let Terms { choice, needs, rules, snapshot, bound } = terms;
    let (settings, kind) = (&rules.capacity, kind_of(choice, &rules.catalog));
    // A guessed cap is acceptable only if no other deployment can serve the request.
    let expected = snapshot.expected(kind).filter(|expected| bound || expected.sure);
    // A cap that is hardly tighter blocks hardly less, and asking again is paid for.
    let usual_reserve = if bound { Reserve::Learned } else { Reserve::Asked };
    let reserve = settings.reserve.unwrap_or(usual_reserve);
    let tight = expected.map(|expected| expected.most).filter(|most| {
        let longer = needs.cap.is_none_or(|cap| cap.0.saturating_mul(4) > most.0.saturating_mul(5));
        reserve == Reserve::Learned
            && needs.operation == Operation::Chat
            && !needs.streamed
            && ask.request.n() == 1
            && longer
    });
    let mut load = needs.load();
    load.cached = snapshot.home.as_ref().map_or(load.cached, |home| home.cached(load.prompt));
    let priority = ask.hints.priority.unwrap_or_default();
    // A caller who pins a deployment chose to have no other; a caller bound to a residency did not.
    let pinned = matches!(choice.target, Target::Only(_));
    let most = ask.rights.max_wait.unwrap_or(Duration::MAX);
    let bound_wait = usual_bound_wait(kind);
    let usual = match settings.bound_wait {
        _ if pinned || !bound => settings.max_wait,
        wait => wait.or(ask.hints.caller_timeout).unwrap_or(bound_wait),
    };
    Admission {
        load,
        tight,
        expected,
        home: snapshot.home.as_ref().map(|home| home.deployment.clone()),
        priority,
        // A request without an alternative may use all capacity: the order of the queue protects the others.
        limit: if bound { 1.0 } else { settings.limit(priority) },
        patience: ask.hints.max_wait.unwrap_or(usual).min(most),
        reader_patience: ask.hints.max_wait.unwrap_or(settings.max_wait).min(most),
        bound,
        key: snapshot.key,
        standing_wait: (bound && !pinned).then(|| bound_wait.mul_f64(STANDING_WAIT_SHARE)),
        insists: false,
    }
}

/// The kind of task that answers are learned by: the role, or the kind of model where one was named.
pub(super) fn kind_of(choice: &ModelChoice, catalog: &Catalog) -> Task {
    let record = choice.models.first().and_then(|name| catalog.model(name.as_str()));
    let reasons = record.is_some_and(|record| record.reasons());
    choice.role.unwrap_or(if reasons { Task::Reasoning } else { Task::Chat })
}
