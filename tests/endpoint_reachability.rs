//! Reachability of endpoints: private authorities are trusted only where configured, and a proxy is
//! used or bypassed. `router-server/tests/proxy.rs` covers proxies from the environment.

use std::net::SocketAddr;

use router_core::upstream::HttpUpstream;
use serde_json::json;

use crate::support::tls::{Authority, Doorstep, Files, Proxy};
use crate::support::{Bench, Layout, checked};

/// The design pair behind TLS: the emulator on loopback, and a doorstep with a certificate of a private authority.
struct Private {
    authority: Authority,
    doorstep: Doorstep,
    files: Files,
    bench: Bench,
}

impl Private {
    async fn start() -> Self {
        let bench = Layout::pair().start().await;
        let authority = Authority::new();
        let doorstep = Doorstep::before(emulated(&bench), &authority.pair()).await;
        Self { authority, doorstep, files: Files::new(), bench }
    }

    /// A router before the doorstep, with more keys of its endpoint.
    async fn routed(&self, change: impl FnOnce(Layout) -> Layout) -> Bench {
        let layout = change(Layout::pair());
        let config = checked(&layout.toml(&format!("https://{}", self.doorstep.addr)));
        let server = router_server::start(&config).await.unwrap();
        let quiet = azure_emulator::Emulator::start(azure_emulator::Settings::new()).await.unwrap();
        Bench::new(quiet, server)
    }

    fn ca_file(&self, layout: Layout) -> Layout {
        let path = self.files.write("ca.pem", &self.authority.pem());
        layout.text("endpoints.azure.ca_file", path.to_str().unwrap())
    }
}

fn emulated(bench: &Bench) -> SocketAddr {
    bench.emulator.url().strip_prefix("http://").unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_private_authority_is_believed_where_config_says_so() {
    let private = Private::start().await;
    let router = private.routed(|layout| private.ca_file(layout)).await;
    for streamed in [false, true] {
        let answer = router.ask_in_form("gpt-4o", streamed).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
    assert_eq!(private.bench.counts(["chat_ptu", "chat_payg"]), [2, 0]);
}

#[tokio::test]
async fn without_it_nothing_is_sent() {
    let private = Private::start().await;
    let other = Authority::new();
    for layout in [
        private.routed(|layout| layout).await,
        private
            .routed(|layout| {
                let path = private.files.write("other.pem", &other.pem());
                layout.text("endpoints.azure.ca_file", path.to_str().unwrap())
            })
            .await,
    ] {
        let answer = layout.ask("gpt-4o", json!({})).await;
        assert!((500..600).contains(&answer.status), "{}", answer.text);
        assert!(!answer.text.contains("127.0.0.1"), "no address is shown: {}", answer.text);
    }
    assert_eq!(private.bench.counts(["chat_ptu", "chat_payg"]), [0, 0]);
}

#[tokio::test]
async fn the_proxy_of_config_is_used_and_none_passes_by() {
    let private = Private::start().await;
    let proxy = Proxy::start().await;
    let through = private
        .routed(|layout| private.ca_file(layout).text("endpoints.azure.proxy", &proxy.url))
        .await;
    assert_eq!(through.ask("gpt-4o", json!({})).await.status, 200);
    assert_eq!(proxy.asked(), [private.doorstep.addr.to_string()]);
    let by = private
        .routed(|layout| private.ca_file(layout).text("endpoints.azure.proxy", "none"))
        .await;
    assert_eq!(by.ask("gpt-4o", json!({})).await.status, 200);
    assert_eq!(proxy.asked().len(), 1);
    assert_eq!(private.bench.counts(["chat_ptu"]), [2]);
}

#[tokio::test]
async fn files_that_hold_no_authority_are_named() {
    let private = Private::start().await;
    let key = private.authority.pair().key;
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (text, expected) in [
        (None, "endpoints.azure.ca_file: {path} cannot be read: "),
        (
            Some(""),
            "endpoints.azure.ca_file: {path} must hold certificates in PEM form, found none",
        ),
        (
            Some(&*key),
            "endpoints.azure.ca_file: {path} must hold certificates in PEM form, found none",
        ),
        (
            Some(broken),
            "endpoints.azure.ca_file: {path} must hold certificates in PEM form, found one that",
        ),
    ] {
        let path = private.files.write("ca.pem", text.unwrap_or_default());
        if text.is_none() {
            std::fs::remove_file(&path).unwrap();
        }
        let layout = Layout::pair().text("endpoints.azure.ca_file", path.to_str().unwrap());
        let config = checked(&layout.toml("https://127.0.0.1:1"));
        let expected = expected.replace("{path}", path.to_str().unwrap());
        let fault = router_server::start(&config).await.unwrap_err().to_string();
        assert!(fault.starts_with(&expected), "{fault}\n{expected}");
        let faults =
            HttpUpstream::check(&config.router.endpoints, config.router.limits.connections());
        assert_eq!(faults.iter().map(ToString::to_string).collect::<Vec<_>>(), [fault]);
    }
}
