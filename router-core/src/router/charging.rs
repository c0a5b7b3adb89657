//! Reserves tokens on the key's account when a request begins, and charges its usage when it ends.

use tokio::time::Instant;

use crate::chat::ChatRequest;
use crate::chat::Usage;
use crate::clock;
use crate::decision::Decision;
use crate::decision::Moment;
use crate::decision::Plan;
use crate::decision::Rules;
use crate::deployment::Deployment;
use crate::deployment::pricing;
use crate::ledger::Bill;
use crate::ledger::Estimate;
use crate::ledger::Ledger;
use crate::ledger::LimitReached;
use crate::ledger::Ticket;
use crate::record::Answer;
use crate::record::RequestEnd;
use crate::record::RequestRecord;
use crate::units::Tokens;
use crate::units::Usd;

use super::call::ChatCall;

/// The basis of a request's estimate if the request does not give it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unsaid {
    /// The longest answer of a request without a cap.
    pub(super) output: Tokens,
    /// True if what the answer uses may never be said: it is made in the background.
    pub(super) usage: bool,
}

impl Unsaid {
    pub(super) fn of(rules: &Rules, request: &ChatRequest<'_>) -> Self {
        Self { output: rules.capacity.missing_output, usage: request.background() }
    }
}

/// Admits a request on its key's account; `None` where it came without a key.
pub(super) fn admit(
    ledger: &Ledger,
    call: &ChatCall,
    decision: &Decision,
    plan: &Plan,
    unsaid: Unsaid,
) -> Result<Option<Ticket>, LimitReached> {
    let Some(key) = call.caller.name() else { return Ok(None) };
    let estimate = estimate(decision, plan, unsaid);
    let moment = current();
    let ticket = match &call.entry {
        Some(entry) => entry.set_aside(estimate, moment)?,
        None => ledger.admit(key, &call.allowance, estimate, moment)?,
    };
    let Some(team) = call.caller.team() else { return Ok(Some(ticket)) };
    // Dropped on a refusal, the key's ticket gives back what it set aside.
    let of_team = ledger.admit_team(team, estimate, moment)?;
    Ok(Some(ticket.with_team(of_team)))
}

/// The tokens that the request may use at most, as far as that is known, and the money that it is likely to; at most, if that
/// is all that its key may ever be charged.
fn estimate(decision: &Decision, plan: &Plan, unsaid: Unsaid) -> Estimate {
    let (needs, expected) = (&decision.needs, decision.admission.expected);
    let output = needs.cap.or(expected.map(|known| known.most)).unwrap_or(unsaid.output);
    let usual = needs.cap.map_or(needs.output, |cap| cap.min(needs.output));
    let completion = if unsaid.usage { output } else { usual };
    let usage = Usage { prompt: needs.prompt, completion, ..Usage::default() };
    let cost = pricing::marginal_cost(&plan.first, &usage).unwrap_or_default();
    Estimate { prompt: needs.prompt, output, cost }
}

/// Charges what the request used, or what was set aside where the answer does not tell. One that nobody answered is
/// charged nothing; one whose caller went away while it was
/// under way may have been billed upstream, so its prompt is charged.
pub(super) fn settle(ticket: Ticket, record: &RequestRecord) {
    let bill = match (&record.answer, &record.decided) {
        (Some(Answer { usage: Some(usage), cost, deployment, .. }), _) => {
            bill(deployment, usage, *cost)
        }
        // Made in the background, say: it tells no usage, and is not free for that.
        (Some(answer), _) if !answer.is_refusal() && record.operation.is_billed() => {
            ticket.set_aside()
        }
        (Some(answer), _) => Bill { cost: answer.cost.unwrap_or_default(), ..Bill::default() },
        (None, Some(decided)) if record.ended == RequestEnd::HungUp => {
            let usage = Usage { prompt: decided.prompt, ..Usage::default() };
            let price = |first: &_| pricing::marginal_cost(first, &usage);
            let cost = decided.first.as_deref().and_then(price).unwrap_or(Usd::ZERO);
            Bill { tokens: decided.prompt, cost }
        }
        (None, _) => Bill::default(),
    };
    ticket.settle(bill, current());
}

/// The charge of a key for an answer. One of a service tier without a price counts at the standard price: requesting such a
/// tier must not be a way around a budget.
pub(super) fn bill(deployment: &Deployment, usage: &Usage, cost: Option<Usd>) -> Bill {
    let standard = || pricing::marginal_cost(deployment, &usage.at_standard());
    let cost = cost.or_else(standard).unwrap_or_default();
    Bill { tokens: usage.prompt + usage.completion, cost }
}

/// The current moment.
pub(super) fn current() -> Moment {
    Moment { now: Instant::now(), today: clock::day(clock::wall()) }
}
