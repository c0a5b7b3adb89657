//! Embedding the router in a backend: decide only, and send.
//!
//! `cargo run -p router-core --example embed` decides and prints; nothing is sent, because nothing listens.

use router_core::capacity::Snapshot;
use router_core::chat::ChatRequest;
use router_core::config::Config;
use router_core::decision::{Ask, Moment, Ties, decide};
use router_core::policy::{Hints, Rights};
use router_core::router::{ChatCall, ModelRouter, rules_of};
use router_core::units::Day;

const CONFIG: &str = r#"
[roles.reasoning]
models = ["o1"]
[roles.chat]
models = ["gpt-4o"]
[endpoints.main]
url = "http://127.0.0.1:9"
api = "azure"
api_version = "2024-12-01-preview"
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
[deployments.o1_payg]
endpoint = "main"
model = "o1"
billing = "pay_as_you_go"
area = "global"
"#;

#[expect(clippy::print_stdout, reason = "an example shows what it does")]
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let today = Day::try_from("2026-11-23")?;
    let config = Config::from_toml(CONFIG, today)?;

    // Decide only: a pure function. Give it what you know of the deployments, and send as you like.
    let rules = rules_of(&config)?;
    for text in ["안녕하세요, 오늘 기분이 어때요?", "√2가 무리수임을 증명해 주세요."]
    {
        let body =
            serde_json::json!({"model": "auto", "messages": [{"role": "user", "content": text}]});
        let body = body.to_string();
        let request = ChatRequest::parse(body.as_bytes())?;
        let (hints, rights) = (Hints::default(), Rights::default());
        let ask = Ask {
            request: &request,
            path_model: None,
            hints: &hints,
            rights: &rights,
            ties: Ties::default(),
        };
        let moment = Moment { now: tokio::time::Instant::now(), today };
        let decision = decide(ask, &rules, &Snapshot::default(), moment)?;
        let plan = decision.plan?;
        let names: Vec<&str> = plan.iter().map(|deployment| deployment.name.as_str()).collect();
        println!("{text}\n  -> {}", names.join(", then "));
    }

    // Send: the same rules, with fallback, accounting and metrics. `chat` takes a body and gives a response.
    let registry = prometheus::Registry::new();
    let router = ModelRouter::new(&config, &registry)?;
    let body = r#"{"model":"auto","messages":[{"role":"user","content":"Hello!"}]}"#;
    match router.chat(ChatCall::of_body(body)).await {
        Ok(response) => println!("answered: {}", response.status),
        Err(error) => println!("not answered: {error} ({})", error.kind()),
    }
    Ok(())
}
