//! Prices of hosted tool calls, by service. `pricing.rs` computes the cost of an answer.
//!
//! **Source:** the price map of `LiteLLM` 1.109.1 (`search_context_cost_per_query` of the models, `code_interpreter_cost_per_session`
//! of `azure/container` and `openai/container`, and `OPENAI_FILE_SEARCH_COST_PER_1K_CALLS`), which copies `OpenAI`'s "Pricing" and
//! Microsoft's "Azure OpenAI Service pricing". Azure's price of a file search call is not in it.

use crate::chat::HostedCalls;
use crate::units::Usd;

use super::catalog::{Api, Deployment};

/// The prices of one service, in whole picodollars a call; `None` for one that is not known.
struct Prices {
    web_search: Option<u64>,
    file_search: Option<u64>,
    /// A container for an hour. Later answers that use it again within that hour are not distinguished, so that each counts one.
    container: Option<u64>,
}

const MILLI: u64 = 1_000_000_000;

const AZURE: Prices =
    Prices { web_search: Some(14 * MILLI), file_search: None, container: Some(33 * MILLI) };

const OPENAI: Prices = Prices {
    web_search: Some(10 * MILLI),
    file_search: Some(2 * MILLI + MILLI / 2),
    container: Some(30 * MILLI),
};

/// Cost of hosted tool calls as far as their prices are known, and whether all of them are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HostedCost {
    pub(super) known: Usd,
    pub(super) complete: bool,
}

/// The cost of the calls at a deployment: by its own prices, else by its service's.
pub(super) fn cost(deployment: &Deployment, calls: &HostedCalls) -> HostedCost {
    let own = deployment.price.tools;
    let prices = match &deployment.api {
        Api::OpenAi => OPENAI,
        Api::AzureV1 | Api::AzureDated { .. } => AZURE,
    };
    let mut cost = HostedCost { known: Usd::ZERO, complete: calls.others == 0 };
    for (count, price) in [
        (calls.web_searches, own.web_search.map(Usd::picodollars).or(prices.web_search)),
        (calls.file_searches, own.file_search.map(Usd::picodollars).or(prices.file_search)),
        (calls.containers, own.container.map(Usd::picodollars).or(prices.container)),
    ] {
        match price {
            Some(price) => cost.known += Usd::of_picodollars(price.saturating_mul(count.into())),
            None => cost.complete &= count == 0,
        }
    }
    cost
}
