//! Decides without sending: which deployments would serve a request, in which order, and why.
//!
//! `cargo run -p router-core --example decide_only`. It needs no feature: with `default-features = false` the dependency tree
//! contains no HTTP client.

use router_core::{
    Ask, ChatRequest, Config, Day, Hints, Moment, Rights, Sender, Snapshot, Ties, decide,
};

const CONFIG: &str = r#"
[roles.reasoning]
models = ["o1"]
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
[deployments.o1_payg]
endpoint = "main"
model = "o1"
billing = "pay_as_you_go"
area = "global"
"#;

#[expect(clippy::print_stdout, reason = "an example prints its result")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let today = Day::try_from("2026-11-23")?;
    let rules = Config::from_toml(CONFIG, today)?.rules()?;
    let (hints, rights) = (Hints::default(), Rights::default());
    for text in ["안녕하세요, 오늘 기분이 어때요?", "√2가 무리수임을 증명해 주세요."]
    {
        let body = serde_json::json!({
            "model": "auto",
            "messages": [{"role": "user", "content": text}],
        });
        let body = body.to_string();
        let request = ChatRequest::parse(body.as_bytes())?;
        let ask = Ask {
            request: &request,
            path_model: None,
            hints: &hints,
            rights: &rights,
            sender: Sender::default(),
            ties: Ties::default(),
        };
        let moment = Moment { now: tokio::time::Instant::now(), today };
        // The snapshot holds what the program knows of the deployments: waits, levels, faults. Here it knows nothing.
        let decision = decide(ask, &rules, &Snapshot::default(), moment)?;
        let plan = decision.plan?;
        let names: Vec<&str> = plan.iter().map(|deployment| deployment.name.as_str()).collect();
        println!("{text}\n  -> {}", names.join(", then "));
    }
    Ok(())
}
