//! Background answers: charged their reservation when they are created, settled by the first
//! response that reports their usage, whichever replica sees it.
//!
//! An answer that is never fetched, or forgotten here because too many are open, keeps the charge
//! of its reservation.
//!
//! Not done here: whose answer it is and which deployment has it (`stored`).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::capacity::Timing;
use crate::chat::Usage;
use crate::clock;
use crate::deployment::Deployment;
use crate::ledger::Bill;
use crate::ledger::Charged;
use crate::ledger::Ledger;
use crate::ledger::Ticket;
use crate::record::Answer;
use crate::record::Counterfactual;
use crate::record::ReferencePrices;
use crate::record::Settlement;
use crate::replicas::Outgoing;
use crate::replicas::Replicas;
use crate::stored::Caller;
use crate::units::Day;
use crate::units::Tokens;
use crate::units::Usd;

use super::bill;
use super::charging;
use super::open_request::Observers;

/// The most answers of which it is remembered what was charged; the oldest are forgotten first.
const MOST: u64 = 10_000;

/// The time for which services keep stored responses.
///
/// **Source:** `OpenAI` and Microsoft, "Responses API": 30 days.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3_600);

/// Answers whose usage is not known yet, by their ids. Clones share everything.
#[derive(Debug, Clone)]
pub(super) struct OpenAnswers {
    shelf: moka::sync::Cache<Box<str>, Arc<OpenAnswer>>,
    /// Hands charges to other replicas.
    outgoing: Option<Arc<Outgoing>>,
}

/// An answer whose usage is not known yet.
#[derive(Debug)]
struct OpenAnswer {
    /// `None` if the caller has no key.
    charged: Mutex<Option<Charged>>,
}

/// A response that reports what a stored answer used.
pub(super) struct Reporting<'s> {
    pub(super) id: &'s str,
    pub(super) usage: Usage,
    pub(super) deployment: &'s Arc<Deployment>,
    pub(super) caller: &'s Caller,
    pub(super) request_id: Option<&'s str>,
    pub(super) observers: &'s Observers,
    pub(super) prices: &'s ReferencePrices,
}

/// The cost of a settled answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SettledCost {
    pub(super) cost: Option<Usd>,
    pub(super) at_least: bool,
}

impl Default for OpenAnswers {
    fn default() -> Self {
        let shelf = moka::sync::Cache::builder().max_capacity(MOST).time_to_live(KEPT).build();
        Self { shelf, outgoing: None }
    }
}

impl OpenAnswers {
    /// The same, keeping what is charged for other replicas.
    #[must_use]
    pub(super) fn sharing(self, outgoing: Arc<Outgoing>) -> Self {
        Self { outgoing: Some(outgoing), ..self }
    }

    /// An answer has been created; its usage will be reported later. `ticket` is what its key set aside.
    pub(super) fn opened(&self, id: &str, ticket: Option<Ticket>) {
        let charged = ticket.map(|ticket| ticket.charge(charging::current()));
        if let Some(outgoing) = &self.outgoing {
            outgoing.set(&open_key(id), Some(&written(charged.as_ref())));
        }
        self.shelf.insert(id.into(), Arc::new(OpenAnswer { charged: Mutex::new(charged) }));
    }

    /// A response reports what the answer used. `None` if it is settled, or was never open here.
    pub(super) fn settle(&self, reporting: &Reporting<'_>) -> Option<SettledCost> {
        if reporting.says_nothing() {
            return None;
        }
        let open = self.shelf.remove(reporting.id)?;
        let charged = open.charged.lock().unwrap_or_else(PoisonError::into_inner).take();
        Some(reporting.settle(charged))
    }

    /// The same among replicas, of which the first to see the usage settles the answer. If they cannot be asked, the one that
    /// created it does.
    pub(super) async fn settle_among(
        &self,
        reporting: &Reporting<'_>,
        ledger: &Ledger,
        replicas: &Replicas,
    ) -> Option<SettledCost> {
        if reporting.says_nothing() {
            return None;
        }
        let known = self.shelf.contains_key(reporting.id);
        let key = open_key(reporting.id);
        let kept = if known { None } else { replicas.find(&[key.as_str().into()]).await.pop()? };
        if !known && kept.is_none() {
            return None;
        }
        match replicas.claim(&format!("settled:{}", reporting.id)).await {
            Some(true) => {}
            Some(false) => {
                self.shelf.invalidate(reporting.id);
                return None;
            }
            None if known => {}
            None => return None,
        }
        if let Some(outgoing) = &self.outgoing {
            outgoing.set(&key, None);
        }
        if known {
            return self.settle(reporting);
        }
        let charged = kept.as_deref().and_then(read).zip(reporting.caller.name());
        let moment = charging::current();
        let charged = charged.map(|((bill, on), key)| {
            let charged = ledger.charged_elsewhere(key, bill, on, moment);
            match reporting.caller.team() {
                Some(team) => {
                    let of_team = ledger.charged_elsewhere(team.account(), bill, on, moment);
                    charged.with_team(of_team)
                }
                None => charged,
            }
        });
        Some(reporting.settle(charged))
    }
}

impl Reporting<'_> {
    /// True for a response without usage: a running answer may report zeros.
    fn says_nothing(&self) -> bool {
        self.usage.prompt + self.usage.completion == Tokens::ZERO
    }

    fn settle(&self, charged: Option<Charged>) -> SettledCost {
        let Self { usage, deployment, .. } = self;
        let mut answer = Answer {
            deployment: Arc::clone(deployment),
            status: 200,
            spilled_over: false,
            model: None,
            streamed: false,
            usage: Some(*usage),
            cost: None,
            cost_at_least: false,
            timing: Timing { first: Duration::ZERO, total: Duration::ZERO },
            instead: Counterfactual::default(),
        };
        bill::price(&mut answer, &[], self.prices);
        let (cost, at_least) = (answer.cost, answer.cost_at_least);
        if let Some(charged) = charged {
            charged.correct(charging::bill(deployment, usage, cost), charging::current());
        }
        self.observers.settled(&Settlement {
            at: clock::wall(),
            request_id: self.request_id.map(Box::from),
            caller: self.caller.clone(),
            answer,
        });
        SettledCost { cost, at_least }
    }
}

/// The key under which replicas keep what was charged for an answer.
fn open_key(id: &str) -> String {
    format!("open:{id}")
}

/// The charge, as text; empty for a caller without a key.
fn written(charged: Option<&Charged>) -> String {
    charged.map_or_else(String::new, |charged| {
        let Bill { tokens, cost } = charged.bill();
        format!("{} {} {}", tokens.0, cost.picodollars(), charged.on())
    })
}

fn read(text: &str) -> Option<(Bill, Day)> {
    let mut words = text.split(' ');
    let (tokens, cost) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let on = Day::try_from(words.next()?).ok()?;
    Some((Bill { tokens: Tokens(tokens), cost: Usd::of_picodollars(cost) }, on))
}
