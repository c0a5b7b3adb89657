//! Budgets of keys and teams with their spending: for gauges, for `GET /v1/usage`, and for notices.
//!
//! The library's ledger decides what counts against a budget; this module only reads it.

use std::sync::Arc;

use prometheus::{GaugeVec, Opts, Registry};
use router_core::config::CallerKey;
use router_core::decision::Moment;
use router_core::ledger::{Allowance, Ledger, Span, Team};
use router_core::units::{Day, Usd};

/// Holder of a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Owner {
    /// A key.
    Key,
    /// A team.
    Team,
}

impl Owner {
    /// The word in labels and notices.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Team => "team",
        }
    }
}

/// A budget and its spending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Budget {
    pub(crate) owner: Owner,
    /// The owner's name in config.
    pub(crate) name: Arc<str>,
    pub(crate) span: Span,
    pub(crate) limit: Usd,
    pub(crate) spent: Usd,
    /// The first day of the next one.
    pub(crate) renews: Day,
}

/// A key or a team with an allowance.
#[derive(Debug, Clone)]
struct Spender {
    owner: Owner,
    name: Arc<str>,
    account: Arc<str>,
    allowance: Allowance,
}

/// All budgets of a configuration.
#[derive(Debug, Clone, Default)]
pub(crate) struct Budgets(Vec<Spender>);

impl Budgets {
    /// Those of the keys and of their teams.
    pub(crate) fn new(keys: &[CallerKey]) -> Self {
        let mut spenders: Vec<Spender> = Vec::new();
        for key in keys {
            let name: Arc<str> = key.name.as_str().into();
            let account = Arc::clone(&name);
            spenders.push(Spender { owner: Owner::Key, name, account, allowance: key.allowance });
        }
        let mut teams: Vec<&Arc<Team>> = keys.iter().filter_map(|key| key.team.as_ref()).collect();
        teams.sort_by(|one, other| one.name.cmp(&other.name));
        teams.dedup_by(|one, other| one.name == other.name);
        spenders.extend(teams.into_iter().map(|team| Spender {
            owner: Owner::Team,
            name: team.name.as_str().into(),
            account: team.account().into(),
            allowance: team.allowance,
        }));
        Self(spenders)
    }

    /// Every budget, with the spending of this and other replicas.
    pub(crate) fn spent(&self, ledger: &Ledger, moment: Moment) -> Vec<Budget> {
        let mut budgets = Vec::new();
        for Spender { owner, name, account, allowance } in &self.0 {
            for (span, limit) in limits(allowance) {
                let Some(limit) = limit else { continue };
                let used = ledger.used(account, moment);
                let spent = used.spent(span);
                let renews = span.renews(moment.today);
                let (owner, name) = (*owner, Arc::clone(name));
                budgets.push(Budget { owner, name, span, limit, spent, renews });
            }
        }
        budgets
    }
}

/// The budgets of an allowance, those that it has not as `None`.
pub(crate) fn limits(allowance: &Allowance) -> [(Span, Option<Usd>); 2] {
    [(Span::Day, allowance.daily_budget), (Span::Month, allowance.monthly_budget)]
}

/// Budgets as gauges, set when the metrics are read.
#[derive(Debug)]
pub(crate) struct BudgetGauges {
    limit: GaugeVec,
    spent: GaugeVec,
}

impl BudgetGauges {
    /// Makes them known to a registry.
    pub(crate) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let gauge = |name: &str, help: &str| {
            let options = Opts::new(name, help).namespace("model_router");
            let gauge = GaugeVec::new(options, &["owner", "name", "span"])?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        Ok(Self {
            limit: gauge(
                "budget_limit_usd",
                "The budget of a key or a team for a day or a month of UTC, in US dollars.",
            )?,
            spent: gauge(
                "budget_spent_usd",
                "What is spent of the budget of a key or a team, in US dollars, other replicas included.",
            )?,
        })
    }

    /// Shows these budgets and no others.
    pub(crate) fn show(&self, budgets: &[Budget]) {
        self.limit.reset();
        self.spent.reset();
        for Budget { owner, name, span, limit, spent, .. } in budgets {
            let labels = [owner.as_str(), name, span.as_str()];
            self.limit.with_label_values(&labels).set(limit.as_f64());
            self.spent.with_label_values(&labels).set(spent.as_f64());
        }
    }
}
