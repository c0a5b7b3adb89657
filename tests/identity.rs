//! Endpoints with Entra ID tokens: fetched once for all requests, renewed before they expire and
//! after a 401, for every kind of identity. The emulator issues the tokens and accepts no others.

use std::path::PathBuf;
use std::time::Duration;

use azure_emulator::Step;
use futures_util::future::join_all;
use serde_json::json;
use tokio::time::Instant;

use crate::support::{Bench, Layout, PATIENCE, logs};

const SECRET: &str = "hidden-7c7c7c7c-secret";

/// A file with the secret, the header or the assertion that an identity shows; gone with the test.
#[derive(Debug)]
struct Shown(PathBuf);

impl Shown {
    fn new(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("identity-{name}"));
        std::fs::write(&path, format!("{SECRET}\n")).unwrap();
        Self(path)
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

fn at(layout: Layout, kind: &str) -> Layout {
    layout
        .without("endpoints.azure.anonymous")
        .text("endpoints.azure.identity.kind", kind)
        .text("endpoints.azure.identity.url", "{url}")
        .settings(azure_emulator::Settings::tokens_only)
}

/// The design pair behind an identity of this kind.
fn behind(kind: &str, shown: &Shown) -> Layout {
    let key = |name: &str| format!("endpoints.azure.identity.{name}");
    let file = format!("{{ file = '{}' }}", shown.0.display());
    let layout = at(Layout::pair(), kind);
    match kind {
        "app_service" => layout.text(&key("url"), "{url}/msi/token").set(&key("secret"), file),
        "workload" => layout
            .text(&key("tenant_id"), "a-tenant")
            .text(&key("client_id"), "an-app")
            .text(&key("token_file"), shown.0.to_str().unwrap()),
        "client_secret" => layout
            .text(&key("tenant_id"), "a-tenant")
            .text(&key("client_id"), "an-app")
            .set(&key("secret"), file),
        _ => layout,
    }
}

async fn many(bench: &Bench) {
    let answers = join_all((0..20).map(|nth| bench.ask_in_form("chat", nth % 2 == 0))).await;
    for answer in answers {
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("x-router-attempts"), Some("1"), "{answer:?}");
    }
}

#[tokio::test]
async fn every_kind_of_proof_opens_and_one_token_serves_all() {
    for kind in ["instance_metadata", "app_service", "workload", "client_secret"] {
        let shown = Shown::new(kind);
        let bench = behind(kind, &shown).start().await;
        assert_eq!(bench.emulator.identity().issued(), 0, "nothing is fetched before it is needed");
        many(&bench).await;
        bench.ask_in_form("o1", false).await.assert_answered_by("o1_payg", false);
        assert_eq!(bench.emulator.identity().issued(), 1, "{kind}");
    }
}

#[tokio::test]
async fn a_token_that_was_revoked_is_replaced_once_and_no_caller_notices() {
    let shown = Shown::new("revoked");
    let bench = behind("client_secret", &shown).start().await;
    many(&bench).await;
    bench.emulator.identity().revoke_all();
    many(&bench).await;
    assert_eq!(bench.emulator.identity().issued(), 2);
}

#[tokio::test]
async fn a_401_under_a_new_token_is_the_deployments_own() {
    let shown = Shown::new("refused");
    let bench = behind("client_secret", &shown).start().await;
    bench.emulator.script("chat_ptu", Step::missing_role().forever());
    for _ in 0..3 {
        bench.ask_in_form("chat", false).await.assert_answered_by("chat_payg", false);
    }
    assert_eq!(bench.counts(["chat_ptu", "chat_payg"]), [2, 3]);
    assert_eq!(bench.emulator.identity().issued(), 2);
}

#[tokio::test]
async fn a_token_is_fetched_anew_before_it_ends() {
    let shown = Shown::new("early");
    let bench = behind("instance_metadata", &shown).start().await;
    bench.emulator.identity().set_lifetime(Duration::from_secs(1));
    let started = Instant::now();
    while bench.emulator.identity().issued() < 3 {
        let answer = bench.ask_in_form("chat", false).await;
        assert_eq!((answer.status, answer.header("x-router-attempts")), (200, Some("1")));
        assert!(started.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(started.elapsed() >= Duration::from_secs(1), "each serves for at least half its life");
}

#[tokio::test]
async fn an_identity_service_that_fails_is_asked_again_and_then_the_next_deployment_answers() {
    let (shown, key) = (Shown::new("failing"), Shown::new("key"));
    let bench = behind("client_secret", &shown)
        .text("endpoints.keyed.url", "{url}")
        .text("endpoints.keyed.api", "azure")
        .text("endpoints.keyed.api_version", "2024-12-01-preview")
        .set("endpoints.keyed.api_key", format_args!("{{ file = '{}' }}", key.0.display()))
        .text("deployments.chat_payg.endpoint", "keyed")
        .settings(|settings| settings.api_key(SECRET))
        .set("limits.fault_cooldown_ms", 1)
        .start()
        .await;
    bench.emulator.identity().fail_next(3);
    let answer = bench.ask("chat", json!({})).await;
    answer.assert_answered_by("chat_payg", false);
    assert_eq!(answer.header("x-router-fallback"), Some("connect"));
    assert_eq!(bench.counts(["chat_ptu", "chat_payg"]), [0, 1]);
    bench.emulator.identity().fail_next(1);
    bench.ask("deployment:chat_ptu", json!({})).await.assert_answered_by("chat_ptu", false);
    let told = logs::lines_with("no token for the endpoint");
    assert!(told.iter().any(|line| line.contains("temporarily_unavailable")), "{told:?}");
    let metrics = bench.get("/metrics").await.text;
    let debug = format!("{:?}", bench.server);
    for hidden in [SECRET, "emulator-token-"] {
        assert!(logs::lines_with(hidden).is_empty(), "a line shows {hidden}");
        assert!(!metrics.contains(hidden) && !debug.contains(hidden), "{hidden} is shown");
    }
}

#[tokio::test]
async fn a_secret_that_is_not_there_is_told_to_the_log_by_its_place() {
    let layout = at(Layout::pair(), "workload")
        .text("endpoints.azure.identity.tenant_id", "a-tenant")
        .text("endpoints.azure.identity.client_id", "an-app")
        .text("endpoints.azure.identity.token_file", "/nowhere/at/all/token");
    let bench = layout.start().await;
    assert_eq!(bench.ask("chat", json!({})).await.status, 502);
    let told = logs::lines_with("/nowhere/at/all/token");
    assert!(told.iter().any(|line| line.contains("no token for the endpoint")), "{told:?}");
}
