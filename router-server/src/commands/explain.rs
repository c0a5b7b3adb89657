//! `explain`: shows how a request would be routed, and why. Sends nothing.

use std::io::{self, IsTerminal, Read};
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use prometheus::Registry;
use router_core::clock;
use router_core::router::{BuildFault, ChatCall, ModelRouter};
use router_core::stored::Caller;
use router_core::upstream::{Attempt, Reply, Unreachable, Upstream};
use serde_json::json;

use crate::args::Explain;
use crate::args::usual;
use crate::config::Config;
use crate::console;
use crate::design_card;
use crate::explanation;
use crate::explanation::Judged;

use super::Failure;

/// Explains one request under a configuration, or under the built-in example if none is given.
pub(super) fn run(explain: &Explain) -> Result<(), Failure> {
    let today = clock::day(clock::wall());
    let files = match (explain.config.as_slice(), usual()) {
        ([], None) => Vec::new(),
        ([], Some(usual)) => vec![usual],
        (given, _) => given.to_vec(),
    };
    let config = if files.is_empty() {
        console::complain(
            "note: no --config FILE and no router.toml in this folder: this is the built-in example",
        );
        design_card::sold_today(design_card::NOWHERE, today)?
    } else {
        Config::load(&files, today)?
    };
    let router = deciding(&config)?;
    let mut call = call(explain)?;
    if let Some(name) = &explain.key {
        let found = config.router.keys.iter().find(|key| key.name.as_str() == name);
        let key = found.ok_or_else(|| Failure::UnknownKey { name: name.clone() })?;
        call.caller = Caller::named(name);
        call.rights = Arc::clone(&key.rights);
    }
    let decision = router.route(&call)?;
    let judged = Judged::of(&router, &call);
    let told = if explain.json {
        format!("{:#}", explanation::to_json(&decision, &judged))
    } else {
        explanation::to_text(&decision, &judged)
    };
    Ok(console::say(told)?)
}

/// A router that sends nothing, so that it needs no secrets and no Redis.
fn deciding(config: &Config) -> Result<ModelRouter<Nowhere>, Failure> {
    let rules = config.router.rules().map_err(BuildFault::from)?;
    let limits = config.router.limits.clone();
    let router = ModelRouter::with_upstream(rules, limits, Nowhere, &Registry::new());
    Ok(router.map_err(BuildFault::from)?)
}

/// The upstream of a router that only decides.
struct Nowhere;

impl Upstream for Nowhere {
    async fn send(&self, _: Attempt) -> Result<Reply, Unreachable> {
        Err(Unreachable::Connect)
    }
}

fn call(explain: &Explain) -> Result<ChatCall, Failure> {
    let body = match &explain.text {
        Some(text) => {
            let messages = json!([{"role": "user", "content": text}]);
            json!({"model": explain.model, "messages": messages}).to_string().into()
        }
        None => from_input()?,
    };
    let headers: HeaderMap =
        explain.headers.iter().map(|header| (header.name.clone(), header.value.clone())).collect();
    Ok(ChatCall { headers, ..ChatCall::of_body(body) })
}

fn from_input() -> Result<Bytes, Failure> {
    let mut input = io::stdin().lock();
    if input.is_terminal() {
        return Err(Failure::NoRequest);
    }
    let mut body = Vec::new();
    input.read_to_end(&mut body)?;
    if body.trim_ascii().is_empty() {
        return Err(Failure::NoRequest);
    }
    Ok(body.into())
}
