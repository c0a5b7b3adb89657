//! The setup of the demo: an emulated Azure with three deployments, sized so that bursts fill the
//! provisioned one.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use azure_emulator::bucket::BucketSettings;
use azure_emulator::quota::QuotaSettings;
use azure_emulator::{Deployment, Emulator, Latency, Lengths, Settings};
use router_core::config::ConfigFaults;
use router_core::units::Day;

use crate::args::Pair;
use crate::config::Config;
use crate::design_card;

/// The names of what plays.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cast {
    pair: Pair,
    /// The model for chat.
    pub(super) chat: &'static str,
    /// The model for reasoning.
    pub(super) reasoning: &'static str,
    /// The pay-as-you-go deployments' keys in the configuration.
    pub(super) chat_payg: &'static str,
    pub(super) reasoning_payg: &'static str,
    /// Azure's names: provisioned chat, chat by the token, reasoning.
    emulated: [&'static str; 3],
}

impl Cast {
    /// The cast of a pair.
    pub(super) fn of(pair: Pair) -> Self {
        match pair {
            Pair::SoldToday => Self {
                pair,
                chat: "gpt-5.4",
                reasoning: "gpt-5.6-sol",
                chat_payg: "chat_payg",
                reasoning_payg: "thinking",
                emulated: ["gpt-5.4-ptu", "gpt-5.4", "gpt-5.6-sol"],
            },
            Pair::DesignCard => Self {
                pair,
                chat: "gpt-4o",
                reasoning: "o1",
                chat_payg: "gpt_4o_payg",
                reasoning_payg: "o1_payg",
                emulated: ["gpt-4o-ptu", "gpt-4o-payg", "o1-payg"],
            },
        }
    }

    /// The smallest provisioned deployment of the chat model that Azure sells.
    ///
    /// **Source:** Microsoft, "Determine PTU sizing": 15 PTU at least; gpt-4o 2,500 input tokens a minute for each, an output
    /// token counts four; gpt-5.4 2,400 and six.
    fn smallest(self) -> BucketSettings {
        match self.pair {
            Pair::SoldToday => BucketSettings::new(15.0, 2_400.0, 6.0),
            Pair::DesignCard => BucketSettings::new(15.0, 2_500.0, 4.0),
        }
    }
}

/// Starts the emulator. Its answers come quicker than real ones so that the demo is short; their order holds: the
/// provisioned deployment is the quickest, reasoning the slowest.
pub(super) async fn emulator(cast: Cast, seed: u64) -> io::Result<Emulator> {
    let pace = |first: u64, tokens_per_second: f64| Latency {
        first_token: Duration::from_millis(first),
        tokens_per_second,
    };
    let said = Lengths::Skewed { median: 45, spread: 0.5 };
    let quota = QuotaSettings::new(30_000, 5_000_000);
    let [provisioned, by_token, reasoning] = cast.emulated;
    let ptu = Deployment::provisioned(provisioned, cast.chat, cast.smallest());
    let settings = Settings::new()
        .seed(seed)
        .deployment(ptu.latency(pace(40, 600.0)).output(said))
        .deployment(
            Deployment::pay_as_you_go(by_token, cast.chat, quota)
                .latency(pace(80, 400.0))
                .output(said),
        )
        .deployment(
            Deployment::pay_as_you_go(reasoning, cast.reasoning, quota)
                .latency(pace(120, 1_500.0))
                .output(Lengths::Skewed { median: 160, spread: 0.4 })
                .reasoning(Lengths::Skewed { median: 400, spread: 0.5 }),
        );
    Emulator::start(settings).await
}

/// The router's configuration: the pair's, its endpoint at the emulator.
pub(super) fn config(
    cast: Cast,
    endpoint: &str,
    listen: SocketAddr,
    today: Day,
) -> Result<Config, ConfigFaults> {
    let mut config = match cast.pair {
        Pair::SoldToday => design_card::sold_today(endpoint, today)?,
        Pair::DesignCard => design_card::config(endpoint, today)?,
    };
    config.server.listen = listen;
    // Only --listen names such an address, as a container must; there is nothing to protect here.
    config.server.allow_anonymous = !listen.ip().is_loopback();
    Ok(config)
}

/// Counts of the provisioned deployment itself.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seen {
    /// Requests that reached it.
    pub(super) requests: u64,
    /// Requests answered 429.
    pub(super) throttled: u64,
}

/// Asks the emulator what its provisioned deployment counted.
pub(super) fn seen(cast: Cast, emulator: &Emulator) -> Seen {
    let [provisioned, ..] = cast.emulated;
    let counters = emulator.counters(provisioned).unwrap_or_default();
    Seen { requests: counters.requests, throttled: counters.throttled }
}

/// Introduction at the start of the demo.
pub(super) fn opening(cast: Cast, url: &str) -> String {
    let Cast { chat, reasoning, .. } = cast;
    format!(
        "An emulated Azure ({chat} on 15 PTU, {chat} and {reasoning} on pay-as-you-go) and the router run in this process.\n\
         The router listens at {url}. Callers ask for the model `auto` and get, by what they ask, {reasoning} or {chat}.\n\
         Watch it in a browser: {url}/"
    )
}
