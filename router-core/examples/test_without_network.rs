//! Tests a program that embeds the router without a network: an upstream in memory answers, in tokio's paused time.
//!
//! `cargo run -p router-core --example test_without_network`. A program's own test has the same lines inside `#[tokio::test]`.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use router_core::{Attempt, ChatCall, Config, Day, ModelRouter, Reply, Unreachable, Upstream};

const CONFIG: &str = r#"
[roles.reasoning]
models = ["gpt-4o"]
[roles.chat]
models = ["gpt-4o"]
[endpoints.main]
url = "https://example.openai.azure.com"
api = "azure_v1"
anonymous = true
[deployments.gpt_4o_ptu]
endpoint = "main"
model = "gpt-4o"
billing = "provisioned"
ptu = 50
area = "global"
[deployments.gpt_4o_payg]
endpoint = "main"
model = "gpt-4o"
billing = "pay_as_you_go"
area = "global"
"#;

/// The provisioned deployment is full; pay-as-you-go answers.
#[derive(Debug)]
struct FullPtu;

impl Upstream for FullPtu {
    async fn send(&self, attempt: Attempt) -> Result<Reply, Unreachable> {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let mut headers = HeaderMap::new();
        let (status, body) = if attempt.deployment.billing.is_provisioned() {
            headers.insert("retry-after-ms", 5_000.into());
            (StatusCode::TOO_MANY_REQUESTS, r#"{"error":{"code":"429","message":"full"}}"#)
        } else {
            let answer = r#"{"model":"gpt-4o","choices":[{"index":0,"finish_reason":"stop",
                "message":{"role":"assistant","content":"Hello!"}}],
                "usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}"#;
            (StatusCode::OK, answer)
        };
        let body = futures_util::stream::iter([Ok(Bytes::from_static(body.as_bytes()))]);
        Ok(Reply { status, headers, body: Box::pin(body) })
    }
}

#[expect(clippy::print_stdout, reason = "an example prints its result")]
#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config = Config::from_toml(CONFIG, Day::try_from("2026-11-23")?)?;
    let registry = prometheus::Registry::new();
    let router =
        ModelRouter::with_upstream(config.rules()?, config.limits.clone(), FullPtu, &registry)?;
    let body = r#"{"model":"auto","messages":[{"role":"user","content":"Hello!"}]}"#;
    let response = router.chat(ChatCall::of_body(body)).await?;
    assert_eq!(response.status, StatusCode::OK);
    let header = |name: &str| response.headers.get(name).and_then(|value| value.to_str().ok());
    assert_eq!(header("x-router-deployment"), Some("gpt_4o_payg"));
    assert_eq!(header("x-router-attempts"), Some("2"));
    println!("answered by {}", header("x-router-deployment").unwrap_or("nobody"));
    Ok(())
}
