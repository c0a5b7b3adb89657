//! Replaces the task scorer: everything that names a legal clause is reasoning, the rest is scored by the shipped model.
//!
//! `cargo run -p router-core --example custom_scorer`. `ModelRouter::with_scorer` builds a router that sends; this program only
//! decides.

use std::sync::Arc;

use router_core::{
    Ask, ChatRequest, Config, Day, Hints, LinearScorer, Message, Moment, Reason, Rights, Score,
    Scorer, Sender, Snapshot, Ties, decide,
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

/// Scores a turn by its words, and leaves the others to the shipped model.
#[derive(Debug)]
struct Legal {
    shipped: LinearScorer,
}

impl Scorer for Legal {
    // The score depends on the message alone, because the scores of earlier turns are remembered.
    fn score_turn(&self, turn: &Message<'_>) -> Score {
        if turn.texts().any(|text| text.contains("clause") || text.contains("조항")) {
            return Score::nearest(0.95);
        }
        self.shipped.score_turn(turn)
    }

    fn reasons(&self, request: &ChatRequest<'_>, most: usize) -> Vec<Reason> {
        self.shipped.reasons(request, most)
    }
}

#[expect(clippy::print_stdout, reason = "an example prints its result")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let today = Day::try_from("2026-11-23")?;
    let config = Config::from_toml(CONFIG, today)?;
    let rules = config.rules_with(Arc::new(Legal { shipped: LinearScorer::shipped()? }));
    let (hints, rights) = (Hints::default(), Rights::default());
    for text in ["Read clause 4 to me.", "Read me a poem."] {
        let body = serde_json::json!({"messages": [{"role": "user", "content": text}]}).to_string();
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
        let decision = decide(ask, &rules, &Snapshot::default(), moment)?;
        println!("{text} -> {}", decision.plan?.first.name);
    }
    Ok(())
}
