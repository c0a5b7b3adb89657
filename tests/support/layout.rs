//! The setup of a test: deployments on both sides, and the router's configuration keys.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

use azure_emulator::bucket::BucketSettings;
use azure_emulator::quota::QuotaSettings;
use azure_emulator::{Deployment, Emulator, Latency, Settings};
use router_core::units::Day;
use router_server::Config;

use super::bench::Bench;
use super::logs;

/// The date of all tests: retirements depend on it, never on the real date.
fn today() -> Day {
    Day::try_from("2026-11-02").unwrap()
}

/// A config of this text; its faults are a failure.
pub(crate) fn checked(text: &str) -> Config {
    Config::from_toml(text, today()).unwrap_or_else(|faults| panic!("{faults}\n{text}"))
}

/// Keys of a config by their dotted names, and the emulator's side of the deployments.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    keys: BTreeMap<String, String>,
    emulated: Vec<Deployment>,
    settings: Settings,
}

impl Layout {
    /// No deployments yet; role chat is gpt-4o, role reasoning is o1.
    pub(crate) fn empty() -> Self {
        let layout =
            Self { keys: BTreeMap::new(), emulated: Vec::new(), settings: Settings::new().seed(7) };
        layout
            .text("server.listen", "127.0.0.1:0")
            .text("endpoints.azure.url", "{url}")
            .text("endpoints.azure.api", "azure")
            .text("endpoints.azure.api_version", "2024-12-01-preview")
            .set("endpoints.azure.anonymous", true)
            // Nobody is held for a full deployment: that has tests of its own.
            .set("capacity.max_wait_ms", 0)
            .set("capacity.bound_wait_ms", 0)
            .set("roles.chat.models", r#"["gpt-4o"]"#)
            .set("roles.reasoning.models", r#"["o1"]"#)
    }

    /// The design pair: gpt-4o on PTU with pay-as-you-go behind it, o1 on pay-as-you-go.
    pub(crate) fn pair() -> Self {
        Self::empty().ptu("chat_ptu", "gpt-4o").payg("chat_payg", "gpt-4o").payg("o1_payg", "o1")
    }

    /// A key with a value in TOML's own form.
    pub(crate) fn set(mut self, key: &str, value: impl Display) -> Self {
        self.keys.insert(key.to_owned(), value.to_string());
        self
    }

    /// A key with a text.
    pub(crate) fn text(self, key: &str, value: &str) -> Self {
        self.set(key, format_args!("{value:?}"))
    }

    /// Without a key.
    pub(crate) fn without(mut self, key: &str) -> Self {
        self.keys.remove(key);
        self
    }

    /// A provisioned deployment under the same name on both sides, with room for any test.
    pub(crate) fn ptu(self, name: &str, model: &str) -> Self {
        let bucket = BucketSettings::new(10_000.0, 10_000.0, 4.0);
        self.written(name, model, "provisioned")
            .set(&format!("deployments.{name}.ptu"), 100)
            .emulate(Deployment::provisioned(name, model, bucket))
    }

    /// A pay-as-you-go deployment under the same name on both sides, with room for any test.
    pub(crate) fn payg(self, name: &str, model: &str) -> Self {
        let quota = QuotaSettings::new(1_000_000, 1_000_000_000);
        self.written(name, model, "pay_as_you_go")
            .emulate(Deployment::pay_as_you_go(name, model, quota))
    }

    /// The router's side of a deployment alone.
    pub(crate) fn written(self, name: &str, model: &str, billing: &str) -> Self {
        let key = |field: &str| format!("deployments.{name}.{field}");
        self.text(&key("endpoint"), "azure")
            .text(&key("model"), model)
            .text(&key("azure_deployment"), name)
            .text(&key("billing"), billing)
            .text(&key("area"), "global")
    }

    /// The emulator's side of a deployment alone, in place of one of that name.
    pub(crate) fn emulate(mut self, deployment: Deployment) -> Self {
        let quick = Latency { first_token: Duration::from_millis(1), tokens_per_second: 20_000.0 };
        self.emulated.retain(|known| known.name != deployment.name);
        self.emulated.push(deployment.latency(quick));
        self
    }

    /// Changes the emulator.
    pub(crate) fn settings(mut self, change: impl FnOnce(Settings) -> Settings) -> Self {
        self.settings = change(self.settings);
        self
    }

    /// The config as a file would have it.
    pub(crate) fn toml(&self, url: &str) -> String {
        let lines = self.keys.iter().map(|(key, value)| format!("{key} = {value}\n"));
        lines.collect::<String>().replace("{url}", url)
    }

    /// The emulator's side.
    pub(crate) fn emulated(&self) -> Vec<Deployment> {
        self.emulated.clone()
    }

    /// Starts both sides on ports of their own.
    pub(crate) async fn start(self) -> Bench {
        logs::capture();
        let settings =
            self.emulated.iter().cloned().fold(self.settings.clone(), Settings::deployment);
        let emulator = Emulator::start(settings).await.unwrap();
        let config = checked(&self.toml(emulator.url()));
        let server = router_server::start(&config).await.unwrap();
        Bench::new(emulator, server)
    }
}
