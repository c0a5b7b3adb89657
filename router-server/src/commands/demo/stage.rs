//! The stage of the demo: an emulated Azure with three deployments, sized so that bursts fill the provisioned one.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use azure_emulator::bucket::BucketSettings;
use azure_emulator::quota::QuotaSettings;
use azure_emulator::{Deployment, Emulator, Latency, Lengths, Settings};
use router_core::config::{Config, ConfigFaults};
use router_core::units::Day;

use crate::design_card;

const CHAT_PTU: &str = "gpt-4o-ptu";
const CHAT_PAYG: &str = "gpt-4o-payg";
const REASONING: &str = "o1-payg";

/// The smallest provisioned gpt-4o that Azure sells: 37,500 tokens a minute.
///
/// **Source:** Microsoft, "Determine PTU sizing": gpt-4o, 15 PTU at least, 2,500 input tokens a minute for each, an output
/// token counts four.
fn smallest_gpt_4o() -> BucketSettings {
    BucketSettings::new(15.0, 2_500.0, 4.0)
}

/// Starts the emulator. Its answers come quicker than real ones so that the demo is short; their order holds: the
/// provisioned deployment is the quickest, reasoning the slowest.
pub(super) async fn emulator(seed: u64) -> io::Result<Emulator> {
    let pace = |first: u64, tokens_per_second: f64| Latency {
        first_token: Duration::from_millis(first),
        tokens_per_second,
    };
    let said = Lengths::Skewed { median: 45, spread: 0.5 };
    let quota = QuotaSettings::new(30_000, 5_000_000);
    let ptu = Deployment::provisioned(CHAT_PTU, "gpt-4o", smallest_gpt_4o());
    let settings = Settings::new()
        .seed(seed)
        .deployment(ptu.latency(pace(40, 600.0)).output(said))
        .deployment(
            Deployment::pay_as_you_go(CHAT_PAYG, "gpt-4o", quota)
                .latency(pace(80, 400.0))
                .output(said),
        )
        .deployment(
            Deployment::pay_as_you_go(REASONING, "o1", quota)
                .latency(pace(120, 1_500.0))
                .output(Lengths::Skewed { median: 160, spread: 0.4 })
                .reasoning(Lengths::Skewed { median: 400, spread: 0.5 }),
        );
    Emulator::start(settings).await
}

/// The router's configuration: the design card's, its endpoint at the emulator.
pub(super) fn config(
    endpoint: &str,
    listen: SocketAddr,
    today: Day,
) -> Result<Config, ConfigFaults> {
    let mut config = design_card::config(endpoint, today)?;
    config.server.listen = listen;
    Ok(config)
}

/// What the provisioned deployment itself counted.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seen {
    /// Requests that reached it.
    pub(super) requests: u64,
    /// Of these, answered 429.
    pub(super) throttled: u64,
}

/// Asks the emulator what its provisioned deployment counted.
pub(super) fn seen(emulator: &Emulator) -> Seen {
    let counters = emulator.counters(CHAT_PTU).unwrap_or_default();
    Seen { requests: counters.requests, throttled: counters.throttled }
}

/// What the watcher is told at the beginning.
pub(super) fn opening(url: &str) -> String {
    format!(
        "An emulated Azure (gpt-4o on 15 PTU, gpt-4o and o1 on pay-as-you-go) and the router run in this process.\n\
         The router listens at {url}. Callers ask for the model `auto` and get, by what they ask, o1 or gpt-4o.\n\
         Watch it in a browser: {url}/"
    )
}
