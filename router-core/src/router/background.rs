//! Answers made in the background: charged with what was set aside when they are created, settled by the first response that
//! reports their usage.
//!
//! An answer that is never fetched, or forgotten here because too many are open, stays charged with what was set aside.
//! Whose answer it is and which deployment has it is known to `stored`, not here.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::chat::Usage;
use crate::deployment::Deployment;
use crate::deployment::pricing;
use crate::ledger::Charged;
use crate::ledger::Ticket;
use crate::metrics::Metrics;
use crate::metrics::Settled;
use crate::stored::Caller;
use crate::units::Tokens;
use crate::units::Usd;

use super::charging;

/// The most answers of which it is remembered what was charged; the oldest are forgotten first.
const MOST: u64 = 10_000;

/// How long services keep stored responses.
///
/// **Source:** `OpenAI` and Microsoft, "Responses API": 30 days.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3_600);

/// Answers whose usage is not known yet, by their ids. Clones share everything.
#[derive(Debug, Clone)]
pub(super) struct OpenAnswers(moka::sync::Cache<Box<str>, Arc<OpenAnswer>>);

/// An answer whose usage is not known yet.
#[derive(Debug)]
struct OpenAnswer {
    deployment: Arc<Deployment>,
    caller: Caller,
    /// `None` if the caller has no key.
    charged: Mutex<Option<Charged>>,
}

/// What an answer that has been settled cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SettledCost {
    pub(super) cost: Option<Usd>,
    pub(super) at_least: bool,
}

impl Default for OpenAnswers {
    fn default() -> Self {
        Self(moka::sync::Cache::builder().max_capacity(MOST).time_to_live(KEPT).build())
    }
}

impl OpenAnswers {
    /// An answer has been created; its usage will be reported later. `ticket` is what its key set aside.
    pub(super) fn opened(
        &self,
        id: &str,
        answered: &Arc<Deployment>,
        caller: &Caller,
        ticket: Option<Ticket>,
    ) {
        let charged = Mutex::new(ticket.map(|ticket| ticket.charge(charging::today())));
        let (deployment, caller) = (Arc::clone(answered), caller.clone());
        self.0.insert(id.into(), Arc::new(OpenAnswer { deployment, caller, charged }));
    }

    /// A response reports what the answer used. `None` if it is settled, or was never open here.
    pub(super) fn settle(&self, id: &str, usage: &Usage, metrics: &Metrics) -> Option<SettledCost> {
        // An answer that is still being made may report zeros.
        if usage.prompt + usage.completion == Tokens::ZERO {
            return None;
        }
        let open = self.0.remove(id)?;
        let deployment = &open.deployment;
        let cost = pricing::marginal_cost(deployment, usage);
        let charged = open.charged.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(charged) = charged {
            charged.correct(charging::bill(deployment, usage, cost), charging::today());
        }
        let at_least = pricing::is_at_least(deployment, usage);
        let key = open.caller.name();
        metrics.settled(&Settled { deployment, key, usage: *usage, cost });
        Some(SettledCost { cost, at_least })
    }
}
